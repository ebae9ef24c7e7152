# SPDX-License-Identifier: MIT
"""
What the commands print
-----------------------
"""

from __future__ import annotations

import itertools
import json
import shlex
import sys

import pytest

import simulator as sim
from simulator.analysis.frames import records
from simulator.cli import compare, kernels, machines, run, validate
from simulator.experiment import cell
from simulator.kernel import mutants, proposals
from simulator.machine.noise import NOISE_KEYS

SMALL = ("--machine", "laptop-8", "--pages", "8", "--seed", "3")

FAILS_ON_MORE_THAN_TWO_CPUS = """
from simulator.kernel.versions.v6_7 import V6_7


class Small(V6_7):
    name = "small"

    def flush_tlb_all(k, reason):
        if k.platform.nr_cpus > 2:
            raise ValueError("too large")
        super().flush_tlb_all(reason)
"""


def fields(*argv):
    """Return the scenarios that a command line describes."""
    from simulator.cli.axis_options import plan_of
    from simulator.cli.parser import Parser
    from simulator.cli.scenario_options import scenario_of

    parser = Parser(prog="tlbsim")
    (compare if argv[0] == "compare" else run).configure(parser)
    parser.set_defaults(parser=parser)
    args = parser.parse(argv[1:])
    if argv[0] == "compare":
        return [point.scenario for point in plan_of(args).points]
    return [scenario_of(args)]


# --- options become fields ----------------------------------------------------------------


def test_every_field_of_a_scenario_is_an_option():
    (s,) = fields(
        "run", "--machine", "laptop-8", "--kernel", "v6.7", "--pages", "4", "--page-size", "1G",
        "--hvo", "off", "--phases", "alloc,free,alloc", "--path", "boot", "--allocators", "2",
        "--cpus", "6", "--placement", "pmds=32", "--free-pages", "1000",
        "--fault", "pte_page=7,3", "--fault", "pte_page=9", "--fault", "head_page=1",
        "--noise", "preset=busy,idle_share=0.5", "--set", "static_key_sites=12",
        "--seed", "5", "--replication", "6", "--engine", "events",
    )  # fmt: skip
    assert s == sim.Scenario(
        machine="laptop-8",
        kernel="v6.7",
        pages=4,
        page_size="1G",
        hvo=False,
        phases=("alloc", "free", "alloc"),
        path="boot",
        allocators=2,
        cpus=6,
        placement="pmds=32",
        free_pages=1000,
        faults={"pte_page": (3, 7, 9), "head_page": (1,)},
        noise={"preset": "busy", "idle_share": 0.5},
        tunables={"static_key_sites": 12},
        seed=5,
        replication=6,
        engine="events",
    )


def test_without_options_a_scenario_has_its_defaults_but_256_pages():
    assert fields("run") == [sim.Scenario(pages=256)]


def test_placement_takes_pfns_in_decimal_and_hexadecimal():
    assert fields("run", "--placement", "0x200,1024", "--pages", "2")[0].placement == (512, 1024)


def test_set_changes_values_of_the_machine():
    (s,) = fields("run", "--set", "costs.inject=900", "--set", "costs.invlpg=0.2 us")
    costs = s.machine_model.costs
    assert (costs.inject.exact_ns, costs.invlpg.exact_ns) == (900, 200)
    assert (costs.inject.kind, costs.inject.source) == ("assumed", "set by the user")


def test_reports_say_what_was_set_and_no_longer_call_it_fitted(tlbsim):
    options = ("--machine", "epyc-7j13-vm252", "--cpus", "8", "--pages", "1")
    options += ("--set", "costs.inject=900", "--set", "noise.idle_share=0.3")
    kernels = ("--kernel", "v6.6", "--kernel", "v6.7", "--replications", "1")
    for out in (tlbsim("run", *options).out, tlbsim("compare", *options, *kernels).out):
        head = " ".join(out.split("\n\n")[0].split())
        assert " set costs.inject=900 ns " in head
        assert "fitted to the unmodified kernel: costs.huge_alloc_2m, costs.huge_free_2m" in head
        assert "noise quiet, idle_share=0.3" in head


def test_set_changes_values_of_the_noise():
    setting = ("--set", "noise.idle_share=0.3", "--set", "noise.shootdowns_per_s=1e3")
    (s,) = fields("run", "--noise", "busy", *setting)
    assert s.noise_model == sim.load_noise("busy").with_values(
        {"idle_share": 0.3, "shootdowns_per_s": 1000.0}
    )
    assert s.key != fields("run", "--noise", "busy")[0].key


def test_options_given_several_times_are_combined_first_ones_first():
    found = fields(
        "compare", "--kernel", "v6.6", "--kernel", "v6.7", "--cpus", "4", "--cpus", "all"
    )
    assert [(s.kernel, s.cpus) for s in found] == [
        ("v6.6", 4), ("v6.6", None), ("v6.7", 4), ("v6.7", None),
    ]  # fmt: skip


# --- machines and kernels -----------------------------------------------------------------


def test_machines_lists_each_profile(tlbsim):
    done = tlbsim("machines")
    assert (done.status, done.err) == (0, "")
    # A line that begins with blanks goes on with the one above.
    names = [line.split()[0] for line in done.out.splitlines()[1:] if line[0] != " "]
    assert names == list(sim.machines())
    assert max(map(len, done.out.splitlines())) <= 72


def test_machines_json_has_the_published_numbers_of_cpus(tlbsim):
    found = {m["name"]: m["nr_cpus"] for m in tlbsim("machines", "--json").json}
    assert {name: found[name] for name in ("epyc-7j13-vm252", "xeon-e7-8895-8s")} == {
        "epyc-7j13-vm252": 252,
        "xeon-e7-8895-8s": 288,
    }
    assert found["xeon-skx-vm80"] == 80


@pytest.mark.parametrize("name", sim.machines())
def test_a_machine_is_printed_with_its_sources(tlbsim, name):
    text = tlbsim("machines", name).out
    assert text.startswith(f"{name}: ")
    assert "assumed" in text
    assert tlbsim("machines", name, "--json").json["costs"]["invlpg"]["source"]


def test_noises_lists_each_preset_and_every_key(tlbsim):
    done = tlbsim("noises")
    assert (done.status, done.err) == (0, "")
    table, further = done.out.split("\n\n")
    assert [line.split()[0] for line in table.splitlines()[1:]] == list(sim.noises())
    for key in NOISE_KEYS:
        assert key in table.splitlines()[0] or key in further
    assert max(map(len, done.out.splitlines())) <= 72
    assert [n["name"] for n in tlbsim("noises", "--json").json] == list(sim.noises())


def test_a_noise_is_printed_with_its_reasons_and_its_effect_on_a_machine(tlbsim):
    text = tlbsim("noises", "busy", "--machine", "laptop-8").out
    assert "assumed: short gaps between the slices of a full load" in text
    assert "An interrupt on laptop-8 finds a CPU\n  idle in POLL" in text
    found = tlbsim("noises", "busy", "--json").json
    assert found["idle_share"] == 0.02
    assert set(found["keys"]) == set(found["reasons"]) == set(NOISE_KEYS)


def test_kernels_lists_each_version_with_its_parent(tlbsim):
    out = tlbsim("kernels").out
    assert max(map(len, out.splitlines())) <= 72
    # A subject goes on below, under itself.
    merged, other, wrong = (
        [line for line in text.splitlines() if line[0] != " "] for text in out.split("\n\n")
    )
    found = tlbsim("kernels", "--json").json
    assert all(k["subject"].split()[-1] in out for k in found)
    assert [k["name"] for k in found] == [*sim.kernels(), *proposals(), *mutants()]
    assert [line.split()[0] for line in wrong[1:]] == list(mutants())
    assert [k["name"] for k in found if k["breaks"]] == list(mutants())
    never = [k["name"] for k in found if k["proposed_in"]]
    posted = [name for name in sim.kernels() if "@" in name and name != "v6.6+6@v8"]
    assert never == [*posted, *proposals()]
    assert [line.split()[0] for line in other[1:]] == never
    assert [line.split()[0] for line in merged[1:]] == [
        name for name in sim.kernels() if name not in never
    ]
    assert other[0].startswith("never merged")
    parents = {k["name"]: k["parent"] for k in found}
    # The series in merged order: each patch on top of the one before.
    assert parents["v6.6+1"] == "v6.6"
    assert [parents[f"v6.6+{n}"] for n in range(2, 9)] == [f"v6.6+{n}" for n in range(1, 8)]


def test_a_kernel_prints_the_functions_that_its_patch_replaces(tlbsim):
    text = tlbsim("kernels", "v6.6+6").out
    assert "hugetlb: batch PMD split for bulk vmemmap dedup" in text
    # As it stands in its class, but at the margin.
    assert "\ndef split_folios(" in text
    assert '\n    """The first loop' in text
    assert "static_key_sites" in text
    functions = tlbsim("kernels", "v6.6+6", "--json").json["functions"]
    assert "def split_folios(" in functions["split_folios"]


def test_a_kernel_that_differs_in_its_set_up_prints_that_too(tlbsim):
    assert "RESERVE_VMEMMAP_NR - 1" in tlbsim("kernels", "v5.14").out
    functions = tlbsim("kernels", "v5.14", "--json").json["functions"]
    assert set(functions) >= {"new_hstate", "vmemmap_pmd_range", "static_branch_inc"}
    assert "k.vmemmap_tails" in tlbsim("kernels", "v7.1", "--json").json["functions"]["__init__"]


def test_a_kernel_is_printed_as_it_runs(tlbsim):
    text = tlbsim("kernels", "v6.12", "--all").out
    assert text.count("\ndef vmemmap_pmd_entry(") == 1
    assert "# v6.6+6\ndef split_folios(" in text
    functions = tlbsim("kernels", "v6.12", "--all", "--json").json["functions"]
    assert [d["version"] for d in functions["demote_pool_huge_page"]] == ["v6.12"]
    done = tlbsim("kernels", "--all")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("tlbsim: kernels: --all needs a NAME")


def test_a_kernel_that_was_never_merged_says_where_it_was_proposed(tlbsim):
    text = " ".join(tlbsim("kernels", "v6.7+enomem-retry").out.split())
    assert "status never merged; proposed in a reply to 20230905214412.89152-10-mike" in text
    compared = tlbsim("compare", *SMALL, "--kernel", "v6.7", "--kernel", "v6.7+enomem-abort").out
    for out in (tlbsim("run", *SMALL, "--kernel", "v6.7+enomem-abort").out, compared):
        assert "note v6.7+enomem-abort was never merged;" in " ".join(out.split())


# --- run ----------------------------------------------------------------------------------


def test_run_json_has_an_object_per_phase(tlbsim):
    done = tlbsim("run", *SMALL, "--phases", "alloc,free,alloc", "--json")
    assert (done.status, done.err) == (0, "")
    assert [phase["phase"] for phase in done.json] == ["alloc", "free", "alloc2"]
    columns = set(sim.simulate(fields("run", *SMALL)[0]).summary.columns)
    for phase in done.json:
        assert set(phase) == columns | {"counts", "safety"}
        assert phase["pages"] == 8
        assert "pmd_splits" in phase["counts"]


def test_run_prints_a_report_that_fits_a_mail(tlbsim):
    done = tlbsim("run", *SMALL)
    assert (done.status, done.err) == (0, "")
    assert "simulated" in done.out
    assert max(map(len, done.out.splitlines())) <= 72


def test_the_same_command_prints_the_same(tlbsim):
    assert tlbsim("run", *SMALL, "--json").out == tlbsim("run", *SMALL, "--json").out
    assert tlbsim("run", *SMALL, "--json").out != tlbsim("run", *SMALL[:-1], "4", "--json").out


def test_run_out_saves_a_result_that_can_be_loaded(tlbsim, tmp_path):
    folder = tmp_path / "new" / "result"
    done = tlbsim("run", *SMALL, "--json", "--out", folder)
    assert (done.status, done.err) == (0, "")
    assert sorted(p.name for p in folder.iterdir()) == [
        "SHA256SUMS", "frames.npz", "provenance.json", "scenario.json",
    ]  # fmt: skip
    loaded = sim.load_result(folder)
    assert [int(ns) for ns in loaded.summary["elapsed_ns"]] == [
        phase["elapsed_ns"] for phase in done.json
    ]
    assert list(folder.parent.iterdir()) == [folder]


# --- compare ------------------------------------------------------------------------------

PAIR = ("--kernel", "v6.6", "--kernel", "v6.7")


def test_compare_json_has_the_first_kernel_as_the_reference(tlbsim):
    done = tlbsim("compare", *SMALL, *PAIR, "--replications", "3", "--json")
    assert done.status == 0
    flushes = {
        (row["scenario"], row["phase"]): row for row in done.json if row["metric"] == "flushes"
    }
    # One vmemmap PMD and 8 folios: N+S and N flushes, then 2 and 1.
    assert [row["mean"] for row in flushes.values()] == [9, 2, 8, 1]
    assert flushes["v6.6", "alloc"]["ratio"] == 1
    assert {row["n"] for row in done.json} == {3}


def test_compare_prints_a_table_that_fits_a_mail(tlbsim):
    done = tlbsim("compare", *SMALL, *PAIR, "--replications", "3")
    assert (done.status, done.err) == (0, "")
    assert "95% interval" in done.out
    assert max(map(len, done.out.splitlines())) <= 72


def test_compare_is_the_same_as_in_python(tlbsim):
    rows = tlbsim("compare", *SMALL, *PAIR, "--replications", "2", "--json").json
    calls = []
    frame = sim.compare(
        fields("compare", *SMALL, *PAIR), replications=2, progress=lambda: calls.append(1)
    ).frame
    assert [row["mean"] for row in rows] == [row["mean"] for row in records(frame)]
    assert len(calls) == 4


def test_an_interrupted_comparison_shows_the_replications_that_were_finished(tlbsim, monkeypatch):
    calls = itertools.count(1)
    simulate = cell.simulate

    def interrupted_in_the_third_replication(scenario, **options):
        if next(calls) == 6:
            raise KeyboardInterrupt
        return simulate(scenario, **options)

    monkeypatch.setattr(cell, "simulate", interrupted_in_the_third_replication)
    # In this process, however slow it is: another has the simulation as it was.
    done = tlbsim("compare", *SMALL, *PAIR, "--jobs", "1", "--json")
    assert done.status == 130
    assert done.err == "tlbsim: interrupted; the table covers 2 of 10 replications\n"
    assert {row["n"] for row in done.json} == {2}


def test_json_has_what_it_hangs_on_and_where_it_breaks_even(tlbsim):
    options = ("--uncertainty", "4", "--break-even", "cpus=2..3", "--jobs", "1", "--json")
    found = tlbsim("compare", *SMALL, *PAIR, *options).json
    assert set(found) == {"rows", "ranking", "tornado", "break_even"}
    assert {row["n"] for row in found["rows"]} == {4}
    assert {row["factor"] for row in found["tornado"]} <= {r["factor"] for r in found["ranking"]}
    assert [step["value"] for step in found["break_even"][0]["steps"]] == [2, 3]


def test_the_table_is_there_if_kernel_code_fails_where_it_might_break_even(tlbsim, tmp_path):
    patch = tmp_path / "small_machines_only.py"
    patch.write_text(FAILS_ON_MORE_THAN_TWO_CPUS)
    options = ("--kernel", "v6.6", "--kernel", patch, "--cpus", "2", "--jobs", "1")
    alone = tlbsim("compare", *SMALL, *options)
    done = tlbsim("compare", *SMALL, *options, "--break-even", "cpus=2..3")
    assert (alone.status, done.status) == (0, 1)
    assert done.out == alone.out
    raised = "small_machines_only.py, line 10, in flush_tlb_all(): ValueError: too large"
    assert done.err == f"tlbsim: break-even: {raised} (at 3)\n"


def test_the_table_is_there_if_the_search_for_a_break_even_is_interrupted(tlbsim, monkeypatch):
    calls = itertools.count(1)
    simulate = cell.simulate

    def interrupted_after_the_table(scenario, **options):
        if next(calls) == 2 * 3 + 1:
            raise KeyboardInterrupt
        return simulate(scenario, **options)

    monkeypatch.setattr(cell, "simulate", interrupted_after_the_table)
    options = ("--replications", "3", "--jobs", "1", "--break-even", "cpus=2..3")
    done = tlbsim("compare", *SMALL, *PAIR, *options, "--json")
    assert done.status == 130
    assert {row["n"] for row in done.json} == {3}


def test_nothing_is_checked_in_a_comparison_that_asks_for_it(tlbsim):
    options = ("--replications", "1", "--jobs", "1", "--no-check")
    found = tlbsim("compare", *SMALL, *PAIR, *options, "--json").json
    assert {row["safety"] for row in found} == {"safety: not checked"}
    refused = tlbsim("sweep", *SMALL, *PAIR, *options, "--strict")
    assert (refused.status, refused.out) == (2, "")
    assert "--strict needs what must hold to be checked" in refused.err


def test_every_option_may_be_an_axis_with_commas_or_repeated():
    found = fields(
        "compare", "--machine", "laptop-8", "--pages", "4,8", "--set", "costs.invlpg=90,0.2 us",
        "--set", "noise.idle_share=0.1", "--set", "noise.idle_share=0.3",
        "--fault", "pte_page=1+head_page=2", "--fault", "none",
        "--phases", "alloc", "--phases", "alloc,free", "--seed", "1,2",
    )  # fmt: skip
    assert len(found) == 2**6
    last = found[-1]
    assert (last.pages, last.faults, last.phases, last.seed) == (8, {}, ("alloc", "free"), 2)
    assert (last.machine_model.costs.invlpg.exact_ns, last.noise_model.idle_share) == (200, 0.3)
    assert found[0].faults == {"pte_page": (1,), "head_page": (2,)}


def test_zipped_options_go_together():
    options = ("--machine", "laptop-8,epyc-zen4-vm2", "--pages", "4,8", "--kernel", "v6.6,v6.7")
    found = fields("compare", *options, "--zip", "machine,pages")
    assert [(s.machine, s.pages, s.kernel) for s in found] == [
        ("laptop-8", 4, "v6.6"), ("laptop-8", 4, "v6.7"),
        ("epyc-zen4-vm2", 8, "v6.6"), ("epyc-zen4-vm2", 8, "v6.7"),
    ]  # fmt: skip


def test_scenarios_that_are_no_pairs_are_refused():
    s = fields("run", *SMALL)[0]
    for others in ([], [s.replace(seed=9)], [s.replace(phases=("alloc",))]):
        with pytest.raises(sim.InputError, match="compare: "):
            sim.compare([s, *others])


@pytest.mark.parametrize("replications", [0, -1, 1.5, True, "3"])
def test_replications_must_be_a_whole_number(replications):
    s = fields("run", *SMALL)[0]
    with pytest.raises(sim.InputError, match="replications: must be"):
        sim.compare([s, s.replace(kernel="v6.7")], replications=replications)


# --- progress and help --------------------------------------------------------------------


def test_a_progress_bar_is_shown_on_a_terminal_only(tlbsim, monkeypatch):
    argv = ("compare", *SMALL, *PAIR, "--replications", "2", "--json")
    silent = tlbsim(*argv)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = tlbsim(*argv)
    assert silent.err == ""
    assert "simulations:   0%" in shown.err
    assert shown.out == silent.out


def test_the_main_help_names_every_command_and_its_example_works(tlbsim):
    text = tlbsim("--help").out
    assert max(map(len, text.splitlines())) <= 72
    for command in (machines, kernels, run, compare, validate):
        assert command.HELP in " ".join(text.split())
    (line,) = [line for line in text.splitlines() if line.startswith("  tlbsim ")]
    assert tlbsim(*shlex.split(line)[1:]).status == 0


def test_version_is_that_of_the_package(tlbsim):
    assert tlbsim("--version").out.startswith(f"tlbsim {sim.__version__} (")


def test_json_is_strict(tlbsim):
    # One CPU has no others, so that what the others lost does not exist.
    text = tlbsim("compare", *SMALL, *PAIR, "--cpus", "1", "--replications", "2", "--json").out

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    assert json.loads(text, parse_constant=refuse)
