# SPDX-License-Identifier: MIT
"""
The study of verdicts
---------------------

Oracle: what the postings and the changelog of Linux say of each kernel, and nothing for a
user's own, which is only judged.
"""

from __future__ import annotations

import pytest

from simulator.studies.is_it_safe import CLASSES, IsItSafe

PATCH = '''\
from simulator.kernel.versions.v6_12 import V6_12


class Mine(V6_12):
    """No flush at all."""

    name = "mine"
    base = "v6.12"
    subject = "hugetlb: do not flush"

    def flush_batch(k, reason):
        pass
'''


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    patch = tmp_path_factory.mktemp("kernel") / "mine.py"
    patch.write_text(PATCH, encoding="utf-8")
    kernels = ("v6.12", "v6.7-no-pte-wmb", str(patch))
    return IsItSafe(kernel=kernels, pages=3).run()


def test_verdicts_are_those_of_the_postings_and_of_linux(found):
    broken = {(row["kernel"], row["machine"]): row["found"] for row in found.rows()}
    assert broken["v6.12", "x86-64"] == "safe"
    assert broken["v6.7-no-pte-wmb", "x86-64, head written"] == "write-lost"
    assert broken["v6.12", "x86-64, head written"] == "safe"
    assert broken["v6.12", "arm64"] == "needs-bbm"
    assert broken["v6.7-no-pte-wmb", "x86-64"] == "safe"
    assert broken["v6.7-no-pte-wmb", "weakly ordered"] == "contents-before-pte"
    # Without any flush: rule S, then the pages.
    assert broken["mine", "x86-64"] == "freed-while-held, size-and-frame"
    assert all(row["as_expected"] for row in found.rows())


def test_a_table_for_each_machine_class_has_expected_beside_found(found):
    text = found.text()
    assert max(map(len, text.splitlines())) <= 72
    assert text.isascii()
    for name in CLASSES:
        assert f"\n{name}\n{'-' * len(name)}\nkernel" in text
    judged = 2 * len(CLASSES)  # nobody has said what the file breaks
    assert f"{judged} of {judged} verdicts are as expected" in " ".join(text.split())
    rows = [line.split() for line in text.splitlines() if line.startswith("v6.7-no-pte-wmb ")]
    barrier = "contents-before-pte"
    assert rows[::2] == [["v6.7-no-pte-wmb", word, word] for word in ("safe", barrier)]
