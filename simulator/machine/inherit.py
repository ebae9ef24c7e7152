# SPDX-License-Identifier: MIT
"""
A profile on top of another
---------------------------

A profile that inherits states only what differs.  What a source, a fit or a
description says of a value holds for that value alone: where the child states
another one it states kind and source as well, or it is ``assumed``, with what it
was changed from as its source; a value that was changed is no longer a fitted one,
and a machine that was changed is no longer described by its parent's words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ("inherited", "unsourced")

Table = dict[str, Any]

# Keys that describe one file and are not handed down to its children.
_OWN = ("abstract", "inherits", "name")
# Tables that replace the parent's as a whole: half of another family makes no sense.
_WHOLE = ("spread",)
_REMARKS = ("date", "machine", "note")
# What a child's key makes obsolete: remarks on another source, another distribution.
_REPLACES = {
    "source": _REMARKS,
    "spread": ("quantiles",),
    "quantiles": ("spread",),
}
# What a value is, apart from what is said about it.
_CONTENT = ("value", "unit", "quantiles")
_SHOWN = 4
_NEED_A_SOURCE = ("measured", "vendor", "derived")


def unsourced(parent: Table, child: Table) -> list[str]:
    """Return a line for each changed value with a kind but no source: whose measurement is it?"""
    return list(_unsourced(parent, child, ""))


def inherited(parent: Table, child: Table) -> Table:
    """Return what a child says on top of its parent, both as read from TOML."""
    changed: list[str] = []
    handed_down = {key: value for key, value in parent.items() if key not in _OWN}
    merged = _merge(handed_down, child, "", changed)
    if changed and "calibration" not in child and isinstance(merged.get("calibration"), list):
        merged["calibration"] = [
            fit for old in merged["calibration"] if (fit := _fit_without(old, changed, merged))
        ]
    if changed and not parent.get("abstract"):
        _describe(merged, parent, child, changed)
    return merged


def _merge(parent: Table, child: Table, where: str, changed: list[str]) -> Table:
    merged = dict(parent)
    for key, dropped in _REPLACES.items():
        if key in child:
            merged = {k: v for k, v in merged.items() if k not in dropped}
    for key, value in child.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and key not in _WHOLE:
            merged[key] = _merge(below, value, f"{where}{key}.", changed)
        else:
            merged[key] = value
    if _is_changed(parent, child):
        changed.append(where.removesuffix("."))
        _say_changed(merged, parent, child)
    return merged


def _unsourced(parent: Table, child: Table, where: str) -> Iterator[str]:
    if _is_changed(parent, child) and "source" not in child:
        if child.get("kind") in _NEED_A_SOURCE:
            yield (
                f"{where}: kind {child['kind']!r} needs a source: the value is no longer its"
                " parent's"
            )
        return
    for key, value in child.items():
        below = parent.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            yield from _unsourced(below, value, f"{where}.{key}".removeprefix("."))


def _is_changed(parent: Table, child: Table) -> bool:
    return _is_value(parent) and any(k in child and child[k] != parent.get(k) for k in _CONTENT)


def _is_value(table: Table) -> bool:
    return {"value", "kind", "source"} <= table.keys()


def _say_changed(merged: Table, parent: Table, child: Table) -> None:
    if "source" in child:
        merged["kind"] = child.get("kind", "assumed")
        return
    merged["kind"] = child.get("kind", "assumed")
    amount = f"{parent['value']} {parent.get('unit', '')}".rstrip()
    merged["source"] = f"changed from {amount} ({parent['kind']}: {parent['source']})"
    for key in _REMARKS:
        if key not in child:
            merged.pop(key, None)


# A fit without the values that were changed; None if none is left.
def _fit_without(fit: Any, changed: list[str], merged: Table) -> Any:
    if not isinstance(fit, dict) or not isinstance(fit.get("parameters"), list):
        return fit  # wrong, which the schema says better
    kept: list[str] = []
    for name in fit["parameters"]:
        of_it = [key for key in changed if key == name or key.startswith(f"{name}.")]
        kept += _others(str(name), of_it, merged) if of_it else [name]
    return fit | {"parameters": kept} if kept else None


# A parameter may be a table of values.
def _others(name: str, changed: list[str], merged: Table) -> Iterator[str]:
    node: Any = merged
    for part in name.split("."):
        node = node[part]
    for key, value in node.items():
        if isinstance(value, dict) and _is_value(value) and f"{name}.{key}" not in changed:
            yield f"{name}.{key}"


def _describe(merged: Table, parent: Table, child: Table, changed: list[str]) -> None:
    if "title" not in child and isinstance(parent.get("title"), str):
        merged["title"] = f"{parent['title'].removesuffix(', changed')}, changed"
    if "description" not in child:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        merged["description"] = (
            f"As {child.get('inherits')}, but for {', '.join(changed[:_SHOWN])}{more}."
        )
