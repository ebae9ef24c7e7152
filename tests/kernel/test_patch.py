# SPDX-License-Identifier: MIT
"""
A user's patch in a file of its own
-----------------------------------

Oracle: what the patch says.  Jane Chu, reviewing patch 8/8 on 21 October 2023:
the flushes of an empty list could be skipped.
"""

from __future__ import annotations

import pytest

from simulator.errors import InputError
from simulator.kernel import kernels, load_kernel
from simulator.run import simulate
from simulator.saved import load_result
from simulator.scenario import Scenario
from tests.kernel.helpers import MERGED, OF_TODAY, STILL, column, flushes_of, run

PATCH = '''\
"""hugetlb: do not flush for nothing."""

from simulator.kernel.versions.v6_7 import V6_7


class SkipFlush(V6_7):
    """Skip the flush of the split pass if it split nothing."""

    name = "v6.7+skip"
    base = "v6.7"
    subject = "hugetlb: do not flush for nothing"
    commit = ""
    summary = "no flush_tlb_all() when no PMD was split"

    def flush_tlb_all(k, reason):
        if reason == "batch_split" and not k.recorder.counts["pmd_splits"]:
            return
        super().flush_tlb_all(reason)
'''


@pytest.fixture
def patch(tmp_path):
    path = tmp_path / "my_patch.py"
    path.write_text(PATCH, encoding="utf-8")
    return path


@pytest.mark.parametrize("form", [str, lambda path: path], ids=["text", "path"])
def test_a_patch_in_a_file_saves_the_flush_that_it_says(patch, form):
    phases = ("alloc", "free", "alloc", "free")
    result = run(form(patch), pages=4, cpus=2, phases=phases)
    wanted = run("v6.7", pages=4, cpus=2, phases=phases)
    assert wanted.summary["flushes"].tolist() == [2, 1, 2, 1]
    assert result.summary["flushes"].tolist() == [2, 1, 1, 1]
    assert flushes_of(result, "alloc2")["reason"].tolist() == ["batch_remap"]


def test_a_patch_works_with_hvo_off(patch):
    assert column(run(patch, pages=4, cpus=2, hvo=False).summary, "flushes") == 1
    assert column(run("v6.7", pages=4, cpus=2, hvo=False).summary, "flushes") == 2


def test_the_key_follows_the_text_of_the_patch(patch):
    def key():
        return Scenario(machine="laptop-8", kernel=patch, pages=4).key

    before = key()
    assert before == key()
    assert before != Scenario(machine="laptop-8", kernel="v6.7", pages=4).key
    patch.write_text(PATCH.replace("if reason", "if True and reason"), encoding="utf-8")
    assert key() != before


def test_the_result_of_a_patch_is_saved_with_its_source_and_loaded_without_the_file(
    patch, tmp_path
):
    scenario = Scenario(machine="laptop-8", kernel=patch, pages=4, cpus=2, noise=STILL)
    result = simulate(scenario)
    result.save(tmp_path / "out")
    patch.unlink()
    loaded = load_result(tmp_path / "out")
    assert loaded.summary.equals(result.summary)
    assert loaded.provenance["key"] == scenario.key
    assert loaded.scenario.kernel_class.name == "v6.7+skip"
    # Without the file nothing can be simulated, and that is said.
    for again in (lambda: loaded.ipis([0]), lambda: simulate(loaded.scenario)):
        with pytest.raises(InputError, match=r"kernel: v6\.7\+skip is not of this package; give"):
            again()
    patch.write_text(PATCH, encoding="utf-8")
    given = load_result(tmp_path / "out", kernel=patch)
    assert given.ipis([0]).equals(result.ipis([0]))
    patch.write_text(PATCH + "# changed\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"result: kernel v6\.7\+skip is not, or no longer,"):
        load_result(tmp_path / "out", kernel=patch)


def test_a_patch_of_another_version_inherits_its_functions(tmp_path):
    path = tmp_path / "bare.py"
    path.write_text(
        "from simulator.kernel import load_kernel\n"
        "class Mine(load_kernel('v6.6')):\n"
        "    name = 'mine'\n",
        encoding="utf-8",
    )
    assert run(path, pages=4).summary.equals(run("v6.6", pages=4).summary)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "must define one kernel class, not 0"),
        (PATCH + PATCH.replace("SkipFlush", "Other"), "must define one kernel class, not 2"),
        ("def broken(:\n", r"bad\.py, line 1: SyntaxError: "),
        ("import nothing_of_this_name\n", r"bad\.py, line 1: ModuleNotFoundError: "),
        ("class Mine(V6_7): pass\n", r"bad\.py, line 1: NameError: "),
        ("\nraise ValueError('x')\n", r"bad\.py, line 2: ValueError: x$"),
        ("import json\njson.loads('{')\n", r"bad\.py, line 2: JSONDecodeError: "),
        ("raise KeyError\n", r"bad\.py, line 1: KeyError$"),
        ("raise SystemExit(0)\n", r"bad\.py, line 1: SystemExit: 0$"),
        (
            "class Mute(Exception):\n    def __str__(self): return 1\nraise Mute\n",
            r"bad\.py, line 3: Mute: \(TypeError in its __str__\(\)\)$",
        ),
        ("raise ValueError('two\\nlines')\n", r"bad\.py, line 1: ValueError: two$"),
    ],
)
def test_a_file_that_is_no_patch_gets_one_line(tmp_path, text, message):
    path = tmp_path / "bad.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as error:
        load_kernel(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_bytes_that_are_no_text_get_one_line(tmp_path):
    path = tmp_path / "bad.py"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not text"):
        load_kernel(path)
    with pytest.raises(InputError, match="no such file"):
        load_kernel(tmp_path / "absent.py")


@pytest.mark.parametrize(("typed", "near"), [("v67", "v6.7"), ("v6.6-7", "v6.6+7")])
def test_an_unknown_kernel_gets_the_nearest_name(typed, near):
    with pytest.raises(InputError, match="there is no") as error:
        load_kernel(typed)
    assert near in str(error.value)


def test_the_kernels_are_named_in_order():
    patches = tuple(f"v6.6+{n}" for n in range(1, 9))
    assert ("v6.1", "v6.6", *patches, "v6.7", "v6.12") == MERGED
    assert kernels()[-len(OF_TODAY) - 1 :] == (*OF_TODAY[:1], "v6.12", *OF_TODAY[1:])
    for name in kernels():
        kernel = load_kernel(name)
        assert kernel.name == name
        assert kernel.subject
        assert kernel.summary
        # What was posted and changed before it was merged has no commit.
        assert len(kernel.commit) == 12 or "@" in name
