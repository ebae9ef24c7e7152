# SPDX-License-Identifier: MIT
"""
Scenario: what it accepts, what it refuses and how, and what its key depends on
-------------------------------------------------------------------------------
"""

from __future__ import annotations

import hashlib
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.kernel import kernels, load_kernel
from simulator.machine import load_machine
from simulator.machine.noise import NOISE_KEYS
from simulator.scenario import Scenario

GB = 1 << 30


def laptop(**fields):
    return Scenario(**{"machine": "laptop-8", "pages": 256, **fields})


# --- defaults and forms -------------------------------------------------------------------


def test_defaults_are_those_of_the_public_face():
    s = Scenario()
    assert (s.machine, s.kernel, s.pages, s.page_size) == ("epyc-7j13-vm252", "v6.6", 524288, "2M")
    assert (s.hvo, s.phases, s.path, s.allocators) == (True, ("alloc", "free"), "pool", 1)
    assert (s.cpus, s.placement, s.free_pages, s.faults) == (None, "aligned", None, {})
    assert (s.noise, s.tunables, s.seed, s.replication) == ("quiet", {}, 1, 0)
    assert s.engine == "auto"


def test_numpy_integers_and_lists_are_stored_as_ints_and_tuples():
    s = laptop(pages=np.int64(2), placement=[512, np.int32(0)], phases=["alloc"])
    assert (s.pages, s.placement, s.phases) == (2, (512, 0), ("alloc",))
    assert type(s.pages) is int
    assert {type(pfn) for pfn in s.placement} == {int}


def test_nothing_in_a_scenario_can_change():
    s = laptop(faults={"pte_page": (1,)}, noise={"preset": "busy"})
    with pytest.raises(ValueError, match="frozen"):
        s.pages = 3
    for mapping in (s.faults, s.tunables, s.noise):
        with pytest.raises(TypeError):
            mapping["pte_page"] = (2,)


def test_fault_ordinals_are_a_set_in_ascending_order():
    assert laptop(faults={"pte_page": [7, 3, 3], "head_page": []}).faults == {"pte_page": (3, 7)}


def test_phase_labels_number_the_second_of_a_kind():
    assert laptop(phases=("alloc", "free") * 2).phase_labels == ("alloc", "free", "alloc2", "free2")


def test_a_machine_a_kernel_and_a_noise_may_be_objects():
    by_name = laptop()
    by_object = laptop(
        machine=load_machine("laptop-8"),
        kernel=load_kernel("v6.6"),
        noise=by_name.noise_model,
    )
    assert by_object.key == by_name.key


# --- what is refused, and in which words --------------------------------------------------

WRONG = [
    # Names, and the nearest valid one.
    ({"machine": "laptop8"}, "unknown machine 'laptop8' (did you mean 'laptop-8'?)"),
    ({"machine": "no/such.toml"}, "no/such.toml: no such file"),
    ({"machine": 3}, "machine: must be a name, a path or a Machine, not 3"),
    ({"kernel": "6.7"}, "(did you mean 'v6.7'?)"),
    ({"kernel": "no/such.py"}, "no/such.py"),
    ({"kernel": 6.6}, "kernel: must be a name, a path or a Kernel class, not 6.6"),
    ({"noise": "quit"}, "noise: unknown preset 'quit' (did you mean 'quiet'?)"),
    ({"noise": {"idle_shar": 0.1}}, "noise: unknown key 'idle_shar' (did you mean 'idle_share'?)"),
    ({"noise": {"preset": "idle", "idle_share": 3.0}}, "idle_share is 3, but must be 0 to 1"),
    ({"noise": {1: 0.1}}, "noise: names must be text, not 1"),
    ({"noise": 0.5}, "noise: must be a name, a path, a mapping or a Noise, not 0.5"),
    ({"pagess": 3}, "unknown key 'pagess' (did you mean 'pages'?)"),
    # Numbers.
    ({"pages": 0}, "pages: must be 1 to 16777216, not 0"),
    ({"pages": -5}, "pages: must be 1 to 16777216, not -5"),
    ({"pages": 2.5}, "pages: must be a whole number, not 2.5"),
    ({"pages": 2.0}, "pages: must be a whole number, not 2.0"),
    ({"pages": "64"}, "pages: must be a whole number, not '64'"),
    ({"pages": True}, "pages: must be a whole number, not True"),
    ({"pages": None}, "pages: must be a whole number, not None"),
    ({"pages": 10**30}, "pages: must be 1 to 16777216, not 1000000000000000000000000000000"),
    ({"cpus": 0}, "cpus: must be 1 to 4096, not 0"),
    ({"cpus": 9}, "cpus: 9 is more than the 8 CPUs of laptop-8"),
    ({"cpus": "all"}, "cpus: must be a whole number, not 'all'"),
    ({"cpus": False}, "cpus: must be a whole number, not False"),
    ({"allocators": 0}, "allocators: must be 1 to 4096, not 0"),
    ({"allocators": 9}, "allocators: 9 is more than the 8 CPUs"),
    ({"allocators": 3, "cpus": 2}, "allocators: 3 is more than the 2 CPUs"),
    ({"allocators": 5, "pages": 4}, "allocators: 5 is more than the 4 pages"),
    ({"free_pages": -1}, "free_pages: must be 0 to 1099511627776, not -1"),
    ({"seed": -1}, "seed: must be 0 to 9223372036854775807, not -1"),
    ({"seed": 2**63}, "seed: must be 0 to 9223372036854775807, not 9223372036854775808"),
    ({"replication": -1}, "replication: must be 0 to 2147483647, not -1"),
    ({"replication": 2**31}, "replication: must be 0 to 2147483647, not 2147483648"),
    # Choices.
    ({"page_size": "2m"}, "page_size: '2m' is not one of 2M, 1G (did you mean '2M'?)"),
    ({"hvo": 1}, "hvo: must be true or false, not 1"),
    ({"path": "pol"}, "path: 'pol' is not one of pool, boot, surplus (did you mean 'pool'?)"),
    ({"engine": "event"}, "(did you mean 'events'?)"),
    # Phases.
    ({"phases": ()}, "phases: is empty"),
    ({"phases": ("free",)}, "phases: 'free' without an 'alloc' before it"),
    ({"phases": ("alloc", "alloc")}, "phases: 'alloc' twice in a row; phase 2 must be 'free'"),
    ({"phases": ("alloc", "free", "free")}, "phase 3 must be 'alloc'"),
    ({"phases": ("alloc", "fre")}, "phases: 'fre' is not one of alloc, free"),
    ({"phases": "alloc"}, "phases: must be a list, not 'alloc'"),
    # What does not go together.
    ({"page_size": "1G", "pages": 33}, "33 pages of 1G do not fit the memory of laptop-8; 32 fit"),
    ({"pages": 16385}, "16385 pages of 2M do not fit the memory of laptop-8; 16384 fit"),
    ({"placement": "pmds=1,2"}, "placement: 2 numbers of PMDs for 1 fills; give at most one"),
    (
        {"placement": "pmds=1,9", "pages": 8, "phases": ("alloc", "free", "alloc")},
        "placement: 8 pages of 2M cannot lie in 9 new PMDs of laptop-8, only in 0 to 8",
    ),
    (
        {
            "placement": "pmds=16,13",
            "pages": 2,
            "page_size": "1G",
            "phases": ("alloc", "free", "alloc"),
        },
        "placement: 2 pages of 1G cannot lie in 13 new PMDs, only in a multiple of 8 (nearest: 16)",
    ),
    ({"placement": "pmds=1,x"}, "placement: 'pmds=1,x' is not aligned, random, pmds=S or PFNs"),
    ({"path": "surplus", "page_size": "1G", "pages": 1}, "path: 1G pages have no 'surplus'"),
    # Placement.
    ({"placement": "alined"}, "(did you mean 'aligned'?)"),
    ({"placement": "pmds=many"}, "placement: 'pmds=many' is not aligned, random, pmds=S or PFNs"),
    ({"placement": "pmds=3"}, "256 pages of 2M cannot lie in 3 PMDs of laptop-8, only in 4 to 256"),
    ({"placement": "pmds=257"}, "cannot lie in 257 PMDs of laptop-8, only in 4 to 256"),
    ({"placement": "pmds=7", "page_size": "1G", "pages": 1}, "in 7 PMDs of laptop-8, only in 8"),
    ({"placement": 512}, "placement: must be aligned, random, pmds=S or PFNs, not 512"),
    ({"placement": (0,), "pages": 2}, "placement: 1 PFNs for 2 pages; give one each"),
    ({"placement": (0, 1.5), "pages": 2}, "placement: must be a whole number, not 1.5"),
    ({"placement": (512, 513), "pages": 2}, "PFN 513 is no multiple of 512"),
    (
        {"placement": (1024, 512), "pages": 2, "phases": ("2M write 1", "1G write 1")},
        "placement: PFNs ascend where pages of 1G are taken above them",
    ),
    ({"placement": (512,), "page_size": "1G", "pages": 1}, "PFN 512 is no multiple of 262144"),
    ({"placement": (512, 512), "pages": 2}, "placement: PFN 512 is there 2 times"),
    ({"placement": (-512,), "pages": 1}, "placement: PFN -512 is outside the memory of laptop-8"),
    ({"placement": (32 * GB // 4096,), "pages": 1}, "is outside the memory of laptop-8"),
    # Faults and tunables.
    ({"faults": {"pte_pag": (1,)}}, "faults: unknown kind 'pte_pag' (did you mean 'pte_page'?)"),
    ({"faults": {"pte_page": (0,)}}, "faults.pte_page: allocations count from 1, not 0"),
    ({"faults": {"pte_page": (True,)}}, "must be a whole number, not True"),
    ({"faults": {"pte_page": 1}}, "faults.pte_page: must be a list, not 1"),
    ({"faults": ("pte_page",)}, "faults: must map names to values, not ('pte_page',)"),
    ({"tunables": {"nr_hugepages": 1}}, "tunables: v6.6 has no 'nr_hugepages'"),
    (
        {"tunables": {"tlb_single_page_flush_ceilin": 1}},
        "(did you mean 'tlb_single_page_flush_ceiling'?)",
    ),
    ({"tunables": {"tlb_single_page_flush_ceiling": -1}}, "tlb_single_page_flush_ceiling must be"),
    ({"tunables": {"tlb_single_page_flush_ceiling": "33"}}, "must be a whole number, not '33'"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG, ids=lambda value: str(value)[:60])
def test_wrong_input_is_one_line_that_names_the_field(fields, message):
    with pytest.raises(InputError) as caught:
        laptop(**fields)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_replace_checks_again():
    with pytest.raises(InputError, match="cpus: 200 is more than the 8 CPUs of laptop-8"):
        Scenario(cpus=200).replace(machine="laptop-8", pages=1)
    with pytest.raises(InputError, match=r"unknown key 'page' \(did you mean 'pages'\?\)"):
        laptop().replace(page=3)


@pytest.mark.parametrize("nr_pmds", [4, 64, 256])
def test_pmds_from_full_to_one_page_each_are_accepted(nr_pmds):
    assert laptop(placement=f"pmds={nr_pmds}").placement == f"pmds={nr_pmds}"


def test_memory_may_be_filled_to_the_last_page():
    assert laptop(page_size="1G", pages=32).pages == 32


# --- the key ------------------------------------------------------------------------------


def test_key_is_sha256_of_canonical_json_without_engine():
    s = laptop()
    content = s.resolved()
    del content["engine"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert s.key == hashlib.sha256(text.encode()).hexdigest()


def test_resolved_is_plain_json_that_names_everything():
    s = laptop(faults={"head_page": (2,)}, placement=(0,), pages=1)
    resolved = s.resolved()
    assert json.loads(json.dumps(resolved, allow_nan=False)) == resolved
    assert list(resolved) == list(Scenario.model_fields)
    assert resolved["machine"]["name"] == "laptop-8"
    assert "class" in resolved["kernel"]["source"]
    assert resolved["cpus"] == 8
    assert resolved["tunables"].keys() == s.kernel_class.TUNABLES.keys()


def test_a_machine_of_the_same_name_and_another_cost_has_another_key():
    changed = load_machine("laptop-8").with_values({"costs.invlpg": 500.0})
    assert laptop(machine=changed).key != laptop().key


def test_each_kernel_has_its_own_key():
    keys = {laptop(kernel=name).key for name in kernels()}
    assert len(keys) == len(kernels())


ANOTHER = {
    "machine": "epyc-7j13-vm252",
    "kernel": "v6.7",
    "pages": 255,
    "page_size": "1G",
    "hvo": False,
    "phases": ("alloc",),
    "path": "boot",
    "allocators": 2,
    "cpus": 7,
    "placement": "random",
    "free_pages": 1000,
    "faults": {"pte_page": (1,)},
    "noise": "busy",
    "tunables": {"tlb_single_page_flush_ceiling": 34},
    "seed": 2,
    "replication": 1,
}


def test_the_table_below_has_every_field_but_engine():
    assert set(ANOTHER) == set(Scenario.model_fields) - {"engine"}


@settings(max_examples=40, deadline=None)
@given(st.sets(st.sampled_from(sorted(ANOTHER)), min_size=1))
def test_key_differs_when_any_field_differs(names):
    base = laptop(pages=8, cpus=None)
    changed = base.replace(**{name: 4 if name == "pages" else ANOTHER[name] for name in names})
    assert changed.key != base.key
    assert changed.replace(**{name: getattr(base, name) for name in names}).key == base.key


# By key of a noise: a value other than the one of quiet, and what it needs beside it.
OTHER_NOISE = {
    "idle_share": {"idle_share": 0.3},
    "irqs_off_share": {"irqs_off_share": 0.002},
    "preempted_share": {"preempted_share": 0.5},
    "idle_depth_ns": {"idle_depth_ns": 5000.0},
    "idle_guess_factor": {"idle_guess_factor": 2.0},
    "irqs_off_tail_share": {"irqs_off_tail_share": 0.1, "irqs_off_max_ns": 2e5},
    "irqs_off_max_ns": {"irqs_off_max_ns": 3e5},
    "shootdowns_per_s": {"shootdowns_per_s": 100},
    "shootdown_ns": {"shootdown_ns": 900.0},
}


@pytest.mark.parametrize("name", NOISE_KEYS)
def test_key_differs_when_any_key_of_the_noise_differs(name):
    quiet = laptop(pages=8)
    changed = laptop(pages=8, noise={"preset": "quiet", **OTHER_NOISE[name]})
    assert changed.key != quiet.key
    assert pickle.loads(pickle.dumps(changed)).key == changed.key  # our own object


def test_a_noise_of_a_file_is_that_of_its_content(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('preset = "idle"\nidle_depth_ns = 5000.0\n')
    for noise in (file, str(file)):
        s = laptop(pages=8, noise=noise)
        assert (s.noise_model.name, s.noise_model.idle_depth_ns) == ("mine", 5000)
        before = s.key
        assert pickle.loads(pickle.dumps(s)).key == before  # our own object
    file.write_text('preset = "idle"\nidle_depth_ns = 6000.0\n')
    assert laptop(pages=8, noise=file).key != before


def test_a_noise_that_the_machine_cannot_have_is_refused():
    with pytest.raises(InputError, match=r"irqs_off_share is 0\.96 of time, but at most 0\.95"):
        laptop(noise={"preset": "quiet", "irqs_off_share": 0.96})


@settings(max_examples=20, deadline=None)
@given(
    st.permutations(["pte_page", "head_page", "restore_page"]),
    st.permutations(["idle_share", "irqs_off_share", "preempted_share"]),
    st.sampled_from(["auto", "events"]),
)
def test_key_does_not_depend_on_engine_or_order(kinds, shares, engine):
    def scenario(kinds, shares, engine):
        faults = {kind: (len(kind), 1) for kind in kinds}
        return laptop(faults=faults, noise=dict.fromkeys(shares, 0.0125), engine=engine)

    ordered = scenario(sorted(kinds), sorted(shares), "auto")
    assert scenario(kinds, shares, engine).key == ordered.key


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "kernel": st.sampled_from(["v6.1", "v6.6", "v6.7"]),
        "pages": st.integers(8, 64),
        "page_size": st.sampled_from(["2M"]),
        "hvo": st.booleans(),
        "phases": st.integers(1, 5).map(lambda n: ("alloc", "free", "alloc", "free", "alloc")[:n]),
        "path": st.sampled_from(["pool", "boot", "surplus"]),
        "allocators": st.integers(1, 2),
        "cpus": st.none() | st.integers(2, 8),
        "placement": st.sampled_from(["aligned", "random", "pmds=8"]),
        "free_pages": st.none() | st.integers(0, 10**6),
        "faults": st.dictionaries(
            st.sampled_from(["pte_page", "head_page", "restore_page"]),
            st.lists(st.integers(1, 99), max_size=3),
        ),
        "noise": st.sampled_from(["quiet", "idle", "busy", {"preset": "busy", "idle_share": 0.5}]),
        "seed": st.integers(0, 2**63 - 1),
        "replication": st.integers(0, 2**31 - 1),
        "engine": st.sampled_from(["auto", "events"]),
    },
)


@settings(max_examples=40, deadline=None)
@given(FIELDS, FIELDS)
def test_replace_there_and_back_is_the_same_scenario(fields, others):
    s = laptop(**fields)
    changed = s.replace(**others)
    back = changed.replace(**{name: getattr(s, name) for name in others})
    assert back == s
    assert back.key == s.key
    assert hash(back) == hash(s)


@settings(max_examples=20, deadline=None)
@given(FIELDS)
def test_a_pickled_scenario_is_the_same(fields):
    s = laptop(**fields)
    copy = pickle.loads(pickle.dumps(s))
    assert copy == s
    assert copy.key == s.key


def test_a_scenario_with_machine_and_kernel_objects_can_be_pickled():
    machine = load_machine("laptop-8").with_values({"costs.invlpg": 500.0})
    s = laptop(machine=machine, kernel=load_kernel("v6.7"))
    assert pickle.loads(pickle.dumps(s)).key == s.key
