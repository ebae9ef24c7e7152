# SPDX-License-Identifier: MIT
"""
What a phase may say
--------------------

Oracles: the labels of the packaged counts, and mm/hugetlb.c read by hand.
"""

from __future__ import annotations

import pytest

from simulator.errors import InputError
from simulator.kernel.phases import parse, plan
from simulator.scenario import Scenario
from tests.kernel.helpers import LAPTOP, column, run


def labels(*texts, size="2M", pages=64):
    return [phase.label for phase in plan(texts, size, pages)]


def test_labels_are_those_of_the_counts():
    assert labels("alloc", "free", "alloc", "free") == ["alloc", "free", "alloc2", "free2"]
    writes = ("write 100", "write 512", "write 100", "write 0", "write 0")
    assert labels(*writes) == ["grow100", "grow512", "shrink100", "shrink0", "same0"]
    assert labels("alloc", "demote 1", size="1G") == ["alloc", "demote1"]
    assert labels("one: write 1", "migr16: write 0") == ["one", "migr16"]


def test_a_label_that_is_there_already_gets_a_number():
    assert labels("map 1", "map 1", "unmap 2", "map 1") == ["map1", "map1_2", "unmap2", "map1_3"]


def test_an_equals_sign_is_a_blank():
    assert parse("demote=1") == parse("demote 1")
    assert parse("1G boot=2 threads=4") == parse("1G boot 2 threads 4")


def test_switching_hvo_is_no_phase_of_its_own():
    s = Scenario(machine=LAPTOP, pages=1, phases=("hvo off", "write 1", "hvo on", "write 2"))
    assert s.phase_labels == ("grow1", "grow2")
    counts = run("v6.12", pages=1, cpus=2, phases=s.phases).counts
    assert counts["vmemmap_head_pages_allocated"].tolist() == [0, 1]


WRONG = [
    (("wite 3",), "'wite 3' is not one of alloc, free, write N"),
    (("wite 3",), "(did you mean 'write'?)"),
    (("write",), "'write' is not 'write N'"),
    (("write 3 4",), "'write 3 4' is not 'write N'"),
    (("demote 1",), "there are no pages of 1G to demote; '1G write 1' first"),
    (("alloc", "alloc"), "'alloc' twice in a row; phase 2 must be 'free'"),
    (("map 3", "unmap 4"), "3 pages are mapped (nearest: 'unmap 3')"),
    (("write 3", "unmap 1"), "0 pages are mapped (nearest: 'map 1')"),
    (("exit",), "'exit' of a process that has mapped nothing"),
    (("node1 write 3",), "there is no node 1 (nearest: node0)"),
    (("write 1", "boot 3"), "'boot 3' is phase 2; a boot is the first"),
    (("node0 alloc",), "'alloc' has no node; leave it out"),
    (("1G map 1",), "'map' has no page size; leave it out"),
    (("map 0",), "0 pages; at least 1"),
    (("hvo maybe",), "'hvo maybe' is not 'hvo on|off'"),
    (("hvo off",), "is empty; the shortest is 'alloc'"),
    (("a: write 1", "a: write 2"), None),
    (("grow2_2: write 2", "write 0", "write 2", "write 0", "write 2"), "'grow2_2' is there twice"),
]


@pytest.mark.parametrize(("texts", "message"), WRONG, ids=str)
def test_what_cannot_be_gets_one_line(texts, message):
    if message is None:
        assert labels(*texts) == ["a", "a_2"]
        return
    with pytest.raises(InputError) as error:
        Scenario(machine=LAPTOP, pages=1, phases=texts)
    found = str(error.value)
    assert found.startswith("phases: ")
    assert message in found
    assert "\n" not in found


def test_a_kernel_before_demotion_has_none():
    with pytest.raises(InputError, match=r"phases: v5\.14 has no 'demote 1'"):
        Scenario(
            machine=LAPTOP, kernel="v5.14", pages=1, page_size="1G", phases=("alloc", "demote 1")
        )


def test_other_phases_have_their_own_path():
    with pytest.raises(InputError, match="path: 'write 1' has its own; use 'pool'"):
        Scenario(machine=LAPTOP, pages=1, path="surplus", phases=("write 1",))


def test_more_pages_than_fit_are_a_partial_pool():
    fit = LAPTOP.nr_nodes * int(LAPTOP.memory.node_memory.exact_bytes) // 2**30
    result = run("v6.12", pages=1, cpus=1, page_size="1G", phases=(f"write {fit + 9}",))
    assert column(result.counts, "pages_got", f"grow{fit + 9}") == fit
