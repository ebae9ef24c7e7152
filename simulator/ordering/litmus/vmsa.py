# SPDX-License-Identifier: MIT
"""
Translation tests in assembly
-----------------------------

Litmus tests of herd7 that change a last-level descriptor, ``[PTE(x)]``, under the eyes of other
CPUs: ``data/vmsa.csv`` has 208 with the verdicts of the Arm ARM's model with table walks,
TLBI, DSB and faults, and whether herd7 raises ``requires-BBM``.

Modelled: LDR, LDAR, LDAPR, STR, STLR, MOV and EOR of registers, CBZ and CBNZ to a later
label, DMB, DSB, ISB, TLBI by address and of all, here or in the inner shareable domain.

Not modelled: anything else of the instruction set; what follows a fault in its thread.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from simulator.errors import InputError
from simulator.inputs import read_text
from simulator.ordering.litmus.condition import condition
from simulator.ordering.litmus.program import EMPTY, Program
from simulator.ordering.litmus.recorder import Cpu, Loaded, record
from simulator.ordering.litmus.tlb import Translation

__all__ = ("VmsaTest", "parse", "read", "shipped")

_FENCES = {
    "DMB ISH": "mb", "DMB SY": "mb", "DMB ISHLD": "rmb", "DMB LD": "rmb",
    "DMB ISHST": "wmb", "DMB ST": "wmb", "DSB ISH": "dsb", "DSB SY": "dsb",
    "DSB ISHST": "dsb.st", "DSB ST": "dsb.st", "DSB ISHLD": "dsb.ld", "DSB LD": "dsb.ld",
    "ISB": "isb",
}  # fmt: skip
_ORDERS = {"LDR": "", "LDAR": "acquire", "LDAPR": "acquirepc", "STR": "", "STLR": "release"}


@dataclass(frozen=True)
class VmsaTest:
    """A translation test, and what herd7 says of it (``""`` and None where that is not known)."""

    name: str
    family: str
    asks: str
    program: Program
    verdict: str
    requires_bbm: bool | None


def shipped() -> list[VmsaTest]:
    """Return the 208 tests of ``data/vmsa.csv``."""
    source = files("simulator.ordering.litmus") / "data" / "vmsa.csv"
    rows = csv.DictReader(source.read_text(encoding="utf-8").splitlines(keepends=True))
    return [
        VmsaTest(
            row["name"],
            row["family"],
            *parse(row["program"]),
            row["verdict"],
            row["requires_bbm"] == "yes",
        )
        for row in rows
    ]


def read(path: Path) -> VmsaTest:
    """Return the test in a file; raises InputError for what is not modelled."""
    text = read_text(path, f"litmus: {path}")
    try:
        asks, program = parse(text)
    except InputError as error:
        raise InputError(f"litmus: {path}: {error}") from None
    return VmsaTest(program.name, "", asks, program, "", None)


def parse(text: str) -> tuple[str, Program]:
    """Return what a test asks and its program; raises InputError for what is not modelled."""
    found = re.fullmatch(
        r"\s*AArch64\s+(?P<name>\S+)[^{]*\{(?P<init>.*?)\}(?P<code>.*?)exists\s*(?P<asks>.*)",
        text,
        re.S,
    )
    if found is None:
        raise InputError("no litmus test of AArch64: 'AArch64 NAME', '{ }', code, 'exists'")
    rows = [
        [cell.strip() for cell in line.rstrip(" ;").split("|")]
        for line in found["code"].splitlines()
        if line.strip()
    ]
    if not rows or any(len(row) > len(rows[0]) for row in rows):
        raise InputError(f"{found['name']}: the columns of the code do not match its header")
    columns = [[row[n] for row in rows[1:] if n < len(row) and row[n]] for n in range(len(rows[0]))]
    registers, memory = _initial(found["init"])
    addresses = sorted(set(re.findall(r"PTE\((\w+)\)", found["init"])))
    for va in addresses:
        memory.setdefault(f"PTE({va})", va)
    asks = " ".join(found["asks"].split())
    threads = tuple(
        record(_interpreter(code, registers.get(n, {}), addresses), n, "arm64", f"P{n}")
        for n, code in enumerate(columns)
    )
    table = Translation({"": {va: f"PTE({va})" for va in addresses}})
    program = Program(
        found["name"],
        threads,
        memory,
        condition(asks),
        translation=table,
        # Every page that a descriptor may map, also those that no instruction names.
        locations=(*addresses, *re.findall(r"PA\((\w+)\)", found["init"])),
    )
    return asks, program


def _initial(text: str) -> tuple[dict[int, dict[str, Any]], dict[str, Any]]:
    registers: dict[int, dict[str, Any]] = {}
    memory: dict[str, Any] = {}
    for item in filter(None, (part.strip() for part in text.replace("\n", " ").split(";"))):
        target, _, value = (part.strip() for part in item.partition("="))
        read = _value(value)
        if cpu := re.fullmatch(r"(\d+):([XW]\d+)", target):
            registers.setdefault(int(cpu[1]), {})[_register(cpu[2])] = read
        else:
            memory[target.strip("[]")] = read
    return registers, memory


def _value(text: str) -> Any:
    if oa := re.fullmatch(r"\(oa:PA\((\w+)\)\)", text):
        return oa[1]
    if text == "(valid:0)":
        return EMPTY
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return text


# X7 and W7 are one register.
def _register(text: str) -> str:
    return f"R{text.strip('[]')[1:]}"


def _interpreter(
    code: list[str], initial: dict[str, Any], addresses: list[str]
) -> Callable[[Cpu], None]:
    def run(k: Cpu) -> None:
        thread = _Thread(k, code, dict(initial), addresses)
        at = 0
        while at < len(code):
            at = thread.execute(at)

    return run


class _Thread:
    def __init__(
        self, k: Cpu, code: list[str], registers: dict[str, Any], addresses: list[str]
    ) -> None:
        self.k = k
        # What goes through a descriptor of the test; all else is mapped as it is.
        self.addresses = addresses
        self.code = code
        self.registers = registers
        # Registers whose value is 0 whatever it was computed from: they carry a dependency.
        self.depends: dict[str, tuple[int, ...]] = {}

    def execute(self, at: int) -> int:
        """Record one instruction; return where the next one is."""
        try:
            return self._execute(at, self.code[at])
        except (IndexError, KeyError, ValueError):
            # A register nobody set, an operand of another form.
            raise InputError(f"instruction {self.code[at]!r} is not modelled") from None

    def _execute(self, at: int, line: str) -> int:
        label, _, rest = line.rpartition(":") if re.match(r"\w+:", line) else ("", "", line)
        text = rest.strip()
        if not text:
            return at + 1
        if text in _FENCES:
            self.k.append("F", text, fence=_FENCES[text])
            return at + 1
        name, _, operands = text.partition(" ")
        parts = [part.strip() for part in operands.split(",")]
        if name in {"CBZ", "CBNZ"}:
            return self._branch(at, name, parts)
        if name == "TLBI":
            self._tlbi(text, parts)
        elif name in _ORDERS:
            self._access(name, text, parts, label)
        elif name == "MOV":
            self.registers[_register(parts[0])] = int(parts[1].lstrip("#"))
        elif name == "EOR" and parts[1] == parts[2]:
            value = self.registers[_register(parts[1])]
            loads = value.expression.loads if isinstance(value, Loaded) else ()
            self.registers[_register(parts[0])] = 0
            self.depends[_register(parts[0])] = loads
        elif name == "LSR" and parts[2] == "#12":
            self.registers[_register(parts[0])] = self.registers[_register(parts[1])]
        else:
            raise InputError(f"instruction {text!r} is not modelled")
        return at + 1

    def _branch(self, at: int, name: str, parts: list[str]) -> int:
        value = self.registers[_register(parts[0])]
        where = [i for i, line in enumerate(self.code) if line.startswith(f"{parts[1]}:")]
        if not where or where[0] <= at:
            raise InputError(f"label {parts[1]!r} does not come later")
        if where[0] == at + 1 and isinstance(value, Loaded):
            self.k.control(value)
            return at + 1
        taken = value == 0 if name == "CBZ" else value != 0
        return where[0] if taken else at + 1

    def _tlbi(self, text: str, parts: list[str]) -> None:
        kind = text.split()[1].partition(",")[0]
        addresses = [self.registers[_register(parts[1])]] if len(parts) > 1 else []
        how = "" if kind.endswith("IS") else "local"
        self.k.append("TLBI", text, scope=frozenset(addresses), how=how)

    def _access(self, name: str, text: str, parts: list[str], label: str) -> None:
        base = self.registers[_register(parts[1].split("[")[1])]
        addr: tuple[int, ...] = ()
        if len(parts) > 2:
            addr = self.depends.get(_register(parts[2]), ())
        place = {"va": base} if base in self.addresses else {"loc": base}
        rest: dict[str, Any] = {**place, "order": _ORDERS[name], "addr": addr}
        register = _register(parts[0])
        if name.startswith("LD"):
            number = self.k.append("R", text, reg=f"X{register[1:]}", label=label, **rest)
            self.registers[register] = Loaded(self.k, (number,), lambda v: v)
        else:
            value = self.registers.get(register, 0)
            data = value.expression.loads if isinstance(value, Loaded) else ()
            stored = value.expression if isinstance(value, Loaded) else value
            self.k.append("W", text, value=stored, data=data, **rest)
