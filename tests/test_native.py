# SPDX-License-Identifier: MIT
"""
Compiled runs
-------------

Oracle: the same sources, interpreted.  Without a twin (`make native`) only what needs none is
tested here.
"""

from __future__ import annotations

import functools
import random
from unittest import mock

import pytest

import simulator as sim
from simulator.cli import main
from simulator.kernel import kernels, load_kernel, proposals
from simulator.native import compiled_run, kind
from simulator.trace.contract import FRAMES

needs_twin = pytest.mark.skipif(kind() == "pure", reason="nothing was compiled, or TLBSIM_PURE")

#: Those that the newest kernel of the twin is not built on, one by one.
NO_TWIN = {
    "v5.14", "v6.6+5@v2", "v6.6+5@v3", "v6.6+6@v1", "v6.6+6@v2", "v6.6+6@v3", "v6.6+6@v8",
    "v6.6+7@v1", "v6.6+7@v2", "v6.6+7@v3", "v6.12.117", "v6.7+enomem-abort", "v6.7+enomem-ignore",
    "v6.7+enomem-go-on", "v6.7+enomem-retry", "v6.15+rar@v4", "v6.12+arm64-pause@v1",
    "v6.12+arm64-pause@v2", "v6.12+arm64-bbm2", "v7.3+unbatched", "v6.18+defer@v8",
    "v6.18+defer@v8+hvo",
}  # fmt: skip
MACHINES = ("epyc-7j13-vm252", "core-i5-3320m", "epyc-7r13-2s", "xeon-e7-8895-8s", "epyc-9755-2s")


@pytest.fixture
def pure(monkeypatch):
    """Return what simulates in Python."""

    def simulate(scenario):
        with monkeypatch.context() as patch:
            patch.setenv("TLBSIM_PURE", "1")
            return sim.simulate(scenario)

    return simulate


def scenario(seed):
    """Return one of many scenarios."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    names = sorted({*kernels(), *proposals()} - NO_TWIN)
    fields = {
        "machine": draw.choice(MACHINES),
        "kernel": draw.choice(names),
        "pages": draw.randint(1, 100),
        "seed": draw.randint(1, 9999),
        "hvo": draw.random() < 0.9,
        "noise": draw.choice(("quiet", "busy", "idle", "overcommitted")),
        "placement": draw.choice(("aligned", "random")),
    }
    if draw.random() < 0.5:
        fields |= {
            "path": draw.choice(("pool", "boot", "surplus")),
            "allocators": draw.randint(1, min(4, fields["pages"])),
        }
    elif draw.random() < 0.5:
        fields["phases"] = draw.choice(
            (("alloc", "free", "alloc"), ("hvo off", "alloc", "hvo on", "free"), ("write 9",),
             ("map 7", "unmap 3", "exit"), ("1G write 2", "demote 1"), ("boot 8", "write 3"))
        )  # fmt: skip
    if draw.random() < 0.4:
        fields["free_pages"] = draw.randint(0, 400)
    if draw.random() < 0.3:
        kind_of_page = draw.choice(("pte_page", "head_page", "restore_page"))
        fields["faults"] = {kind_of_page: (draw.randint(1, 10),)}
    return sim.Scenario(**fields)


def assert_equal(native, python):
    """Compare all frames."""
    assert not python.provenance["native"]
    for frame in FRAMES:
        if frame != "ipis":
            assert getattr(native, frame).equals(getattr(python, frame)), frame


def test_version_says_which_it_is(capsys, monkeypatch):
    main(["--version"])
    assert capsys.readouterr().out == f"tlbsim {sim.__version__} ({kind()})\n"
    monkeypatch.setenv("TLBSIM_PURE", "1")
    main(["--version"])
    assert capsys.readouterr().out == f"tlbsim {sim.__version__} (pure)\n"


def test_a_pure_run_says_so(pure):
    result = pure(sim.Scenario(machine="laptop-8", kernel="v6.7", pages=1))
    assert result.provenance["native"] is False


@needs_twin
def test_kernels_without_twin_are_listed():
    from simulator.twin import KERNELS

    assert {*kernels(), *proposals()} - NO_TWIN == {*KERNELS}


@needs_twin
@pytest.mark.parametrize("name", sorted({*kernels(), *proposals()} - NO_TWIN))
def test_each_twin_runs_and_agrees(name, pure):
    one = sim.Scenario(machine="laptop-8", kernel=name, pages=70, free_pages=900)
    native = sim.simulate(one)
    assert native.provenance["native"] is True
    assert_equal(native, pure(one))


@needs_twin
@pytest.mark.parametrize("seed", range(60))
def test_native_is_pure(seed, pure):
    one = scenario(seed)
    assert_equal(sim.simulate(one), pure(one))


@needs_twin
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1300))
def test_native_is_pure_on_many(seed, pure):
    one = scenario(seed)
    assert_equal(sim.simulate(one), pure(one))


@needs_twin
def test_interrupts_of_a_compiled_run_are_replayed(pure):
    one = sim.Scenario(machine="laptop-8", kernel="v6.6", pages=3)
    assert sim.simulate(one).ipis(flushes=[1, 2]).equals(pure(one).ipis(flushes=[1, 2]))


@needs_twin
def test_what_is_replaced_runs_in_python(monkeypatch):
    v6_7 = load_kernel("v6.7")
    one = sim.Scenario(machine="laptop-8", kernel="v6.7", pages=1)
    assert compiled_run(one) is not None
    assert compiled_run(one.replace(engine="events")) is None
    assert compiled_run(one.replace(machine="altra-q80", hvo=False)) is None
    assert compiled_run(one.replace(placement="one-memory")) is None
    assert compiled_run(one.replace(kernel=type("Mine", (v6_7,), {"name": "v6.7"}))) is None
    for name, value in (
        ("flush_start", lambda k, start: start),
        ("flush_start", functools.partialmethod(lambda k, start: start)),
        ("flush_start", mock.create_autospec(v6_7.flush_start)),
        ("WAITS_PREEMPTIBLY", True),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(v6_7, name, value)
            assert compiled_run(one) is None
    assert compiled_run(one) is not None
