# SPDX-License-Identifier: MIT
"""
Wrong input on the command line: one line, status 2, nothing on standard output
-------------------------------------------------------------------------------
"""

from __future__ import annotations

import pytest

from simulator import run as run_module
from simulator.experiment import cell, pairs, workers

LAPTOP = ("--machine", "laptop-8")

WRONG = [
    # What argparse finds.
    (("--version=1",), "ignored explicit argument '1'"),
    (("rn",), "command: 'rn' is not one of machines, kernels, noises, new, run, compare"),
    (("rn",), "(did you mean 'run'?)"),
    (("run", "--pagess", "3"), "unknown option '--pagess' (did you mean '--pages'?)"),
    (("run", "--page_size=1G"), "unknown option '--page_size' (did you mean '--page-size'?)"),
    (("run", "--pag", "3"), "unknown option '--pag'"),
    (("run", "--hep"), "unknown option '--hep' (did you mean '--help'?)"),
    # Two dashes in common are no likeness.
    (("noises", "--key", "x"), "unknown option '--key'; see"),
    (("run", "laptop-8"), "unexpected argument 'laptop-8'"),
    (("run", "--pages"), "argument --pages: expected one argument"),
    (("compare", "--replication", "3"), "(did you mean '--replications'?)"),
    # Names.
    (("run", "--machine", "laptop8"), "unknown machine 'laptop8' (did you mean 'laptop-8'?)"),
    (("machines", "laptop8"), "(did you mean 'laptop-8'?)"),
    (("machines", "no/such.toml"), "no/such.toml: no such file"),
    (("run", "--kernel", "6.7"), "(did you mean 'v6.7'?)"),
    (("kernels", "6.7"), "(did you mean 'v6.7'?)"),
    (("kernels", "no/such.py"), "no/such.py"),
    (("run", *LAPTOP, "--noise", "quit"), "(did you mean 'quiet'?)"),
    (("run", *LAPTOP, "--noise", "idle_shar=0.1"), "(did you mean 'idle_share'?)"),
    (("run", *LAPTOP, "--noise", "preset=idle,idle_share=x"), "idle_share"),
    (
        ("run", *LAPTOP, "--noise", "busy,idle_share=0.1"),
        ": noise: must be a preset or like preset=",
    ),
    (("run", *LAPTOP, "--noise", "preset="), "like preset=busy,idle_share=0.1, not 'preset='"),
    (("compare", *LAPTOP, "--noise", "idle_share="), "noise: must be a preset or like"),
    (("run", *LAPTOP, "--noise", "idle_share=2"), "noise: idle_share is 2, but must be 0 to 1"),
    (("run", *LAPTOP, "--noise", "idle_share=x"), "noise: idle_share: must be a number, not 'x'"),
    (("run", *LAPTOP, "--noise", "idle_share=0.2"), "noise: missing 'irqs_off_share'"),
    (("run", *LAPTOP, "--noise", "preset=busy,preset=idle"), "noise: 'preset' is there twice"),
    (("noises", "quit"), "noise: unknown preset 'quit' (did you mean 'quiet'?)"),
    (("noises", "no/such.toml"), "noise: no/such.toml: no such file"),
    (("noises", "--machine", "laptop-8"), "machine: is for one noise; name one of quiet,"),
    (("run", *LAPTOP, "--noise", "no/such.toml"), "noise: no/such.toml: no such file"),
    (("run", *LAPTOP, "--noise", "preset=busy,idle_depth=9"), "(did you mean 'idle_depth_ns'?)"),
    (("run", *LAPTOP, "--set", "noise.idle_shar=0.1"), "(did you mean 'idle_share'?)"),
    (("run", *LAPTOP, "--set", "noise.idle_share=2"), "set: noise: idle_share is 2, but must be 0"),
    (("run", *LAPTOP, "--set", "noise.idle_share=x"), "noise: idle_share: must be a number"),
    (
        ("run", *LAPTOP, "--set", "noise.irqs_off_share=1.5"),
        "irqs_off_share is 1.5, but must be 0 to",
    ),
    (("run", *LAPTOP, "--set", "shootdowns_per_s=5"), "(did you mean 'noise.shootdowns_per_s'?)"),
    (("run", *LAPTOP, "--engine", "event"), "(did you mean 'events'?)"),
    (("run", *LAPTOP, "--path", "pol"), "(did you mean 'pool'?)"),
    (("run", *LAPTOP, "--page-size", "2m"), "page_size: '2m' is not one of 2M, 1G"),
    (("run", *LAPTOP, "--hvo", "onn"), "--hvo: must be on or off, not 'onn' (did you mean 'on'?)"),
    # Numbers.
    (("run", "--pages", "0"), "pages: must be 1 to 16777216, not 0"),
    (("run", "--pages", "-5"), "pages: must be 1 to 16777216, not -5"),
    (("run", "--pages", "2.5"), "pages: must be a whole number, not 2.5"),
    (("run", "--pages", "many"), "pages: must be a whole number, not 'many'"),
    (("run", "--pages", "nan"), "pages: must be a whole number, not nan"),
    (("run", "--pages", "1000000000000"), "pages: must be 1 to 16777216"),
    (("run", "--pages", "9" * 5000), "pages: must be a whole number, not inf"),
    (("run", *LAPTOP, "--cpus", "9"), "cpus: 9 is more than the 8 CPUs of laptop-8"),
    (("run", "--cpus", "253"), "cpus: 253 is more than the 252 CPUs of epyc-7j13-vm252"),
    (("run", *LAPTOP, "--allocators", "9"), "allocators: 9 is more than the 8 CPUs"),
    (("run", "--allocators", "3", "--pages", "2"), "allocators: 3 is more than the 2 pages"),
    (("run", "--seed", "-1"), "seed: must be 0 to"),
    (("compare", "--replications", "0"), "compare: needs two scenarios or more, not 1"),
    (("compare", "--cpus", "2", "--cpus", "all", "--replications", "0"), "replications: must be 1"),
    (("sweep", "--break-even", "cpus"), "break-even: needs two scenarios"),
    (
        ("compare", "--kernel", "v6.6,v6.7", "--break-even", "cpus=9..2"),
        "break-even: cpus has nothing between 9 and 2",
    ),
    (("compare", "--kernel", "v6.6,v6.7", "--break-even", "cpu"), "did you mean 'cpus'"),
    (
        ("compare", *LAPTOP, "--kernel", "v7.3,v6.12", "--break-even", "tlbi_ipi=0..1"),
        "set: v6.12 has no tunable 'tlbi_ipi'",
    ),
    (("sweep", "--precision", "2%"), "precision: must be above 0 and below 1, such as 0.02"),
    (("sweep", "--uncertainty", "many"), "uncertainty: must be a whole number, not 'many'"),
    (("sweep", "--format", "foo"), "format: unknown 'foo'; known: table, lkp, mmtests, "),
    (("plot", "a", "--form", "pdf"), "form: unknown 'pdf'; known: svg, png"),
    (
        ("run", "--machine", "epyc-9755-2s", "--set", "mechanisms.invlpgb.count_max=0"),
        "mechanisms.invlpgb.count_max: is 0, but must be 1 or more",
    ),
    # Of what is saved nothing is simulated.
    (("compare", "a", "b", "--kernel", "v6.6"), "kernel: says what to simulate, and a is there"),
    (("compare", "a", "b", "--set", "costs.send=9"), "set: says what to simulate, and a is there"),
    (("compare", "a", "b", "--max-replications", "9"), "max-replications: says what to simulate"),
    (("compare", "a", "b", "--no-check"), "no-check: says what to simulate, and a is there"),
    # What would not run is not planned.
    (("sweep", "--plan", "--uncertainty", "1"), "uncertainty: must be 2 to 10000, not 1"),
    (("sweep", "--plan", "--jobs", "many"), "jobs: must be a whole number, not 'many'"),
    (("compare", "--cpus", "2", "--cpus", "4", "--replications", "1.5"), "not 1.5"),
    # What does not go together.
    (("run", *LAPTOP, "--page-size", "1G", "--pages", "33"), "do not fit the memory of laptop-8"),
    (("run", "--phases", "free"), "phases: 'free' without an 'alloc' before it"),
    (("run", "--phases", "alloc,alloc"), "phases: 'alloc' twice in a row"),
    (("run", "--phases", ""), "phases: '' is not one of alloc, free"),
    (("run", "--placement", "pmds=3"), "placement: 256 pages of 2M cannot lie in 3 PMDs"),
    (("run", "--placement", "512,513", "--pages", "2"), "PFN 513 is no multiple of 512"),
    (("run", "--placement", "512,x", "--pages", "2"), "must be a whole number, not 'x'"),
    # Faults and settings.
    (("run", "--fault", "pte_page"), "fault: must be KIND=N,N, such as pte_page=3,7"),
    (("run", "--fault", "pte_pages=3"), "(did you mean 'pte_page'?)"),
    (("run", "--fault", "pte_page=3,x"), "faults.pte_page[1]: must be a whole number, not 'x'"),
    (("run", "--set", "costs.inject"), "set: must be KEY=VALUE, not 'costs.inject'"),
    (("run", "--set", "inject=9"), "set: unknown key 'inject' (did you mean 'costs.inject'?)"),
    (
        ("run", "--kernel", "v6.12", "--set", "tlbi_ipi=1"),
        "set: v6.12 has no tunable 'tlbi_ipi'; these have: v7.3",
    ),
    (("run", "--set", "costs.injct=9"), "(did you mean 'costs.inject'?)"),
    (("run", "--set", "noise.foo=1"), "unknown key 'foo'; known: idle_share, irqs_off_share, "),
    (("run", "--kernel", "foo"), "kernel: there is no 'foo'; known: v5.14, v6.1, v6.6, "),
    (("run", "--set", "costs.inject=-9"), "cannot be below 0"),
    (("run", "--set", "costs.inject=9 parsec"), "set: costs.inject: 'parsec' is not one of"),
    (("run", "--set", "static_key_site=9"), "(did you mean 'static_key_sites'?)"),
    (("run", "--set", "static_key_sites=-9"), "tunables: static_key_sites must be 0 to"),
]


@pytest.fixture(autouse=True)
def _nothing_is_simulated(monkeypatch):
    def simulate(*_args, **_options):
        raise AssertionError("wrong input was simulated")

    monkeypatch.setattr(run_module, "simulate", simulate)
    for module in (cell, pairs, workers):
        monkeypatch.setattr(module, "simulate", simulate)


@pytest.mark.parametrize(("argv", "message"), WRONG, ids=lambda value: str(value)[:70])
def test_wrong_input_is_one_line_and_status_2(tlbsim, argv, message):
    done = tlbsim(*argv)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("tlbsim: ")
    assert done.err.count("\n") == 1
    assert message in done.err


def bad_folders(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    (tmp_path / "file").write_text("mine")
    return {
        "full": "exists and is not empty",
        "file": "cannot be written: Not a directory",
        "file/below": "cannot be written: Not a directory",
    }


@pytest.mark.parametrize("name", ["full", "file", "file/below"])
def test_a_bad_folder_comes_out_before_the_simulation(tlbsim, tmp_path, name):
    message = bad_folders(tmp_path)[name]
    before = sorted(tmp_path.rglob("*"))
    done = tlbsim("run", *LAPTOP, "--pages", "4", "--out", tmp_path / name)
    assert (done.status, done.out) == (2, "")
    assert done.err == f"tlbsim: out: {tmp_path / name} {message}" + (
        "; name a new folder\n" if name == "full" else "\n"
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_where_nothing_can_be_made_comes_out_before_the_simulation(tlbsim):
    # Not even root can make a folder there.
    done = tlbsim("run", *LAPTOP, "--out", "/proc/tlbsim")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("tlbsim: out: /proc/tlbsim cannot be written: ")
    assert done.err.count("\n") == 1


def test_an_interrupt_is_one_line_and_status_130(tlbsim, monkeypatch):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "simulate", interrupted)
    for module in (cell, pairs, workers):
        monkeypatch.setattr(module, "simulate", interrupted)
    for argv in (("run",), ("compare", "--kernel", "v6.6", "--kernel", "v6.7")):
        done = tlbsim(*argv, *LAPTOP)
        assert (done.status, done.out, done.err) == (130, "", "tlbsim: interrupted\n")


def test_every_mistake_in_a_profile_gets_a_line_of_its_own(tlbsim, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('inherits = "laptop-8"\ntitel = 1\n[costs.send]\nvalue = -1\n')
    done = tlbsim("machines", file)
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        f"tlbsim: {file}: unknown key 'titel' (did you mean 'title'?)\n"
        f"tlbsim: {file}: costs.send.value: is -1, but cannot be below 0\n"
    )
