# SPDX-License-Identifier: MIT
"""
The engine against closed forms
-------------------------------

Order statistics of the slowest answer, and queues with known waiting times.
Random inputs are drawn here, from fixed seeds; a statistical test allows for four
standard errors (from batch means where values depend on one another), or for a
Kolmogorov-Smirnov distance that chance exceeds once in 10,000 times.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from simulator.engine import EventsEngine
from simulator.engine.calls import Call, Csd, Ipi
from simulator.engine.keys import Order, key
from simulator.engine.locks import SpinLock
from simulator.machine import LoweredCost, load_machine, load_noise, lower
from simulator.machine.lowered.quantiles import ONE, gamma, probabilities
from simulator.trace.recorder import Recorder
from tests.engine.hand import HandMachine, HandSpells, World

NOTHING = {
    "flush_base": 0, "enqueue": 0, "send": 0, "inject": 0, "handler_entry": 0, "handler_exit": 0,
    "ack": 0, "atomic": 0, "cache_line": 0,
}  # fmt: skip
NO_RUN = Call("batch_remap", "all", "do_flush_tlb_all", 0, 0, 0)


def ks_limit(n):
    return stats.kstwo.ppf(1 - 1e-4, n)


def within_standard_errors(values, expected, batches=40, errors=4):
    """Whether the mean of dependent values is near an expected one, by batch means."""
    means = np.array([batch.mean() for batch in np.array_split(np.asarray(values), batches)])
    error = means.std(ddof=1) / np.sqrt(batches)
    assert error < 0.05 * expected, "the test would accept nearly anything"
    return abs(means.mean() - expected) < errors * error


def one_flush_after_another(engine_world, nr_flushes, call=NO_RUN):
    def body(world, task):
        for _ in range(nr_flushes):
            world.flush(task, call)

    world = engine_world.run({0: body})
    return np.array([row["end_ns"] - row["start_ns"] for row in world.flushes])


# --- the slowest of N answers ----------------------------------------------------------------


@pytest.mark.parametrize("nr_targets", [1, 2, 7, 40])
def test_slowest_of_n_uniform_answers_is_n_over_n_plus_1(nr_targets):
    """Nothing but the delivery takes time: uniform on 1 to 100,000, F(x) = x / 100,000."""
    top, nr_flushes = 100_000, 1500

    def drawn(name, initiator, flush):
        if name == "deliver":
            return np.random.default_rng((1, flush)).integers(1, top + 1, nr_targets + 1)
        return np.zeros(nr_targets + 1)

    machine = HandMachine(nr_targets + 1, ns=NOTHING, drawn=drawn)
    took_ns = one_flush_after_another(World(machine, ipis_of=()), nr_flushes)
    n = nr_targets
    error = top * np.sqrt(n / (n + 2)) / (n + 1) / np.sqrt(nr_flushes)
    assert abs(took_ns.mean() - top * n / (n + 1)) < 4 * error
    assert stats.kstest(took_ns / top, lambda x: x**n).statistic < ks_limit(nr_flushes)


def test_slowest_of_n_answers_of_a_real_machine_has_the_power_of_its_quantile_table():
    """
    A machine of 64 CPUs whose delivery has a gamma table of cv 1 (exponential) and mean
    20 us, everything else 0: F(x)**63, with F the straight lines of the table; its mean
    is the harmonic number H(63) times 20 us but for the tail that the table cuts.
    """
    nr_cpus, nr_flushes, mean_ns = 64, 1000, 20_000
    table = gamma(1.0)
    platform = lower(load_machine("epyc-7j13-vm252"), nr_cpus, load_noise("quiet"), 7, 0)
    free = {name: replace(platform.costs[name], mean_fp=(0,) * 4, spread=None) for name in NOTHING}
    deliver = LoweredCost("deliver", (mean_ns * 1024,) * 4, table, 4711)
    costs = platform.costs.model_copy(update={**free, "deliver": deliver})
    platform = replace(platform, costs=costs, spells=HandSpells())

    world = World(platform, ipis_of=())
    took_ns = one_flush_after_another(world, nr_flushes)
    quantiles = table / ONE * mean_ns

    def cdf_of_slowest(x):
        return np.interp(x, quantiles, probabilities()) ** (nr_cpus - 1)

    assert stats.kstest(took_ns, cdf_of_slowest).statistic < ks_limit(nr_flushes)
    harmonic = sum(1 / i for i in range(1, nr_cpus))
    error = took_ns.std(ddof=1) / np.sqrt(nr_flushes)
    assert abs(took_ns.mean() - mean_ns * harmonic) < 4 * error


def test_slowest_of_n_with_a_write_each_is_a_maximum_of_shifted_answers():
    """
    Target k (1 to N) is sent to at k * send: the flush takes max(k * send + delivery_k), and
    its distribution function is the product of F(x - k * send).
    """
    n, top, send_ns, nr_flushes = 20, 10_000, 300, 1500

    def drawn(name, initiator, flush):
        if name == "deliver":
            return np.random.default_rng((2, flush)).integers(1, top + 1, n + 1)
        return np.zeros(n + 1)

    machine = HandMachine(n + 1, ns={**NOTHING, "send": send_ns}, drawn=drawn)
    took_ns = one_flush_after_another(World(machine, ipis_of=()), nr_flushes)
    sent_ns = send_ns * np.arange(1, n + 1)

    def cdf(x):
        return np.clip((np.atleast_1d(x)[:, None] - sent_ns) / top, 0, 1).prod(axis=1)

    assert stats.kstest(took_ns, cdf).statistic < ks_limit(nr_flushes)


# --- one CPU as a queue ------------------------------------------------------------------------


def waits_at_one_cpu(service_ns, mean_gap_ns, seed):
    """
    Return how long csds that come as a Poisson process wait for their function to start.

    They are put straight onto a CPU's queue.  An interrupt takes 1 ns to arrive, and
    entry and exit of the handler take nothing: the CPU works as long as there is a csd.
    """
    recorder = Recorder((0,))
    engine = EventsEngine(HandMachine(1), recorder)
    recorder.begin_phase("test", 0, ())
    timeline, cpu = engine.timeline, engine.cpus[0]
    gaps = np.random.default_rng(seed).exponential(mean_gap_ns, len(service_ns))
    csds = []

    def source():
        for at_ns, run_ns in zip(np.cumsum(gaps).astype(int).tolist(), service_ns, strict=True):
            yield timeline.at(max(key(at_ns, Order.MEETING, 1), timeline.now))
            was_empty = not cpu.queue
            csds.append(Csd(0, replace(NO_RUN, run_ns=run_ns), at_ns, was_empty))
            cpu.queue.append(csds[-1])
            if was_empty:
                cpu.send(Ipi(at_ns, at_ns + 1, 0, 0, polled=False))

    timeline.process(source())
    timeline.run()
    return np.array([csd.release_ns - csd.call.run_ns - csd.enqueue_ns for csd in csds])


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_md1_wait_at_one_cpu_matches_pollaczek_khinchine(load):
    """W = rho * S / (2 * (1 - rho))."""
    service_ns = 10_000
    waits = waits_at_one_cpu([service_ns] * 40_000, service_ns / load, seed=11)
    assert within_standard_errors(waits, load * service_ns / (2 * (1 - load)))


def test_mg1_wait_at_one_cpu_matches_pollaczek_khinchine():
    """
    W = lambda * E[S^2] / (2 * (1 - rho)), for range flushes (2000, nine in ten) among full
    ones (42,000): E[S] = 6000, E[S^2] = 180,000,000.
    """
    rng = np.random.default_rng(12)
    service_ns = rng.choice([2000, 42_000], 60_000, p=[0.9, 0.1])
    load = 0.5
    waits = waits_at_one_cpu(service_ns.tolist(), 6000 / load, seed=13)
    assert within_standard_errors(waits, load / 6000 * 180e6 / (2 * (1 - load)))


def test_wait_at_one_cpu_is_that_of_lindley_to_the_nanosecond():
    """
    W[n+1] = max(0, W[n] + S[n] - gap), except that a csd which finds the CPU idle waits
    the 1 ns of its interrupt.
    """
    rng = np.random.default_rng(14)
    service_ns = rng.integers(1000, 20_000, 3000).tolist()
    waits = waits_at_one_cpu(service_ns, 15_000, seed=15)
    at_ns = np.cumsum(np.random.default_rng(15).exponential(15_000, 3000)).astype(int).tolist()
    free_ns, expected = -1, []
    for arrive_ns, run_ns in zip(at_ns, service_ns, strict=True):
        start_ns = max(free_ns, arrive_ns + 1)
        expected.append(start_ns - arrive_ns)
        free_ns = start_ns + run_ns
    assert waits.tolist() == expected


# --- a spinlock as a queue -----------------------------------------------------------------------


def waits_for_a_lock(at_ns, hold_ns, nr_tasks=64):
    """
    Return how long each request waits for a lock whose line costs nothing.

    Request i comes at ``at_ns[i]`` from task i modulo ``nr_tasks``, which is done with
    its previous one by then.
    """
    machine = HandMachine(nr_tasks, ns={"atomic": 0, "cache_line": 0})
    waits = np.full(len(at_ns), -1)
    world = World(machine)
    lock = SpinLock(world.engine.timeline, machine, "page_table_lock")

    def body_of(first):
        def body(world, task):
            for i in range(first, len(at_ns), nr_tasks):
                assert task.now_ns <= at_ns[i]
                task.sleep_until(at_ns[i], "sleep")
                lock.lock()
                task.meet()
                waits[i] = task.now_ns - at_ns[i]
                task.work("bookkeeping", hold_ns[i])
                lock.unlock()

        return body

    world.run({cpu: body_of(cpu) for cpu in range(nr_tasks)})
    return waits


def poisson(mean_gap_ns, n, seed):
    gaps = np.random.default_rng(seed).exponential(mean_gap_ns, n)
    return np.cumsum(gaps).astype(int).tolist()


def test_md1_wait_for_a_spinlock_matches_pollaczek_khinchine():
    """Held for 1000 each time, requested at a load of 0.6: W = 0.6 * 1000 / 0.8 = 750."""
    n = 30_000
    waits = waits_for_a_lock(poisson(1000 / 0.6, n, seed=21), [1000] * n)
    assert within_standard_errors(waits, 750)


def test_wait_for_a_spinlock_is_that_of_a_fifo_queue_to_the_nanosecond():
    # No two in the same nanosecond: ties are tested elsewhere.
    at_ns = sorted(set(poisson(1500, 4000, seed=22)))
    n = len(at_ns)
    hold_ns = np.random.default_rng(23).integers(0, 2400, n).tolist()
    free_ns, expected = 0, []
    for asked_ns, held_ns in zip(at_ns, hold_ns, strict=True):
        start_ns = max(free_ns, asked_ns)
        expected.append(start_ns - asked_ns)
        free_ns = start_ns + held_ns
    assert waits_for_a_lock(at_ns, hold_ns).tolist() == expected


def test_tasks_that_share_a_lock_have_the_throughput_of_machine_repair():
    """
    N = 6 tasks work for an exponential time of mean 5000 and hold the lock for one of mean
    1000: M/M/1//6.  With a = 1000/5000 and p_k = N! / (N-k)! a^k p_0, the lock is taken
    (1 - p_0) / 1000 times per ns.
    """
    nr_tasks, work_ns, held_ns, per_task = 6, 5000, 1000, 4000
    world = World(HandMachine(nr_tasks, ns={"atomic": 0, "cache_line": 0}))
    taken_ns = []

    def body_of(cpu):
        rng = np.random.default_rng((31, cpu))
        works = rng.exponential(work_ns, per_task).round().astype(int).tolist()
        holds = rng.exponential(held_ns, per_task).round().astype(int).tolist()

        def body(world, task):
            for work, hold in zip(works, holds, strict=True):
                task.work("bookkeeping", work)
                world.page_table_lock.lock()
                task.work("bookkeeping", hold)
                world.page_table_lock.unlock()
                taken_ns.append(task.now_ns)

        return body

    world.run({cpu: body_of(cpu) for cpu in range(nr_tasks)})
    weights, weight = [1.0], 1.0
    for k in range(nr_tasks):
        weight *= (nr_tasks - k) * held_ns / work_ns
        weights.append(weight)
    gap_ns = held_ns / (1 - 1 / sum(weights))
    # Until the first task runs out of work, all six are at it.
    gaps = np.diff(taken_ns[: int(0.9 * len(taken_ns))])
    assert within_standard_errors(gaps, gap_ns)
