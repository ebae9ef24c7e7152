# SPDX-License-Identifier: MIT
"""The oracle of the compiled engine is the events engine: every frame, integer for integer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import simulator as sim
from tests.agreement.equality import SMALL, differences

ROOT = Path(__file__).parents[2]
MACHINES = ("laptop-8", "epyc-7j13-vm252", "xeon-e7-8895-8s")


@st.composite
def scenarios(draw):
    machine = draw(st.sampled_from(MACHINES))
    many = machine != "laptop-8"
    cpus = draw(st.integers(1, 8) | st.integers(9, 70) if many else st.integers(1, 8))
    allocators = draw(st.integers(1, min(cpus, 64)))
    page_size = draw(st.sampled_from(["2M", "2M", "2M", "1G"]))
    most = 3 if page_size == "1G" else 40
    pages = draw(st.integers(min(allocators, most), most))
    ordinals = st.lists(st.integers(1, 30), max_size=3)
    return {
        "machine": machine,
        "cpus": cpus,
        "page_size": page_size,
        "pages": pages,
        "allocators": min(allocators, pages),
        "kernel": draw(st.sampled_from(sim.kernels())),
        "path": draw(st.sampled_from(["pool", "boot"] + ["surplus"] * (page_size == "2M"))),
        "hvo": draw(st.sampled_from([True, True, True, False])),
        "noise": draw(st.sampled_from(["quiet", "idle", "busy", "overcommitted"])),
        "placement": draw(st.sampled_from(["aligned", "random"])),
        "phases": draw(st.sampled_from([("alloc", "free"), ("alloc", "free", "alloc")])),
        "faults": {kind: draw(ordinals) for kind in ("pte_page", "head_page", "restore_page")},
        "free_pages": draw(st.none() | st.integers(0, 300)),
        "tunables": {"tlb_single_page_flush_ceiling": draw(st.sampled_from([0, 7, 33]))},
        "seed": draw(st.integers(0, 1000)),
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios())
def test_every_frame_of_a_random_scenario_equals_the_events_engine(fields):
    assert differences(fields) == []


@pytest.mark.parametrize("fields", SMALL, ids=lambda fields: fields.get("path", "pool"))
def test_small_scenarios_are_equal(fields):
    assert differences(fields) == []


def test_tasks_that_start_together_go_in_the_order_of_their_cpus():
    """Also in a second phase, whose first nanosecond SimPy's present may be in already."""
    for seed in range(12):
        fields = {"cpus": 6, "pages": 9, "path": "surplus", "allocators": 3, "seed": seed}
        assert differences({**fields, "phases": ("alloc", "free", "alloc")}) == []


def run_without_numba(package_parent, tmp_path):
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "numba.py").write_text('raise ImportError("not here")\n')
    path = os.pathsep.join([str(stub), str(package_parent)])
    return subprocess.run(
        [sys.executable, ROOT / "tests" / "agreement" / "equality.py"],
        env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_without_numba_the_same_source_gives_the_same_answers_and_no_warning(tmp_path):
    done = run_without_numba(ROOT, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


BROKEN = (
    ("together/queues.py", "if 0 <= drain_ns <= t_ns:", "if 0 <= drain_ns <= t_ns - 50:"),
    (
        "together/queues.py",
        "max(s[line + CPU.next_refill_ns], ",
        "(s[line + CPU.next_refill_ns] + ",
    ),
    ("together/queues.py", "if s[i] >= from_ns:", "if s[i] > from_ns + 200:"),
    ("together/queues.py", "sent) + cell] = s[line + CPU.queued] == 0", "sent) + cell] = 1"),
    ("rules/answers.py", "if busy_until_ns > arrive_ns:", "if busy_until_ns > arrive_ns + 10000:"),
    ("rules/answers.py", "max(begin_ns, busy_until_ns)", "begin_ns"),
    ("together/stages.py", "end_ns + refill_ns + left_ns", "end_ns + left_ns"),
    ("together/stages.py", "TASK.wait_ns] = end_ns\n", "TASK.wait_ns] = end_ns + refill_ns\n"),
    ("together/stages.py", "elif s[words + TASK.irqs_off]:", "elif False:"),
    (
        "together/stages.py",
        "max(s[words + TASK.idle_from_ns], s[part(s, S.busy_until) + cpu])",
        "s[words + TASK.idle_from_ns]",
    ),
    (
        "together/stages.py",
        "_enter(m, s, slot, FOUND.irqs_off, now_ns)",
        "_enter(m, s, slot, FOUND.running, now_ns)",
    ),
    (
        "together/tasks.py",
        "if not 0 < next_key <= own_key:",
        "if not 0 < next_key <= own_key - (300 << 14):",
    ),
    ("together/tasks.py", "if own_key != event_key:", "if own_key < event_key:"),
    ("together/tasks.py", "if busy_until_ns > t_ns:", "if busy_until_ns > t_ns + 300:"),
)


@pytest.mark.parametrize(("file", "rule", "broken"), BROKEN, ids=lambda text: text[:40])
def test_a_broken_rule_is_caught(tmp_path, file, rule, broken):
    shutil.copytree(
        ROOT / "simulator", tmp_path / "simulator", ignore=shutil.ignore_patterns("__pycache__")
    )
    source = tmp_path / "simulator" / "engine" / "compiled" / file
    text = source.read_text()
    assert rule in text
    source.write_text(text.replace(rule, broken))
    done = run_without_numba(tmp_path, tmp_path)
    assert done.returncode == 1, done.stderr
