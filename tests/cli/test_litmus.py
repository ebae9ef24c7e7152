# SPDX-License-Identifier: MIT
"""
``tlbsim litmus``
-----------------

Oracle: what the command's help and the documentation say it prints.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "publish.py"
SB = [
    [["W", "x", 1, {}], ["R", "r0", "y", {}]],
    [["W", "y", 1, {}], ["R", "r0", "x", {}]],
]
ROW = {
    "name": "SB",
    "final": "0:r0=0 && 1:r0=0",
    "sc": "Never",
    "tso": "Sometimes",
    "arm64": "Sometimes",
    "lkmm": "Sometimes",
    "threads_json": json.dumps(SB),
}


@pytest.fixture
def tests_csv(tmp_path):
    def write(*rows):
        text = io.StringIO()
        writer = csv.DictWriter(text, list(ROW))
        writer.writeheader()
        writer.writerows({**ROW, **row} for row in rows)
        path = tmp_path / "tests.csv"
        path.write_text(text.getvalue(), encoding="utf-8")
        return path

    return write


def test_a_row_has_the_verdict_of_each_model(tlbsim, tests_csv):
    done = tlbsim("litmus", "--from", tests_csv({}), "--json")
    assert done.status == 0
    assert [row["model"] for row in done.json] == ["sc", "tso", "arm64"]
    for row in done.json:
        assert row["test"] == "SB"
        assert row["verdict"] == row["expected"] == ROW[row["model"]]
        assert row["lkmm"] == "Sometimes"
        assert row["states"] >= row["final_states"] == (3 if row["model"] == "sc" else 4)
        assert row["seconds"] >= 0


def test_a_verdict_that_differs_is_status_1_and_is_marked(tlbsim, tests_csv):
    path = tests_csv({}, {"name": "SB again", "tso": "Never"})
    done = tlbsim("litmus", "--from", path)
    assert done.status == 1
    assert "SB again, tso: Sometimes, expected Never" in done.out
    assert re.search(r"^SB again +Never +Sometimes \(!\) +Sometimes +Sometimes$", done.out, re.M)
    assert tlbsim("litmus", "--from", path, "--model", "sc").status == 0


def test_a_verdict_that_is_not_known_differs_from_nothing(tlbsim, tests_csv):
    done = tlbsim("litmus", "--from", tests_csv({"tso": "", "lkmm": ""}), "--json")
    assert done.status == 0
    assert [row["expected"] for row in done.json] == ["Never", None, "Sometimes"]


def test_the_shortest_interleaving_has_a_column_for_each_cpu(tlbsim):
    done = tlbsim("litmus", "SB+po+po", "--model", "tso")
    assert done.status == 0
    lines = done.out.split("tso: the condition after 4 steps\n")[1].splitlines()
    assert sorted(line.split(maxsplit=1)[1] for line in lines[2:]) == [
        "WRITE_ONCE(x, 1)",
        "WRITE_ONCE(y, 1)",
        "r0 = READ_ONCE(x) -> 0",
        "r0 = READ_ONCE(y) -> 0",
    ]
    assert len({re.search(r"[a-zW(]", line).start() for line in lines[2:]}) == 2


def test_all_protocols_are_listed_and_print_what_fits_a_mail(tlbsim):
    listed = tlbsim("litmus", "--list", "--json").json
    assert len(listed) == len({row["test"] for row in listed})
    for row in listed:
        if row["kind"] == "protocol":
            done = tlbsim("litmus", row["test"])
            assert done.status == 0
            assert max(map(len, done.out.splitlines())) <= 72
    names = {
        line.split()[0] for line in tlbsim("litmus", "--list").out.splitlines() if line.strip()
    }
    assert {row["test"] for row in listed} <= names


def test_lkmm_is_shown_beside_and_not_explored(tlbsim):
    # Acquires do not forbid IRIW to LKMM, which is weaker than both machines there.
    done = tlbsim("litmus", "IRIW+acq+acq")
    assert re.search(r"^tso +Never +Never ", done.out, re.M)
    assert re.search(r"^lkmm +\(not explored\) +Sometimes ", done.out, re.M)


# -- files of one's own ---------------------------------------------------------------------------


def test_the_example_of_the_documentation_is_mended_by_the_barrier_that_it_names(tlbsim, tmp_path):
    code = EXAMPLE.read_text(encoding="utf-8")
    path = tmp_path / "mine.py"
    path.write_text(code, encoding="utf-8")
    assert tlbsim("litmus", path, "--model", "arm64").status == 1
    mended = code.replace("        k.require", "        k.smp_rmb()\n        k.require")
    path.write_text(mended, encoding="utf-8")
    assert tlbsim("litmus", path).status == 0


def test_an_assembly_test_is_a_file_too(tlbsim, tmp_path):
    path = tmp_path / "test.litmus"
    path.write_text(
        "AArch64 V2I\n{\n0:X2=PTE(x); [PTE(x)]=(oa:PA(x)); 0:X3=x;\n0:X10=(valid:0); 1:X6=x;\n}\n"
        "P0           |P1             ;\nSTR X10,[X2] |L0:LDR W4,[X6] ;\n"
        "exists (fault(P1:L0,x))\n",
        encoding="utf-8",
    )
    done = tlbsim("litmus", path, "--json")
    assert [(row["model"], row["verdict"]) for row in done.json] == [("arm64", "Sometimes")]


# -- what a user did wrong ------------------------------------------------------------------------


def refused(done):
    assert (done.status, done.out) == (2, "")
    assert done.err.count("\n") == 1
    return done.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["batch-no-final-flsh"], "(did you mean 'batch-no-final-flush'?)"),
        (["SB+po+po", "--model", "arm46"], "there is no 'arm46' (did you mean 'arm64'?)"),
        (["batch-no-last-dsb", "--model", "tso"], "means nothing under tso; known: arm64"),
        ([], "give one of NAME, --list, --all, --from FILE"),
        (["SB+po+po", "--all"], "give one of NAME, --list, --all, --from FILE"),
        (["--from", "nowhere.csv"], "nowhere.csv: no such file"),
        (["nowhere.py"], "nowhere.py: no such file"),
        (["tests.csv"], "did you mean --from tests.csv?"),
        (["IRIW+po+po", "--states", "50"], "more than 50 states under sc (limit)"),
        (["SB+po+po", "--states", "0"], "states: 0 is less than 1"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_line(tlbsim, argv, said):
    assert said in refused(tlbsim("litmus", *argv))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"tso": "Nver"}, "column tso: 'Nver' is not one of Never, Sometimes, Always"),
        ({"threads_json": "[[["}, "column threads_json: no JSON"),
        ({"threads_json": "{}"}, "column threads_json: not a list of threads"),
        ({"threads_json": '[[["Q"]]]'},
         'column threads_json: thread 0, operation 0: ["Q"] is none of'),
        ({"threads_json": '[[["F", "rbm"]]]'}, "fence 'rbm' is none of mb, wmb, rmb"),
        ({"threads_json": '[[["W", "x", "1", {}]]]'}, "value \"1\" is no whole number"),
        ({"threads_json": '[[["R", "r0", "x", {"dep": "addr", "on": "r9"}]]]'},
         'register "r9" was not loaded before'),
        ({"threads_json": '[[["R", "r0", "x", {"oder": "acquire"}]]]'},
         "unknown option 'oder' (did you mean 'order'?)"),
        ({"final": "0:r9=1"}, "column final: the program has no '0:r9' (did you mean '0:r0'?)"),
        ({"final": "0:r0=0 &&"}, "column final: a term is missing"),
        ({"final": "0:r0 is 0"}, "column final: cannot read '0:r0 is 0'"),
        ({"name": ""}, "column name: empty"),
        ({"name": "SB"}, "column name: 'SB' stands in line 2 already"),
    ],
)  # fmt: skip
def test_a_malformed_row_is_named_by_line_and_column(tlbsim, tests_csv, row, said):
    error = refused(tlbsim("litmus", "--from", tests_csv({}, {"name": "second", **row})))
    assert "tests.csv, line 3" in error
    assert said in error


def test_a_table_without_a_column_that_is_needed_is_refused(tlbsim, tmp_path):
    path = tmp_path / "tests.csv"
    path.write_text("name,final,thread_json\n", encoding="utf-8")
    error = refused(tlbsim("litmus", "--from", path))
    assert "no column threads_json (did you mean 'thread_json'?)" in error


HEAD = "from simulator.ordering.litmus import Protocol\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\n", "makes no Protocol"),
        ("1 / 0\n", "mine.py, line 1: ZeroDivisionError"),
        ("def f(:\n", "mine.py, line 1: SyntaxError"),
        (HEAD + "def f(k):\n    k.WRITE_ONC('x', 1)\np = Protocol('p', '', (f,))\n",
         "mine.py, line 3: AttributeError"),
        (HEAD + "def f(k):\n    while True:\n        k.smp_mb()\np = Protocol('p', '', (f,))\n",
         "f: more than 60 operations on one path (limit)"),
        (HEAD + "def f(k):\n    k.WRITE_ONCE('x', 1)\n"
         "p = Protocol('p', '', (f,), at_end={'a': lambda final: final['y']})\n",
         "mine.py, line 4: KeyError: 'y'"),
        (HEAD + "def f(k):\n    k.read('haed')\nfrom simulator.ordering.litmus import Translation\n"
         "p = Protocol('p', '', (f,), translation=Translation({'': {'head': 'pte'}}))\n",
         "p: no table translates address 'haed' (did you mean 'head'?)"),
        (HEAD + "def f(k): pass\np = Protocol('p', '', (f,), expected={'tos': 'safe'})\n",
         "there is no model 'tos' (did you mean 'tso'?)"),
        (HEAD + "def f(k): pass\np = Protocol('p', '', (f,), expected={'tso': 'save'})\n",
         "'save' is not one of safe, unsafe (did you mean 'safe'?)"),
    ],
)  # fmt: skip
def test_a_protocol_that_cannot_run_is_one_line(tlbsim, tmp_path, code, said):
    path = tmp_path / "mine.py"
    path.write_text(code, encoding="utf-8")
    assert said in refused(tlbsim("litmus", path))
