# SPDX-License-Identifier: MIT
"""
The documentation's examples work when pasted
---------------------------------------------

Oracle: the pages themselves.  ``$`` begins a command; what stands below it is what it prints,
where ``[...]`` stands for anything.  Blocks of ``sh`` are for other machines, and are not run.
"""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from simulator.machine.schema import Costs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.rst")) if "reference" not in page.parts]
BLOCK = re.compile(r"^\.\. code-block:: (\w+)\n\n((?:   .*\n|\n)+)", re.MULTILINE)
ROLE = re.compile(r":(?:mod|class|func|meth|data|attr|exc):`~?(simulator[\w.]*)`")
LINK = re.compile(r"\]\((?!https?://)([^)#]+)\)")


def blocks(page, language):
    """Return the blocks of a language, without their indentation."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [re.sub(r"^   ", "", body, flags=re.M) for name, body in found if name == language]


def sessions(page):
    """Yield each command of a page and the output that stands below it."""
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command = re.match(r"(?:.*\\\n)*.*", part)[0]
            yield command.replace("\\\n", ""), part[len(command) :].strip("\n")


def console_pages():
    return [page for page in PAGES if blocks(page, "console")]


def matches(wanted, got):
    """Whether an output is as the page has it; a line of [...] alone stands for lines."""
    wanted = wanted.replace("\n[...]\n", "[...]").replace("[...]\n", "[...]")
    wanted = wanted.replace("\n[...]", "[...]").replace("[...]", "...")
    return doctest._ellipsis_match(wanted, got)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty folder with the files that the pages name."""
    for file in (DOCS / "examples").iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    import gzip

    trace = "trace-7.3-4cpu-alloc16-default.txt"
    packed = ROOT / "tests" / "data" / "ftrace" / f"{trace}.gz"
    (tmp_path / trace).write_bytes(gzip.decompress(packed.read_bytes()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", console_pages(), ids=lambda page: page.stem)
def test_commands_of_a_page_print_what_it_says(page, here, tlbsim):
    for command, output in sessions(page):
        program, *argv = shlex.split(command, comments=True)
        assert program == "tlbsim"
        done = tlbsim(*argv)
        _, _, status = command.partition("# exit status ")
        assert (done.status, done.err) == (int(status or 0), ""), command
        assert matches(output, done.out.rstrip("\n")), f"{command}\n{done.out}"


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.stem)
def test_python_of_a_page_runs_from_top_to_bottom(page, here):
    exec(compile("\n".join(blocks(page, "python")), str(page), "exec"), {})  # noqa: S102 - our own page


def test_no_example_is_left_out():
    # Each is on a page, where it was run.
    texts = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for file in (DOCS / "examples").iterdir():
        if file.is_file():
            assert f"examples/{file.name}" in texts


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_within_the_repository_lead_somewhere(name):
    for link in LINK.findall((ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / link).exists(), link


def test_names_in_docstrings_and_pages_exist():
    for file in [*PAGES, *sorted((ROOT / "simulator").rglob("*.py"))]:
        for target in ROLE.findall(file.read_text(encoding="utf-8")):
            assert resolves(target), f"{file}: {target}"


def resolves(target):
    parts = target.split(".")
    for nr in range(len(parts), 0, -1):
        try:
            node = importlib.import_module(".".join(parts[:nr]))
        except ModuleNotFoundError:
            continue
        for part in parts[nr:]:
            fields = getattr(node, "model_fields", {}) | getattr(node, "__annotations__", {})
            if not hasattr(node, part) and part in fields:
                return True
            node = getattr(node, part, None)
        return node is not None
    return False


# --- generated pages ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference():
    sys.path.insert(0, str(DOCS))
    try:
        yield importlib.import_module("reference")
    finally:
        sys.path.remove(str(DOCS))


def test_mechanisms_name_modules_parameters_and_tests_that_exist(reference):
    for each in reference.mechanisms():
        for parameter in each.get("parameters", []):
            assert parameter.removeprefix("costs.") in Costs.model_fields
        for module in each["modules"]:
            assert importlib.util.find_spec(module), module
        for test in each["tests"]:
            file, _, name = test.partition("::")
            assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), test


def test_every_module_of_the_kernel_that_models_something_is_on_the_page_of_mechanisms(reference):
    text = reference.PAGES["mechanisms"]()
    found = [m for m in reference.modules() if m.startswith("simulator.kernel.")]
    found = [m for m in found if reference.models(m)]
    assert {"simulator.kernel.tlb", "simulator.kernel.versions.v7_3"} <= set(found)
    assert all(f":mod:`{module}`" in text for module in found)


def test_every_key_column_option_and_kernel_is_in_the_reference(reference):
    from simulator.kernel import kernels
    from simulator.machine.noise import NOISE_KEYS
    from simulator.trace.contract import FRAMES

    pages = {name: page() for name, page in reference.PAGES.items()}
    for cost, field in Costs.model_fields.items():
        assert f"``{cost}``" in pages["profile"]
        assert field.description
    assert all(f"``{key}``" in pages["noise"] for key in NOISE_KEYS)
    for frame in FRAMES.values():
        assert all(f"``{name}``" in pages["frames"] for name in frame.names)
    assert all(f" {name}\n" in pages["kernels"] for name in kernels())
    assert "--break-even" in pages["commands"]


def test_every_key_of_a_profile_has_a_meaning(reference):
    text = reference.PAGES["profile"]()
    rows = re.findall(r"\* - ``(.+)``\n     - (.*)\n     -(.*)\n", text)
    # Those of fits are written by a fit, and read by nobody else.
    written = text.partition("calibration\n---")[2]
    assert len(rows) > 100
    assert all(f"``{key}``" in written for key, _, meaning in rows if not meaning.strip())
