# SPDX-License-Identifier: MIT
"""
Kernel modules
--------------

Times worked by hand on a machine whose costs are round and do not vary.
"""

from __future__ import annotations

import pytest

from simulator import InputError, Scenario, load_machine
from simulator.kernel.modules.ipi_benchmark import (
    BROADCAST_IPI,
    BROADCAST_LOCK,
    NORMAL_IPI,
    IpiBenchmark,
)
from simulator.kernel.modules.tlb_flush import ALL, TlbFlush
from simulator.kernel.modules.tlb_flush2 import TlbFlush2
from simulator.run import simulate_module
from simulator.saved import load_result

SILENT = {"idle_share": 0.0, "irqs_off_share": 0.0, "preempted_share": 0.0}
BASE, ENQUEUE, SEND, DELIVER, ENTRY, EXIT, ACK = 100, 10, 50, 300, 200, 400, 20
INVLPG, FULL, ATOMIC, LINE = 70, 500, 5, 40


@pytest.fixture(scope="module")
def machine():
    """A laptop whose costs are the same between any two CPUs and have no spread."""
    plain = load_machine("laptop-8")
    pairs = {"enqueue": ENQUEUE, "deliver": DELIVER, "ack": ACK, "cache_line": LINE}
    values = {
        "flush_base": BASE, "send": SEND, "handler_entry": ENTRY, "handler_exit": EXIT,
        "invlpg": INVLPG, "contention": 0, "flush_full": FULL, "atomic": ATOMIC, "refill_page": 0,
        "refill_full": 0,
    }  # fmt: skip
    costs = {f"costs.{name}": ns for name, ns in values.items()}
    costs |= {f"costs.{k}.{d}": ns for k, ns in pairs.items() for d in ("core", "socket")}
    changed = plain.with_values(costs).model_dump()
    for name in pairs:
        changed["costs"][name]["spread"] = None
    return type(plain).model_validate(changed)


def run(machine, module, cpus, engine="auto"):
    scenario = Scenario(machine=machine, pages=1, cpus=cpus, noise=SILENT, engine=engine)
    return simulate_module(scenario, module)


def durations(result):
    flushes = result.flushes
    ns = flushes["end_ns"] - flushes["start_ns"]
    return {p: sorted(set(d)) for p, d in ns.groupby(flushes["phase"], observed=True)}


@pytest.mark.parametrize("engine", ["events", "compiled"])
def test_an_ipi_takes_what_its_steps_take(machine, engine):
    result = run(machine, IpiBenchmark((NORMAL_IPI,), ntimes=3), 2, engine)
    # The target has left the handler, 400 ns, before the next one arrives.
    steps = BASE + ENQUEUE + SEND + DELIVER + ENTRY + ACK
    assert durations(result) == {NORMAL_IPI: [steps]}
    assert result.summary["other_broadcasts"].tolist() == [3]
    assert result.summary["flushes"].tolist() == [0]
    assert set(result.flushes["kind"]) == {"none"}


@pytest.mark.parametrize("engine", ["events", "compiled"])
def test_a_broadcast_takes_a_line_more_for_each_target_and_the_lock_a_transfer(machine, engine):
    result = run(machine, IpiBenchmark(ntimes=2), 8, engine)
    steps = BASE + 7 * ENQUEUE + SEND + DELIVER + ENTRY + 7 * ACK
    # In the lock's phase every handler runs for one transfer and one locked operation.
    want = {BROADCAST_IPI: [steps], BROADCAST_LOCK: [steps + LINE + ATOMIC]}
    assert durations(result) == want


@pytest.mark.parametrize("engine", ["events", "compiled"])
def test_a_flush_alone_is_its_base_and_one_invlpg_per_page_up_to_the_ceiling(machine, engine):
    result = run(machine, TlbFlush((1, 5, 33, 34, None), ntimes=2), 1, engine)
    want = {str(n): [BASE + n * INVLPG] for n in (1, 5, 33)}
    assert durations(result) == want | {"34": [BASE + FULL], ALL: [BASE + FULL]}
    assert result.summary["flushes"].tolist() == [2] * 5


def test_the_result_of_a_module_says_so_and_cannot_be_taken_for_another(machine, tmp_path):
    result = run(machine, TlbFlush((1,), ntimes=1), 2)
    assert any("kernel module tlb_flush" in note for note in result.provenance["notes"])
    with pytest.raises(InputError, match="ipis: a kernel module was run"):
        result.ipis([0])
    result.save(tmp_path / "r")
    with pytest.raises(InputError, match="does not know"):
        load_result(tmp_path / "r")


def test_a_normal_ipi_needs_two_cpus(machine):
    with pytest.raises(InputError, match=r"^cpus: Normal IPI needs 2 CPUs, not 8$"):
        run(machine, IpiBenchmark((NORMAL_IPI,), ntimes=1), 8)


def loops_of(result):
    return int(result.counts["loops"].sum())


def test_a_thread_alone_thinks_and_flushes_on_its_own_cpu(machine):
    think, loop_ns = 1000, 1000 + ATOMIC + ATOMIC + BASE + INVLPG + ATOMIC
    program = TlbFlush2(1, think, 12 * loop_ns)
    result = run(machine, program, 8)
    assert (loops_of(result), program.counted_ns) == (9, 9 * loop_ns)
    assert result.summary["elapsed_ns"].tolist() == [12 * loop_ns]
    assert len(result.flushes) == 0


def test_threads_interrupt_the_cpus_of_their_process_only_and_both_engines_agree(machine):
    results = [run(machine, TlbFlush2(3, 1000, 200_000), 8, e) for e in ("events", "compiled")]
    events, compiled = results
    for frame in ("summary", "counts", "flushes", "cpus", "time_by", "latency"):
        assert getattr(events, frame).equals(getattr(compiled, frame)), frame
    assert set(events.flushes["targets"]) == {2}
    # All loops but those of the first quarter, and the last ones of three threads.
    assert 0.7 * len(events.flushes) - 3 < loops_of(events) < 0.8 * len(events.flushes)
    assert len(events.flushes) > 50
    assert set(events.cpus.loc[events.cpus["ipis"] > 0, "cpu"]) == {0, 1, 2}
    # Every call reaches two CPUs, by an interrupt or behind one.
    calls = events.flushes[["ipis", "ipis_saved"]].to_numpy().sum()
    assert calls == 2 * len(events.flushes)


def test_a_lazy_cpu_is_spared_and_flushes_when_it_comes_back(machine):
    class Process:
        name, masked = "process", True

        def phases(self, k):
            mm = k.mm_init()
            mm.cpumask.update((0, 1, 2))

            def sleeper():
                k.enter_lazy_tlb(mm)
                k.current.sleep_until(50_000, "sleep")
                k.switch_mm_irqs_off(mm)

            def flusher():
                k.current.work("user", 1000)
                k.flush_tlb_mm_range(mm, 0, 4096, "benchmark")

            return {"one": {0: flusher, 1: sleeper}}

    for engine in ("events", "compiled"):
        result = run(machine, Process(), 4, engine)
        assert result.flushes["targets"].tolist() == [1]
        assert result.cpus["ipis"].tolist() == [0, 0, 1, 0]
        assert result.counts["lazy_tlb_flushes"].tolist() == [1]
