# SPDX-License-Identifier: MIT
"""Files of counts, and what is wrong with them: one line that says where."""

from __future__ import annotations

import pytest

from simulator.errors import InputError
from simulator.published.counts import read_counts
from simulator.validation import boot_scenario
from tests.counted import COUNTS, Case
from tests.kernel.helpers import LAPTOP

HEADER = "kernel,vcpus,hvo,page_kb,n_pages,phase,pmd_splits,hugepage_allocs"


def test_the_packaged_file_has_the_columns_of_the_counts_frame():
    (columns,) = {tuple(phase.counts) for boot in read_counts() for phase in boot.phases}
    assert columns == COUNTS


def test_a_file_from_windows_with_columns_in_any_order_says_the_same(tmp_path):
    rows = Case("6.12", 4, 8, (2, 0)).rows()
    names = sorted(rows[0], reverse=True)
    lines = [",".join(names), *(",".join(str(row[name]) for name in names) for row in rows)]
    path = tmp_path / "dos.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines, "", ""]).encode())
    (boot,) = read_counts(path)
    assert (boot.kernel, boot.vcpus, boot.pages, boot.path) == ("v6.12", 4, 8, "pool")
    assert [dict(phase.counts) for phase in boot.phases] == [
        {name: row[name] for name in COUNTS} for row in rows
    ]


def test_kernels_are_spelled_with_and_without_v(tmp_path):
    path = tmp_path / "spelled.csv"
    path.write_text(f"{HEADER}\n6.6+8,2,on,2048,1,alloc,1,1\nv6.7,2,on,2048,1,alloc,1,1\n")
    assert [boot.kernel for boot in read_counts(path)] == ["v6.6+8", "v6.7"]


WRONG = [
    ("", "line 1: there are no columns; needed: kernel, vcpus, hvo, page_kb, n_pages, phase"),
    (f"{HEADER}\n", " has no rows"),
    ("kernel,vcpus\n", "line 1: column 'hvo' is missing"),
    (f"{HEADER},pmd_splits\n", "line 1: column 'pmd_splits' is there twice"),
    (f"{HEADER},flush_tlb_all\n", "unknown column 'flush_tlb_all' (did you mean 'flush_tlb_all_"),
    (f"{HEADER}\n6.1,2,on\n", "line 2: 3 fields for 8 columns"),
    (f'{HEADER}\n6.1,2,"on\n', "line 2: unexpected end of data"),
    (
        f"{HEADER}\n6.13,2,on,2048,1,alloc,1,1\n",
        "line 2: kernel: '6.13' is not known (nearest: 6.12)",
    ),
    (f"{HEADER}\n6.2,2,on,2048,1,alloc,1,1\n", "kernel: '6.2' is not known (nearest: 6.1)"),
    (f"{HEADER}\nlinux,2,on,2048,1,alloc,1,1\n", "kernel: 'linux' is not known; known: "),
    (f"{HEADER}\n6.1,two,on,2048,1,alloc,1,1\n", "vcpus: 'two' is not a whole number, 1 or more"),
    (f"{HEADER}\n6.1,0,on,2048,1,alloc,1,1\n", "vcpus: 0 is below 1"),
    (f"{HEADER}\n6.1,9,on,2048,1,alloc,1,1\n", "vcpus: 9 is more than the 8 CPUs of laptop-8"),
    (f"{HEADER}\n6.1,2,yes,2048,1,alloc,1,1\n", "hvo: 'yes' is not known; known: on, off"),
    (f"{HEADER}\n6.1,2,onn,2048,1,alloc,1,1\n", "hvo: 'onn' is not known (did you mean 'on'?)"),
    (f"{HEADER}\n6.1,2,on,4,1,alloc,1,1\n", "page_kb: '4' is not 2048 or 1048576 (nearest: 2048)"),
    (f"{HEADER}\n6.1,2,on,2048,-1,alloc,1,1\n", "n_pages: -1 is below 1"),
    (f"{HEADER}\n6.1,2,on,2048,99999999,alloc,1,1\n", "n_pages: must be 1 to 16777216"),
    (f"{HEADER}\n6.1,2,on,2048,1,aloc,1,1\n", "(did you mean 'alloc'?)"),
    (f"{HEADER}\n6.1,2,on,2048,1,alloc1,1,1\n", "phase: 'alloc1' is not alloc, free, alloc2"),
    (f"{HEADER}\n6.1,2,on,2048,1,alloc,1,many\n", "hugepage_allocs: 'many' is not a whole number"),
    (f"{HEADER}\n6.1,2,on,2048,1,alloc,1,1.0\n", "hugepage_allocs: '1.0' is not a whole number"),
    (f"{HEADER}\n6.1,2,on,2048,8,alloc,9,8\n", "pmd_splits: 8 pages of 2M cannot lie in 9 PMDs"),
    (f"{HEADER}\n6.1,2,on,1048576,2,alloc,8,8\n", "cannot lie in 8 PMDs of laptop-8, only in 16"),
    (
        f"{HEADER}\n6.1,2,on,2048,8,alloc,1,8\n6.1,2,on,2048,8,alloc2,9,8\n",
        "line 3: pmd_splits: 8 pages of 2M cannot lie in 9 new PMDs of laptop-8, only in 0 to 8",
    ),
    (
        f"{HEADER}\n6.1,2,on,2048,8,free,0,0\n6.1,2,on,2048,8,free,0,0\n",
        "line 3: phase: 'free' comes after 'free'; a boot begins with 'alloc'",
    ),
    (
        f"{HEADER},mode\n6.1,2,on,2048,8,alloc,1,8,surplus\n",
        "mode: 'surplus' is not known (did you",
    ),
    (f"{HEADER},mode\n6.1,2,on,1048576,1,alloc,8,1,surp\n", "mode: 1G pages have no 'surplus'"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=lambda value: value[-30:])
def test_what_is_wrong_is_said_in_one_line(tmp_path, text, message):
    path = tmp_path / "counts.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        [boot_scenario(boot, LAPTOP) for boot in read_counts(path)]
    found = str(error.value)
    assert found.startswith(f"counts: {path}")
    assert message in found
    assert "\n" not in found


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"counts: .*absent\.csv: no such file"):
        read_counts(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"kernel\xff\n")
    with pytest.raises(InputError, match=r"binary\.csv: not text"):
        read_counts(tmp_path / "binary.csv")
