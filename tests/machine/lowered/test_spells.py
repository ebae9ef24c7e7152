# SPDX-License-Identifier: MIT
from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.machine import load_machine, load_noise, lower
from simulator.machine.lowered.quantiles import from_quantiles
from simulator.machine.lowered.spells import spell_class

VM = load_machine("epyc-7j13-vm252")
NS = 1024  # a mean is in 1/1024 ns


def table(share, frame_ns=100_000, mean_ns=2000, points=((0, 0.0), (1, 2.0)), nr_cpus=64):
    spells = spell_class("irqs_off", share, frame_ns, mean_ns * NS, from_quantiles(points))
    return spells.of(nr_cpus, 99)


def shares(spells, nr_frames):
    # Share of each frame's time that is taken, by CPU and frame.
    taken = [end - start for start, end in map(spells.frame, range(nr_frames))]
    return np.array(taken) / spells.frame_ns


@pytest.mark.parametrize("share", [0.0005, 0.005, 0.0099])
def test_share_of_time_is_the_requested_one_for_short_spells(share):
    taken = shares(table(share), 4000)
    # Frames are independent: the mean has the standard error of so many of them.
    assert abs(taken.mean() - share) < 5 * taken.std() / np.sqrt(taken.size)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.4])
def test_share_of_time_holds_when_the_frame_cuts_most_spells(share):
    spells = table(share, frame_ns=4_500_000, mean_ns=3_400_000, points=((0, 2.8), (1, 4.0)))
    taken = shares(spells, 2000)
    assert abs(taken.mean() - share) < 5 * taken.std() / np.sqrt(taken.size)


def test_share_of_time_seen_from_outside_is_that_of_the_frames():
    spells = table(0.009, nr_cpus=4)
    step, nr = 97, 60_000
    covered = sum(spells.around(cpu, i * step) is not None for cpu in range(4) for i in range(nr))
    frames = 4 * nr * step / spells.frame_ns
    error = shares(spells, 2000).std() / np.sqrt(frames)
    assert abs(covered / (4 * nr) - 0.009) < 5 * error


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95, 1.0])
def test_idle_share_of_time_is_a_binomial_share_of_frames(share):
    spells = spell_class("idle", share, 10_000_000, 0, None).of(100, 5)
    taken = shares(spells, 500)
    assert set(np.unique(taken)) <= {0.0, 1.0}
    assert abs(taken.mean() - share) <= 5 * np.sqrt(share * (1 - share) / taken.size)


def test_share_zero_switches_a_class_off():
    noise = load_noise({"idle_share": 0, "irqs_off_share": 0, "preempted_share": 0})
    spells = lower(VM, 8, noise, 1, 0).spells
    for t_ns in range(0, 50_000_000, 999_999):
        assert spells.preempted_until(3, t_ns) == t_ns
        assert spells.irqs_off_until(3, t_ns) == t_ns
        assert spells.idle_since(3, t_ns) == -1
        assert spells.idle_for(3, t_ns) == -1


def test_share_that_spells_cannot_reach_is_refused_with_the_largest_that_they_can():
    # Mean 2 us in 100 us, less the cut: E[L] - E[L^2] / 2F = 2 - 16 / 3 / 200 us.
    with pytest.raises(InputError, match=r"irqs_off_share is 0\.05.* at most 0\.0197"):
        table(0.05)


def test_spell_covers_its_own_instants_and_no_others():
    spells = table(0.009, nr_cpus=2)
    t_ns, found = 0, 0
    while found < 50:
        spell = spells.around(1, t_ns)
        if spell is not None:
            start, end = spell
            assert start <= t_ns < end
            assert spells.around(1, start) == spells.around(1, end - 1) == spell
            assert spells.around(1, end) != spell
            assert spells.around(1, start - 1) != spell
            found += 1
            t_ns = end
        t_ns += 211


def test_idle_looks_back_exactly_one_frame():
    spells = lower(VM, 8, load_noise({"preset": "idle", "idle_share": 1.0}), 1, 0).spells
    frame_ns = spells.idle.frame_ns
    for t_ns in (0, 1, 25_000_000, 10**9):
        idle_ns = spells.idle_for(5, t_ns)
        assert frame_ns <= idle_ns < 2 * frame_ns
        assert spells.idle_since(5, t_ns) == max(0, t_ns - idle_ns)


def test_bare_metal_is_never_preempted():
    metal = load_machine("xeon-e7-8895-8s")
    spells = lower(metal, 4, load_noise("overcommitted"), 1, 0).spells
    assert spells.preempted is None
    assert spells.preempted_until(2, 12345) == 12345


queries = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 10**9)), min_size=1, max_size=60, unique=True
)


@settings(max_examples=30, deadline=None)
@given(queries, st.randoms(use_true_random=False))
def test_answers_do_not_depend_on_the_order_of_questions(asked, random):
    noise = load_noise("overcommitted")

    def answers(order):
        spells = lower(VM, 8, noise, 7, 3).spells
        return {
            (cpu, t): (
                spells.preempted_until(cpu, t),
                spells.irqs_off_until(cpu, t),
                spells.idle_since(cpu, t),
            )
            for cpu, t in order
        }

    shuffled = list(asked)
    random.shuffle(shuffled)
    assert answers(asked) == answers(shuffled)


def test_spells_of_a_cpu_do_not_depend_on_the_number_of_cpus():
    noise = load_noise("overcommitted")
    few, many = (lower(VM, n, noise, 1, 0).spells for n in (4, 252))
    times = range(0, 200_000_000, 777_777)
    assert [few.preempted_until(3, t) for t in times] == [many.preempted_until(3, t) for t in times]


def test_pickled_spells_answer_the_same():
    spells = lower(VM, 8, load_noise("overcommitted"), 1, 0).spells
    before = [spells.preempted_until(1, t) for t in range(0, 10**8, 10**6)]
    copy = pickle.loads(pickle.dumps(spells))  # our own object
    assert [copy.preempted_until(1, t) for t in range(0, 10**8, 10**6)] == before


def test_cpus_do_not_change_frames_in_step():
    spells = lower(VM, 252, load_noise("idle"), 1, 0).spells
    assert len(set(spells.idle.phase_ns)) > 245
