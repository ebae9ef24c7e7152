# SPDX-License-Identifier: MIT
"""
What user space does, phase by phase
------------------------------------

A phase is a text, with or without a label of its own (``LABEL: ``) before it; ``=`` is
as good as a blank.  :func:`parse` reads one, :func:`plan` a whole list, in which each
must be able to follow those before it.

====================  ===================================================================
alloc, free           the scenario's pages, along its path, by all its allocators
write N               N to nr_hugepages: the pool grows, shrinks or stays
node0 write N         the same, to the file of a node
demote K              K to ``demote`` of the 1 GB pages: each becomes 512 pages of 2 MB
map N, unmap N        a process touches N pages, of the pool while it lasts and surplus
                      pages beyond; it gives them up again (``node0 map N``: it runs there)
node0 mbind N node1   N of the pages mapped on a node move to another one
exit                  the process ends, and with it all its mappings
boot N                pages of the kernel command line (``hugepages=N``), by as many tasks
                      as the version has; ``boot N threads T``: by T
hvo on, hvo off       vm.hugetlb_optimize_vmemmap is switched; no phase of its own
====================  ===================================================================

``write`` and ``boot`` are for pages of the scenario's size, with ``2M`` or ``1G`` before
them for others.

Labels, where none is given: ``alloc``, ``free``, ``alloc2``; ``grow100``, ``shrink100``
or ``same100`` by what the pool held, if it got all it asked for; ``demote1``, ``map64``;
a label that was there already gets ``_2``, ``_3``, ...
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from simulator.errors import InputError, nearest

__all__ = ("ACTIONS", "Phase", "parse", "plan")

#: The words of phases, and how each is written.
ACTIONS = {
    "alloc": "alloc",
    "free": "free",
    "write": "write N",
    "demote": "demote K",
    "map": "map N",
    "unmap": "unmap N",
    "mbind": "node0 mbind N node1",
    "exit": "exit",
    "boot": "boot N",
    "hvo": "hvo on|off",
}
_SIZES = ("2M", "1G")
_LABEL = re.compile(r"[A-Za-z0-9_.+-]{1,40}")
_NUMBER = re.compile(r"[0-9]{1,8}")
_NODE = re.compile(r"node([0-9]{1,4})")
_PER_GIGANTIC = 512


@dataclass(frozen=True)
class Phase:
    """
    One phase: what is done, to how many pages of a size.

    ``node`` is that of the file written to, or of the pages; ``to_node`` where pages
    move; ``threads`` the tasks of a boot; None where not given.
    """

    action: str
    number: int = 0
    page_size: str | None = None
    node: int | None = None
    to_node: int | None = None
    threads: int | None = None
    hvo: bool = True
    label: str = ""


def parse(text: str) -> Phase:
    """
    Return a phase of its text; InputError if it is none.

    >>> parse("node0 write=64")
    Phase(action='write', number=64, page_size=None, node=0, ...
    """
    label, colon, rest = text.rpartition(":")
    if colon and not _LABEL.fullmatch(label.strip()):
        raise InputError(f"{text!r}: {label!r} is no label; use letters, digits, _ . + -")
    words = rest.replace("=", " ").split()
    page_size = words.pop(0) if words and words[0] in _SIZES else None
    node = _node(words.pop(0)) if words and _NODE.fullmatch(words[0]) else None
    action = words.pop(0) if words else ""
    if action not in ACTIONS:
        hint = nearest(action, ACTIONS) if action else ""
        raise InputError(f"{text!r} is not one of {', '.join(ACTIONS.values())}{hint}")
    phase = Phase(action, page_size=page_size, node=node, label=label.strip())
    return _with_rest(text, phase, words)


def _with_rest(text: str, phase: Phase, words: list[str]) -> Phase:
    action = phase.action
    wrong = InputError(f"{text!r} is not {ACTIONS[action]!r}")
    if action == "hvo":
        if words not in (["on"], ["off"]) or phase.label:
            raise wrong
        phase = replace(phase, hvo=words == ["on"])
    elif action in ("alloc", "free", "exit"):
        if words:
            raise wrong
    else:
        if not words or not _NUMBER.fullmatch(words[0]):
            raise wrong
        phase = replace(phase, number=int(words[0]))
        phase = _with_end(phase, words[1:], wrong)
    if phase.node is not None and action not in ("write", "demote", "map", "mbind"):
        raise InputError(f"{text!r}: {action!r} has no node; leave it out")
    if phase.page_size is not None and action not in ("write", "boot"):
        raise InputError(f"{text!r}: {action!r} has no page size; leave it out")
    if action not in ("write", "alloc", "free", "exit", "hvo") and not phase.number:
        raise InputError(f"{text!r}: 0 pages; at least 1")
    return phase


def _with_end(phase: Phase, words: list[str], wrong: InputError) -> Phase:
    if phase.action == "mbind":
        if len(words) != 1 or phase.node is None or not _NODE.fullmatch(words[0]):
            raise wrong
        return replace(phase, to_node=_node(words[0]))
    if phase.action == "boot" and len(words) == 2 and words[0] == "threads":
        if not _NUMBER.fullmatch(words[1]) or not int(words[1]):
            raise wrong
        return replace(phase, threads=int(words[1]))
    if words:
        raise wrong
    return phase


def _node(word: str) -> int:
    return int(word.removeprefix("node"))


class _Pools:
    # What the pools and the process hold if every phase gets all it asks for.

    def __init__(self, nr_nodes: int) -> None:
        self.nr_nodes = nr_nodes
        self.nr: Counter[str] = Counter()
        self.nr_mapped = 0
        self.nr_allocs = 0
        self.nr_frees = 0
        self.nr_boots = 0  # of pages of one size, then of the other


def plan(
    texts: Iterable[str], page_size: str, pages: int, nr_nodes: int = 1 << 14
) -> tuple[Phase, ...]:
    """
    Return the phases of a list, with labels and sizes.

    Raises InputError for one that cannot follow those before it.

    >>> [phase.label for phase in plan(["alloc", "write 9", "hvo off", "free"], "2M", 4)]
    ['alloc', 'grow9', '', 'free']
    """
    pools = _Pools(nr_nodes)
    found: list[Phase] = []
    for number, text in enumerate(texts, 1):
        phase = parse(text)
        phase = replace(phase, page_size=phase.page_size or _size_of(phase, page_size))
        for node in (phase.node, phase.to_node):
            if node is not None and node >= nr_nodes:
                raise InputError(f"{text!r}: there is no node {node} (nearest: node{nr_nodes - 1})")
        _check_order(phase, text, number, pools)
        label = phase.label or _label(phase, page_size, pools)
        _account(phase, pages, pools)
        found.append(replace(phase, label=label))
    if all(phase.action == "hvo" for phase in found):
        raise InputError("is empty; the shortest is 'alloc'")
    return _unique(found)


def _size_of(phase: Phase, page_size: str) -> str:
    if phase.action == "demote":
        return "1G"
    return "2M" if phase.action in ("map", "unmap", "mbind", "exit") else page_size


def _check_order(phase: Phase, text: str, number: int, pools: _Pools) -> None:
    action = phase.action
    if action == "free" and not pools.nr_allocs:
        raise InputError("'free' without an 'alloc' before it; start with 'alloc'")
    if action in ("alloc", "free"):
        wanted = "alloc" if pools.nr_allocs == pools.nr_frees else "free"
        if action != wanted:
            raise InputError(f"{action!r} twice in a row; phase {number} must be {wanted!r}")
    if action == "demote" and not pools.nr["1G"]:
        raise InputError(f"{text!r}: there are no pages of 1G to demote; '1G write 1' first")
    if action in ("unmap", "mbind") and phase.number > pools.nr_mapped:
        near = f"{action} {pools.nr_mapped}" if pools.nr_mapped else "map 1"
        raise InputError(f"{text!r}: {pools.nr_mapped} pages are mapped (nearest: {near!r})")
    if action == "exit" and not pools.nr_mapped:
        raise InputError("'exit' of a process that has mapped nothing; 'map 1' first")
    if action == "boot" and number > 1 + pools.nr_boots:
        raise InputError(f"{text!r} is phase {number}; a boot is the first")


def _label(phase: Phase, page_size: str, pools: _Pools) -> str:
    action, number = phase.action, phase.number
    if action == "hvo":
        return ""
    if action in ("alloc", "free"):
        nth = 1 + (pools.nr_allocs if action == "alloc" else pools.nr_frees)
        return action if nth == 1 else f"{action}{nth}"
    if action in ("exit", "boot"):
        return action
    prefix = "" if phase.node is None else f"node{phase.node}_"
    if action != "write":
        return f"{prefix}{action}{number}"
    suffix = "" if phase.page_size == page_size else f"_{phase.page_size}".lower()
    held = pools.nr[str(phase.page_size)]
    verb = "write" if prefix else ("same", "grow", "shrink")[(number > held) - (number < held)]
    return f"{prefix}{verb}{number}{suffix}"


def _account(phase: Phase, pages: int, pools: _Pools) -> None:
    size, number = str(phase.page_size), phase.number
    pools.nr_boots += phase.action == "boot"
    if phase.action == "alloc":
        pools.nr_allocs += 1
        pools.nr[size] += pages
    elif phase.action == "free":
        pools.nr_frees += 1
        pools.nr[size] = max(0, pools.nr[size] - pages)
    elif phase.action in ("write", "boot"):
        # What a node holds besides is not followed: at least this many.
        held = pools.nr[size] if phase.node is not None else 0
        pools.nr[size] = max(held, number)
    elif phase.action == "demote":
        nr = min(number, pools.nr["1G"])
        pools.nr["1G"] -= nr
        pools.nr["2M"] += nr * _PER_GIGANTIC
    elif phase.action == "map":
        pools.nr_mapped += number
    elif phase.action == "unmap":
        pools.nr_mapped -= number
    elif phase.action == "exit":
        pools.nr_mapped = 0


def _unique(phases: Sequence[Phase]) -> tuple[Phase, ...]:
    seen: Counter[str] = Counter()
    found = []
    for phase in phases:
        seen[phase.label] += bool(phase.label)
        nth = seen[phase.label]
        found.append(phase if nth <= 1 else replace(phase, label=f"{phase.label}_{nth}"))
    labels = [phase.label for phase in found if phase.label]
    if len(set(labels)) < len(labels):
        ((twice, _),) = Counter(labels).most_common(1)
        raise InputError(f"the label {twice!r} is there twice; give each phase one of its own")
    return tuple(found)
