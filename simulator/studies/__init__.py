# SPDX-License-Identifier: MIT
"""
Studies
-------

One question each, under one name: its scenarios, numbers, table and plots.  The scripts in
``scenarios/``, ``tlbsim study NAME`` and a notebook run the same ones.
"""

from __future__ import annotations

import importlib
from typing import Final

from simulator.errors import InputError, nearest
from simulator.studies.study import Findings, Option, Study, options_of

__all__ = ("Findings", "Option", "Study", "load_study", "options_of", "studies")

#: The class of each study, in the folder of its name.
_CLASSES: Final = {
    "batch_pmd_split": "BatchPmdSplit",
    "patch_review": "PatchReview",
    "posted_forms": "PostedForms",
    "is_it_safe": "IsItSafe",
    "memory_pressure": "MemoryPressure",
    "noise": "Noise",
    "synchronize_rcu": "SynchronizeRcu",
    "hvo_2021": "Hvo2021",
    "ipi_benchmark": "IpiBenchmarkStudy",
    "flush_ceiling": "FlushCeiling",
    "shootdown_cpus": "ShootdownCpus",
    "kernel_releases": "KernelReleases",
    "demotion": "Demotion",
    "boot": "Boot",
    "does_batching_still_pay": "DoesBatchingStillPay",
    "ordering_cost": "OrderingCost",
    "isolated_cpus": "IsolatedCpus",
}


def studies() -> tuple[str, ...]:
    """
    Return the names of the studies.

    >>> studies()[:2]
    ('batch_pmd_split', 'patch_review')
    """
    return tuple(_CLASSES)


def load_study(name: str) -> type[Study]:
    """
    Return the class of a study.

    >>> load_study("nose")
    Traceback (most recent call last):
      ...
    simulator.errors.InputError: unknown study 'nose' (did you mean 'noise'?)
    """
    if name not in _CLASSES:
        raise InputError(f"unknown study {name!r}{nearest(name, studies())}")
    found: type[Study] = getattr(
        importlib.import_module(f"simulator.studies.{name}"), _CLASSES[name]
    )
    return found
