# SPDX-License-Identifier: MIT
"""
The generated pages of the reference
------------------------------------

Each is a function that returns reST, made from the code itself: the schema of profiles,
the contract of frames, the parsers of commands, docstrings.  Only ``mechanisms.toml`` is
written by hand: what Linux does, which modules model it, which tests show it.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import re
import tomllib
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any

from pydantic import BaseModel

import simulator
from simulator.cli import main_parser
from simulator.kernel import kernel_named, kernels, mutants, proposals
from simulator.machine import Machine, load_machine, machines
from simulator.machine.noise import NOISE_KEYS
from simulator.machine.schema import Costs
from simulator.machine.values import Cost, CostByDistance, Count, Fact, Size, Sourced, Time
from simulator.ordering.invariants import INVARIANTS
from simulator.scenario import Scenario
from simulator.studies import load_study, studies
from simulator.trace.contract import FRAMES, IPIS, Frame

__all__ = ("PAGES", "api_pages", "mechanisms", "models", "modules", "write_pages")

ROOT = Path(__file__).parents[1]
# Parts of the package that are modelled, and so have an entry under the mechanisms.
_MODELS = ("simulator.kernel", "simulator.engine", "simulator.machine", "simulator.ordering")
_UNITS = {Time: "time", Cost: "time", Size: "size", Count: "a number", CostByDistance: "time"}


def write_pages(folder: Path) -> None:
    """Write every generated page into a folder, and remove what is no longer one."""
    pages = {name: page() for name, page in PAGES.items()} | api_pages()
    for old in folder.rglob("*.rst"):
        if old.relative_to(folder).as_posix().removesuffix(".rst") not in pages:
            old.unlink()
    for name, text in pages.items():
        file = folder / f"{name}.rst"
        file.parent.mkdir(parents=True, exist_ok=True)
        # A file that is as it was is not read again.
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


# --- reST ---------------------------------------------------------------------------------


def _page(title: str, *blocks: str) -> str:
    return "\n\n".join([f"{title}\n{'=' * len(title)}", *blocks]) + "\n"


def _section(title: str, *blocks: str) -> str:
    return "\n\n".join([f"{title}\n{'-' * len(title)}", *blocks])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        for nth, cell in enumerate(row):
            text = " ".join(cell.split())
            lines.append(f"   {'* -' if nth == 0 else '  -'} {text}".rstrip())
    return "\n".join(lines)


def _code(text: str, language: str = "text") -> str:
    body = "\n".join(f"   {line}".rstrip() for line in text.strip("\n").splitlines())
    return f".. code-block:: {language}\n\n{body}"


def _plain(text: str) -> str:
    # Words of a user, or of a source, which reST would take for its own marks.
    return re.sub(r"([*`|\\_])", r"\\\1", text)


def _doc(thing: object) -> str:
    return inspect.getdoc(thing) or ""


def _body(module: str) -> str:
    """Return the docstring of a module without its title."""
    lines = _doc(importlib.import_module(module)).splitlines()
    if len(lines) > 1 and set(lines[1]) == {"-"}:
        lines = lines[2:]
    return "\n".join(lines).strip()


def _title(module: str) -> str:
    return _doc(importlib.import_module(module)).partition("\n")[0]


# --- profiles -----------------------------------------------------------------------------


def _profile() -> str:
    blocks = [
        "A profile is a TOML file. It may inherit from another (``inherits``) and then states only"
        " what differs. ``tlbsim new machine FILE --like NAME`` writes one to start from,"
        " ``tlbsim machines FILE`` says all that is wrong with it, and ``--set KEY=VALUE`` changes"
        " one value for one run."
    ]
    rows, tables = [], []
    for name, field in Machine.model_fields.items():
        model = _model(field.annotation)
        if model is None or issubclass(model, Sourced):
            rows.append((f"``{name}``", _shape(field.annotation), field.description or ""))
        else:
            tables.append(_section(name, _doc(model).partition("\n\n")[0], _keys(model)))
    blocks.append(_table(("key", "value", "meaning"), rows))
    blocks += tables
    shapes = [
        _section(f"A {what}", _table(("key", "value", "meaning"), rows)) for what, rows in _shapes()
    ]
    return _page("Keys of a machine profile", *blocks, *shapes)


def _keys(model: type[BaseModel]) -> str:
    rows = list(_rows(model, ""))
    return _table(("key", "value", "meaning"), rows)


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        below = _model(field.annotation)
        about = field.description or ("" if below is None else _doc(below).partition("\n")[0])
        yield f"``{prefix}{name}``", _shape(field.annotation), _plain(about)
        if below and not issubclass(below, Sourced | CostByDistance) and below in _NESTED:
            yield from _rows(below, f"{prefix}{name}.")


def _shapes() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    for what, model in (
        ("fact", Fact),
        ("number", Count),
        ("size", Size),
        ("time", Cost),
        ("time by distance", CostByDistance),
    ):
        yield what, list(_rows(model, ""))


def _model(annotation: Any) -> type[BaseModel] | None:
    for part in _parts(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _parts(annotation: Any) -> Iterator[Any]:
    if typing.get_origin(annotation) in (typing.Union, UnionType, tuple):
        for argument in typing.get_args(annotation):
            yield from _parts(argument)
    else:
        yield annotation


def _shape(annotation: Any) -> str:
    """Return what may stand under a key, in a few words."""
    optional = type(None) in typing.get_args(annotation)
    [part, *_] = [p for p in _parts(annotation) if p is not type(None)]
    several = typing.get_origin(annotation) is tuple
    if isinstance(part, type) and issubclass(part, BaseModel):
        text = _of_model(part)
    elif typing.get_origin(part) is typing.Literal:
        text = "one of " + ", ".join(f"``{word}``" for word in typing.get_args(part))
    else:
        text = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}.get(
            part, "a list"
        )
    return f"{'a list of: ' if several else ''}{text}{', may be missing' if optional else ''}"


def _of_model(model: type[BaseModel]) -> str:
    if model in _UNITS:
        unit = model.model_fields.get("unit")
        units = "" if unit is None else f": {', '.join(typing.get_args(unit.annotation))}"
        if model is CostByDistance:
            units = " by distance"
        return f"{_UNITS[model]}{units}"
    if issubclass(model, Fact):
        return f"fact: {_shape(model.model_fields['value'].annotation)}"
    return "a table"


_NESTED = {
    below
    for field in Machine.model_fields.values()
    if (model := _model(field.annotation))
    for inner in model.model_fields.values()
    if (below := _model(inner.annotation))
}


def _noise() -> str:
    rows = [
        (f"``{name}``", key.unit, f"{key.low:g} to {key.high:g}", key.text, key.default)
        for name, key in NOISE_KEYS.items()
    ]
    return _page(
        "Keys of a noise",
        _body("simulator.machine.noise"),
        "A noise of your own is a preset with what differs, in a TOML file or on the command line"
        " (``--noise preset=busy,idle_share=0.5``, ``--set noise.idle_share=0.3``).",
        _table(("key", "unit", "bounds", "meaning", "if not set"), rows),
    )


# --- scenarios, frames, commands ----------------------------------------------------------


def _scenario() -> str:
    rows = [
        (f"``{name}``", f"``{field.default!r}``") for name, field in Scenario.model_fields.items()
    ]
    return _page(
        "Fields of a scenario",
        _doc(Scenario).partition(">>>")[0].strip(),
        "Each is an option of ``tlbsim run`` (``--page-size``, ``--free-pages``); see"
        " :doc:`commands`.",
        _table(("field", "default"), rows),
        _section("Phases", _body("simulator.kernel.phases")),
        _section("Where pages lie", _body("simulator.kernel.placement")),
    )


def _frames() -> str:
    blocks = [_body("simulator.trace.contract")]
    blocks += [_frame(frame) for frame in (*FRAMES.values(), IPIS)]
    return _page("Frames of a result", *blocks)


def _frame(frame: Frame) -> str:
    rows = [
        (
            f"``{column.name}``",
            column.kind,
            _plain(column.about)
            + (": " if column.about and column.words else "")
            + ", ".join(f"``{word}``" for word in column.words),
        )
        for column in frame.columns
    ]
    more = " A kernel's own counts follow under their names." if frame.open else ""
    return _section(
        frame.name,
        f"One row per {frame.row}; sorted by the first {frame.nr_keys} columns.{more}",
        _table(("column", "type", "meaning"), rows),
    )


def _commands() -> str:
    blocks = ["As ``--help`` prints it. ``--json`` is wherever a table is printed."]
    blocks += [_section(f"tlbsim {name}", _code(sub.format_help())) for name, sub in _subparsers()]
    return _page("Commands", *blocks)


def _subparsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in main_parser()._actions:  # noqa: SLF001 - argparse has no other way to its commands
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            yield from action.choices.items()


# --- what there is ------------------------------------------------------------------------


def _kernels() -> str:
    blocks = [
        "``tlbsim kernels NAME`` prints what one changes, ``tlbsim kernels NAME --all`` prints it"
        " as it runs."
    ]
    for title, names in (
        ("Releases and patches", kernels()),
        ("Proposed, never posted as a patch", proposals()),
        ("With a mistake, to show that it is found", mutants()),
    ):
        rows = [
            (name, k.commit, _plain(k.subject), _plain(k.summary))
            for name in names
            for k in [kernel_named(name)]
        ]
        blocks.append(_section(title, _table(("kernel", "commit", "subject", "in short"), rows)))
    tunables: dict[str, tuple[int, int, int, str]] = {}
    for name in kernels():
        tunables |= kernel_named(name).TUNABLES
    rows = [
        (f"``{name}``", f"{default}", f"{low} to {high}", text)
        for name, (default, low, high, text) in sorted(tunables.items())
    ]
    blocks.append(
        _section(
            "Tunables",
            "Set by ``--set NAME=VALUE``; not every version has each.",
            _table(("tunable", "default", "bounds", "meaning"), rows),
        )
    )
    return _page("Kernels", *blocks)


def _machines() -> str:
    rows = []
    for name in machines():
        machine = load_machine(name)
        kinds = machine.count_kinds()
        sure = kinds["measured"] + kinds["vendor"]
        rows.append(
            (
                f"``{name}``",
                _plain(machine.title),
                str(machine.nr_cpus),
                "guest" if machine.virtual else "bare metal",
                f"{sure} of {kinds.total()}",
                ", ".join(dict.fromkeys(p for fit in machine.calibration for p in fit.parameters))
                or "nothing",
            )
        )
    return _page(
        "Machines",
        "``tlbsim machines NAME`` prints every value with its source.",
        _table(("machine", "", "CPUs", "", "values measured or from a vendor", "fitted"), rows),
    )


def _studies() -> str:
    blocks = [
        "Each answers one question; ``tlbsim study NAME --help`` has its options, and"
        " ``scenarios/NAME.py`` is the same as a script."
    ]
    for name in studies():
        study = load_study(name)
        blocks.append(_section(name, _body(study.__module__)))
    return _page("Studies", *blocks)


def _invariants() -> str:
    rows = [
        (f"``{name}``", invariant.sentence, _plain(invariant.reference))
        for name, invariant in INVARIANTS.items()
    ]
    return _page(
        "What must hold",
        "Every run is held against these (:mod:`simulator.ordering.checker`); ``tlbsim litmus``"
        " explores all interleavings of small protocols for some of them.",
        _table(("invariant", "says", "where it is said"), rows),
    )


# --- mechanisms ---------------------------------------------------------------------------


def mechanisms() -> list[dict[str, Any]]:
    """Return the mechanisms of ``mechanisms.toml``, and one for each module that none has."""
    text = (Path(__file__).parent / "mechanisms.toml").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = tomllib.loads(text)["mechanism"]
    named = {module for each in found for module in each["modules"]}
    further = [m for m in modules() if m.startswith(_MODELS) and m not in named and models(m)]
    return found + [
        {"title": _title(module), "linux": "", "modules": [module], "tests": []}
        for module in further
    ]


def models(module: str) -> bool:
    """Whether a module says what it models, or what it does not."""
    return re.search(r"^(Not m|M)odelled:", _body(module), re.MULTILINE) is not None


def modules() -> list[str]:
    """Return the names of all modules of the package."""
    walked = pkgutil.walk_packages(simulator.__path__, "simulator.")
    # The twin is the kernel side once more, compiled.
    others = ("simulator.__main__", "simulator.twin")
    return ["simulator", *(m.name for m in walked if not m.name.startswith(others))]


def _mechanisms() -> str:
    blocks = [
        "For every mechanism: what Linux does, how it is modelled and what is left out (the words"
        " of the modules themselves), which values of a machine and tunables of a kernel it takes,"
        " and the tests that show it. A test names its oracle."
    ]
    for each in mechanisms():
        parts = [each["linux"].strip()] if each["linux"] else []
        for module in each["modules"]:
            parts.append(f".. rubric:: {_title(module)}\n\n:mod:`{module}`")
            parts.append(_body(module))
        used = each.get("parameters", []) + [
            name for module in each["modules"] for name in _parameters(module)
        ]
        if used:
            parts.append("**Parameters**: " + ", ".join(f"``{n}``" for n in dict.fromkeys(used)))
        if each["tests"]:
            tests = "\n".join(f"* ``{test}``" for test in each["tests"])
            parts.append(f"**Shown by**:\n\n{tests}")
        blocks.append(_section(each["title"], *parts))
    return _page("Mechanisms", *blocks)


# The costs and tunables that a module asks for by name.
def _parameters(module: str) -> Iterator[str]:
    source = inspect.getsource(importlib.import_module(module))
    words = set(re.findall(r"[\"'](\w+)[\"']|costs\.(\w+)|tunables[.\[\"']+(\w+)", source))
    names = {word for found in words for word in found if word}
    yield from (f"costs.{name}" for name in Costs.model_fields if name in names)
    yield from (name for name in sorted(_tunables()) if name in names)


def _tunables() -> set[str]:
    return {name for kernel in kernels() for name in kernel_named(kernel).TUNABLES}


# --- API ----------------------------------------------------------------------------------


def api_pages() -> dict[str, str]:
    """Return a page for each part of the package, and one that lists them."""
    parts: dict[str, list[str]] = {}
    for module in modules()[1:]:
        parts.setdefault(module.split(".")[1], []).append(module)
    pages = {f"api/{part}": _api(part, names) for part, names in parts.items()}
    tree = "\n".join(f"   {part}" for part in parts)
    pages["api/index"] = _page(
        "API",
        "Every public name, by the parts of the package. What a user needs is in the package itself"
        " (``import simulator as sim``); the rest may change between releases.",
        _table(
            ("name", "where it lives"),
            [
                (f"``sim.{name}``", f"``{home}``")
                for name, home in sorted(simulator._HOMES.items())  # noqa: SLF001 - no other list
            ],
        ),
        f".. toctree::\n   :maxdepth: 1\n\n{tree}",
    )
    return pages


def _api(part: str, names: Sequence[str]) -> str:
    return _page(f"simulator.{part}", *(f".. automodule:: {name}" for name in names))


PAGES: Mapping[str, Callable[[], str]] = {
    "commands": _commands,
    "frames": _frames,
    "invariants": _invariants,
    "kernels": _kernels,
    "machines": _machines,
    "mechanisms": _mechanisms,
    "noise": _noise,
    "profile": _profile,
    "scenario": _scenario,
    "studies": _studies,
}
