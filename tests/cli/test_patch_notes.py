# SPDX-License-Identifier: MIT
"""
What reports say of a user's patch
----------------------------------

Oracle: the file below, read by eye, and sha256sum of it.
"""

from __future__ import annotations

import hashlib

import pytest

from simulator.kernel import load_kernel
from simulator.kernel.replaced import patch_notes

PATCH = '''\
from simulator.kernel.versions.v6_12 import V6_12


class Mine(V6_12):
    """Helpers, replacements, and one name that is misspelt."""

    name = "my patch"
    base = "v6.12"
    subject = "hugetlb: try"

    def split_folios(k, h, folio_list):
        k.my_helper(folio_list)
        super().split_folios(h, folio_list)

    def my_helper(k, folio_list):
        pass

    def flush_bach(k, reason):
        pass

    def flush_tlb_all(k, reason):
        super().flush_tlb_all(reason)
'''


@pytest.fixture
def patch(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PATCH, encoding="utf-8")
    return path


def test_what_is_replaced_and_what_nothing_calls_is_named(patch):
    digest = hashlib.sha256(PATCH.encode()).hexdigest()[:8]
    assert patch_notes(load_kernel(patch)) == [
        f"my patch ({digest}) replaces split_folios, flush_tlb_all",
        "my patch: flush_bach() overrides nothing, and nothing calls it"
        " (did you mean 'flush_batch'?)",
    ]
    assert patch_notes(load_kernel("v6.12")) == []


def test_run_and_compare_say_it_under_the_name_of_the_kernel(patch, tlbsim):
    small = ("--machine", "laptop-8", "--pages", "2", "--cpus", "2")
    run = tlbsim("run", *small, "--kernel", str(patch)).out
    assert "\nkernel     my patch\n" in run
    assert "replaces split_folios, flush_tlb_all" in " ".join(run.split())
    kernels = ("--kernel", "v6.12", "--kernel", str(patch))
    compared = tlbsim("compare", *small, *kernels, "--replications", "1").out
    assert "\n  my patch " in compared
    assert "overrides nothing, and nothing calls it" in " ".join(compared.split())
    assert str(patch) not in compared
