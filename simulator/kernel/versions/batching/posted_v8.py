# SPDX-License-Identifier: MIT
"""
v6.6+6@v8: batch PMD split for bulk vmemmap dedup, as posted last
-----------------------------------------------------------------

The form that was merged: ``v6.6+6`` by another name.

Source: 20231019023113.345257-7-mike.kravetz@oracle.com (6/8).
"""

from __future__ import annotations

from simulator.kernel.versions.batching.patch6 import V6_6_6

__all__ = ("V6_6_6_V8",)


class V6_6_6_V8(V6_6_6):
    """The merged form."""

    name = "v6.6+6@v8"
    base = "v6.6"
    subject = "[PATCH v8 6/8] hugetlb: batch PMD split for bulk vmemmap dedup"
    commit = "f4b7e3efaddb"
    summary = "v6.6+6 by another name"
