# SPDX-License-Identifier: MIT
"""
Saved results that were changed, damaged or made to harm
--------------------------------------------------------

Oracle: what was done to the files.  Each gets one line that names the folder, and
nothing of it is run or takes more memory than the result has.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import zipfile

import numpy as np
import pytest

from simulator.errors import InputError
from simulator.machine import load_machine
from simulator.run import simulate
from simulator.saved import load_result
from simulator.scenario import Scenario
from simulator.trace.files import UNCHECKED

SUMS, FRAMES = "SHA256SUMS", "frames.npz"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of a small result."""
    folder = tmp_path_factory.mktemp("whole") / "r"
    simulate(Scenario(machine="laptop-8", kernel="v6.7", pages=2, cpus=2)).save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(whole, tmp_path):
    """A folder of their copies."""
    put(tmp_path / "r", whole)
    return tmp_path / "r"


def put(folder, files):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def sign(folder):
    """Make the checksums right again."""
    names = ("scenario.json", "provenance.json", FRAMES)
    sums = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (folder / SUMS).write_text("".join(sums))


def refused(folder, message):
    with pytest.raises(InputError, match=message) as error:
        load_result(folder)
    assert str(error.value).startswith(f"result: {folder} ")
    assert str(error.value).isprintable()


def members(folder):
    with np.load(folder / FRAMES) as stored:
        return {name: stored[name] for name in stored.files}


def rewrite(folder, arrays):
    with (folder / FRAMES).open("wb") as file:
        np.savez_compressed(file, **arrays)
    sign(folder)


def test_sha256sum_finds_the_files_as_they_were_saved(folder):
    done = subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=folder, check=False)
    assert done.returncode == 0
    assert load_result(folder).provenance["notes"] == []


@pytest.mark.parametrize("name", ["scenario.json", "provenance.json", FRAMES])
def test_a_file_of_another_result_or_with_another_byte_is_refused(folder, whole, name):
    content = bytearray(whole[name])
    # In the middle of a zip file lies data, in JSON a digit is as good as another.
    at = content.index(b"1") if name.endswith(".json") else len(content) // 2
    content[at] ^= 1
    (folder / name).write_bytes(content)
    refused(folder, f"{name} is not what was saved")


@pytest.mark.parametrize("text", ["", "nonsense\n", "\0\xff"])
def test_checksums_without_one_for_each_file_are_refused(folder, text):
    (folder / SUMS).write_bytes(text.encode("latin-1"))
    refused(folder, f"{SUMS} has no checksum of scenario.json")


def test_an_older_result_without_checksums_says_so_for_good(folder, tmp_path):
    (folder / SUMS).unlink()
    old = load_result(folder)
    assert old.provenance["notes"] == [UNCHECKED]
    old.save(tmp_path / "again")
    assert load_result(tmp_path / "again").provenance["notes"] == [UNCHECKED]


def with_(path, change):
    def arrays(found):
        return {**found, path: change(found[path])}

    return arrays


def without(*paths):
    return lambda found: {name: a for name, a in found.items() if name not in paths}


CHANGES = {
    "a frame": (
        lambda found: {n: a for n, a in found.items() if not n.startswith("cpus/")},
        "cpus/phase is missing",
    ),
    "a column": (without("flushes/ipis"), "flushes/ipis is missing"),
    "names": (without("flushes/kind/names"), "flushes/kind is of another type"),
    "length": (with_("flushes/ipis", lambda a: a[:-1]), "columns of flushes differ in length"),
    "code": (with_("flushes/kind", lambda a: a + 9), "flushes/kind has codes beyond its names"),
    "negative": (with_("flushes/kind", lambda a: a - 9), "flushes/kind has codes beyond its names"),
    "floats": (with_("flushes/ipis", lambda a: a * 1.5), "flushes/ipis is of another type"),
    "texts": (with_("flushes/ipis", lambda a: a.astype(str)), "flushes/ipis is of another type"),
    "twice": (
        with_("flushes/kind/names", lambda a: np.repeat(a[:1], len(a))),
        "flushes/kind is of another type",
    ),
    "table": (with_("flushes/ipis", lambda a: a.reshape(1, -1)), f"{FRAMES} is damaged"),
    "scalar": (with_("flushes/ipis", lambda a: a[0]), f"{FRAMES} is damaged"),
    "objects": (with_("flushes/ipis", lambda a: a.astype(object)), f"{FRAMES} is damaged"),
    "other frame": (lambda found: {**found, "mine/x": np.zeros(1)}, "there is no frame 'mine'"),
    "no frame": (lambda found: {**found, "x": np.zeros(1)}, "there is no frame 'x'"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_arrays_that_make_no_frames_are_refused_also_with_right_checksums(folder, change):
    how, message = CHANGES[change]
    rewrite(folder, how(members(folder)))
    refused(folder, message)


def test_counts_of_a_kernel_of_ones_own_are_loaded(folder):
    arrays = members(folder)
    rewrite(folder, arrays | {"counts/mine": arrays["counts/pmd_splits"] + 7})
    counts = load_result(folder).counts
    assert list(counts.columns)[-1] == "mine"
    assert (counts["mine"] == counts["pmd_splits"] + 7).all()


def npy(shape, body=b"", descr="<i8"):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


def archive(content, name="flushes/ipis.npy", method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as z:
        z.writestr(name, content)
    return bytearray(file.getvalue())


def encrypted():
    content = archive(npy((1,), bytes(8)))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    return content


def claims(nr_bytes):
    # A member that says to be larger than it is.
    content = archive(npy((1,), bytes(8)))
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = nr_bytes.to_bytes(4, "little")
    return content


def twice():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as z:
        z.writestr("flushes/ipis.npy", npy((1,), bytes(8)))
        with pytest.warns(UserWarning, match="Duplicate"):
            z.writestr("flushes/ipis.npy", npy((1,), bytes(8)))
    return file.getvalue()


DEEP = "(" * 4000 + ")" * 4000
HARMFUL = {
    "a bare array": (lambda: npy((1,), bytes(8)), "is damaged"),
    "bzip2": (lambda: archive(npy((1,), bytes(8)), method=zipfile.ZIP_BZIP2), "by method 12"),
    "lzma": (lambda: archive(npy((1,), bytes(8)), method=zipfile.ZIP_LZMA), "by method 14"),
    "encrypted": (encrypted, "is encrypted"),
    "a giant shape": (lambda: archive(npy((1 << 60,), bytes(8))), "is damaged"),
    "a shape beyond numbers": (lambda: archive(npy((1 << 900,), bytes(8))), "is damaged"),
    "a negative shape": (lambda: archive(npy((-1,), bytes(8))), "is damaged"),
    "items of nothing": (lambda: archive(npy((1 << 60,), descr="|S0")), "is damaged"),
    "a shape of brackets": (lambda: archive(npy(DEEP)), "is damaged"),
    "a pickle": (lambda: archive(npy((1,), b"cos\nsystem\n", descr="|O")), "is damaged"),
    "another version": (lambda: archive(b"\x93NUMPY\x09\x00" + bytes(99)), "is damaged"),
    "a size of 4 GB": (lambda: claims((1 << 32) - 2), "is damaged|more memory"),
    "one name twice": (twice, "flushes/ipis is there twice"),
    "text": (lambda: b"hello", "is damaged"),
    "nothing": (lambda: b"", "is damaged"),
}


@pytest.mark.parametrize("made", HARMFUL)
def test_archives_made_to_harm_are_refused_also_with_right_checksums(folder, made):
    content, message = HARMFUL[made]
    (folder / FRAMES).write_bytes(content())
    sign(folder)
    refused(folder, message)


def test_an_archive_that_unpacks_to_more_than_the_memory_is_refused_before(folder, monkeypatch):
    arrays = members(folder)
    arrays["flushes/ipis"] = np.zeros(1 << 20, dtype=np.int64)
    rewrite(folder, arrays)
    refused(folder, "differ in length")
    monkeypatch.setattr(os, "sysconf", lambda _: 1 << 11)  # 2048 pages of 2048 bytes, of which half
    refused(folder, "needs more memory than there is")


def nested(depth):
    return '{"key": ' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize("name", ["scenario.json", "provenance.json"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (nested(100_000), "nested too deeply"),
        ('{"key": ' + "9" * 5000 + "}", "holds no saved result"),
        ('{"key": NaN}', "NaN is no number"),
        ('{"key": "x"', "holds no saved result"),
        ("\ufeff\ud800{}", "holds no saved result"),
        ('"text"', "says something else"),
        ('{"key": 1}', "does not know"),
    ],
    ids=["deep", "long number", "NaN", "cut", "bytes", "text", "else"],
)
def test_json_made_to_harm_is_refused_also_with_right_checksums(folder, name, text, message):
    (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    sign(folder)
    refused(folder, message)


@pytest.mark.parametrize("name", ["scenario.json", "provenance.json", FRAMES, SUMS])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder, "pipe")


def change(folder, name, keys, value):
    data = json.loads((folder / name).read_text())
    inner = data
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (folder / name).write_text(json.dumps(data))
    sign(folder)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["kernel"], "v6.7"),
        (["kernel"], {"name": "mine"}),
        (["kernel", "name"], ["v6.7"]),
        (["machine"], []),
        (["machine", "costs"], {}),
        (["noise"], None),
        (["tunables"], 3),
        (["pages"], -1),
        (["phases"], [[]]),
        (["more"], 1),
    ],
)
def test_scenarios_that_are_none_are_refused(folder, keys, value):
    change(folder, "scenario.json", keys, value)
    refused(folder, "does not know")


@pytest.mark.parametrize(
    ("key", "value"), [("notes", "x"), ("notes", [1]), ("seed", "1"), ("packages", []), ("key", 1)]
)
def test_provenance_that_is_none_is_refused(folder, key, value):
    change(folder, "provenance.json", [key], value)
    refused(folder, "does not know")


# --- data is no code ----------------------------------------------------------------------


@pytest.fixture
def trap(tmp_path):
    """A kernel file that leaves a mark when it is run."""
    path = tmp_path / "trap.py"
    path.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    yield path
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["mine", "trap"])
@pytest.mark.parametrize("field", ["name", "base", "source"])
def test_a_kernel_that_a_result_names_by_its_file_is_not_run(folder, trap, name, field):
    change(folder, "scenario.json", ["kernel", "name"], name)
    value = trap.read_text() if field == "source" else str(trap)
    change(folder, "scenario.json", ["kernel", field], value)
    loaded = load_result(folder)
    assert loaded.summary["flushes"].sum() > 0
    assert loaded.scenario.kernel_class.file_of() != str(trap)
    for again in (lambda: loaded.ipis([0]), lambda: simulate(loaded.scenario)):
        with pytest.raises(InputError, match="kernel"):
            again()


def test_a_machine_that_a_result_names_by_its_file_is_not_read(folder, tmp_path):
    change(folder, "scenario.json", ["machine"], str(tmp_path / "mine.toml"))
    refused(folder, "does not know")
    machine = json.loads(load_machine("laptop-8").model_dump_json())
    change(folder, "scenario.json", ["machine"], machine)
    assert load_result(folder).scenario.machine_model.name == "laptop-8"
