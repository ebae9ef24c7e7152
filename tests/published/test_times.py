# SPDX-License-Identifier: MIT
"""Files of timings: the published one by hand, and one line for whatever is wrong with a file."""

from __future__ import annotations

import pytest

from simulator.errors import InputError
from simulator.published.times import of_machine, read_timings

HEADER = "machine,kernel,hvo,phase,n_pages,page_kb,real_s,source"
ROW = "box,6.1,off,alloc,1024,2048,0.1234567,mail"


def read(tmp_path, *lines):
    file = tmp_path / "times.csv"
    file.write_text("\n".join(lines) + "\n")
    return read_timings(file)


def test_a_row_is_a_timing(tmp_path):
    (t,) = read(tmp_path, HEADER, ROW)
    assert (t.machine, t.kernel, t.release, t.hvo) == ("box", "v6.1", "6.1", False)
    assert (t.phase, t.pages, t.page_size) == ("alloc", 1024, "2M")
    assert (t.elapsed_ns, t.source, t.line) == (123_456_700, "mail", 2)


def test_columns_may_come_in_any_order_and_without_a_source(tmp_path):
    (t,) = read(
        tmp_path,
        "real_s,machine,kernel,phase,hvo,page_kb,n_pages",
        "1.5,box,v6.6,free2,on,1048576,8",
    )
    assert (t.kernel, t.phase, t.hvo, t.page_size) == ("v6.6", "free2", True, "1G")
    assert t.source == "times.csv"


def test_a_time_may_be_as_the_shell_prints_it(tmp_path):
    (t,) = read(tmp_path, HEADER, ROW.replace("0.1234567", "2m27.609s"))
    assert t.elapsed_ns == 147_609_000_000


@pytest.mark.parametrize("column", ["note", "comment"])
def test_a_column_for_remarks_is_no_error_and_changes_nothing(tmp_path, column):
    assert read(tmp_path, f"{HEADER},{column}", f"{ROW},after a reboot") == read(
        tmp_path, HEADER, ROW
    )


WRONG = [
    ((), "there are no columns; needed: machine, kernel, hvo"),
    ((HEADER,), "has no rows"),
    ((HEADER.replace("phase", "phases"), ROW), "unknown column 'phases' (did you mean 'phase'?)"),
    ((HEADER + ",hvo", ROW + ",on"), "column 'hvo' is there twice"),
    ((HEADER.replace(",hvo", ""), ROW), "column 'hvo' is missing"),
    ((HEADER, ROW, ROW + ",more"), "line 3: 9 fields for 8 columns"),
    ((HEADER, ROW.replace("off", "of")), "line 2: hvo: 'of' is not known (did you mean 'off'?)"),
    ((HEADER, ROW.replace("alloc", "allocate")), "line 2: phase: 'allocate' is not alloc, free"),
    ((HEADER, ROW.replace("1024", "0")), "n_pages: 0 is below 1"),
    ((HEADER, ROW.replace("1024", "1e3")), "n_pages: '1e3' is not a whole number"),
    ((HEADER, ROW.replace("2048", "4")), "page_kb: '4' is not 2048 or 1048576 (nearest: 2048)"),
    ((HEADER, ROW.replace("0.1234567", "2m27")), "'2m27' is not a number of seconds, nor a time"),
    ((HEADER, ROW.replace("0.1234567", "0m0s")), "real_s: '0m0s' is not a time above 0 s"),
    ((HEADER + ",node", ROW + ",x"), "unknown column 'node' (did you mean 'note'?)"),
    ((HEADER, ROW.replace("0.1234567", "-1")), "real_s: '-1' is not a time above 0 s"),
    ((HEADER, ROW.replace("0.1234567", "nan")), "real_s: 'nan' is not a time above 0 s"),
    ((HEADER, ROW.replace("0.1234567", "inf")), "real_s: 'inf' is not a time above 0 s"),
    ((HEADER, ROW.replace("0.1234567", "1e9")), "real_s: '1e9' is not a time below 1,000,000,000"),
    ((HEADER, ROW.replace("6.1", "")), "line 2: kernel: is empty"),
    ((HEADER, 'a,"b'), "line 2: unexpected end of data"),
]


@pytest.mark.parametrize(("lines", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_file_is_one_line(tmp_path, lines, message):
    with pytest.raises(InputError) as error:
        read(tmp_path, *lines)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"times: .*nowhere\.csv: no such file"):
        read_timings(tmp_path / "nowhere.csv")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not text: byte"):
        read_timings(tmp_path / "binary")


def test_a_file_of_one_machine_is_about_that_one(tmp_path):
    timings = read(tmp_path, HEADER, ROW)
    assert of_machine(timings, "laptop-8") == timings
    two = read(tmp_path, HEADER, ROW, ROW.replace("box", "rack"))
    assert [t.line for t in of_machine(two, "rack")] == [3]
    with pytest.raises(InputError, match="no row is of 'laptop-8', only of box, rack"):
        of_machine(two, "laptop-8")


def test_a_machine_that_is_all_but_the_one_asked_for_is_misspelt(tmp_path):
    timings = read(tmp_path, HEADER, ROW.replace("box", "laptpo-8"))
    with pytest.raises(InputError, match=r"line 2: .*'laptpo-8' .*did you mean 'laptop-8'\?"):
        of_machine(timings, "laptop-8")
    assert of_machine(timings, "laptop-8", "laptpo-8") == timings
    with pytest.raises(InputError, match=r"times-of: no row is of 'laptop-8'"):
        of_machine(timings, "laptpo-8", "laptop-8")
