# SPDX-License-Identifier: MIT
from __future__ import annotations

import copy
import os
import tomllib

import pytest

from simulator.errors import InputError, wrong_lines
from simulator.machine import Machine, load_machine, load_noise, machines
from simulator.machine.inherit import inherited
from simulator.machine.load import _profile_path
from simulator.machine.override import leaves
from simulator.machine.values import Quantity

LAPTOP = 'inherits = "laptop-8"\n'


def refusal(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        load_machine(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "pydantic" not in message.lower()
    assert "Input should" not in message
    assert message.startswith(f"{tmp_path}/")
    return message.removeprefix(f"{tmp_path}/")


CASES = {
    "unknown key": ("titel = 'x'\n", "mine.toml: unknown key 'titel' (did you mean 'title'?)"),
    "unknown cost": (
        "[costs.injekt]\nvalue = 1\n",
        "mine.toml: costs: unknown key 'injekt' (did you mean 'inject'?)",
    ),
    "unknown key of a value": (
        "[costs.send]\nvaleu = 80\n",
        "mine.toml: costs.send: unknown key 'valeu' (did you mean 'value'?)",
    ),
    "wrong unit": (
        "[costs.send]\nunit = 'uss'\n",
        "mine.toml: costs.send.unit: 'uss' is not one of ns, us, ms, s (did you mean 'us'?)",
    ),
    "unit of size for a time": (
        "[costs.send]\nunit = 'KiB'\n",
        "mine.toml: costs.send.unit: 'KiB' is not one of ns, us, ms, s",
    ),
    "unit of time for a size": (
        "[memory.node_memory]\nunit = 'ns'\n",
        "mine.toml: memory.node_memory.unit: 'ns' is not one of bytes, KiB, MiB, GiB, TiB",
    ),
    "wrong kind": (
        "[costs.send]\nkind = 'guess'\n",
        "mine.toml: costs.send.kind: 'guess' is not one of measured, vendor, derived, assumed",
    ),
    "negative cost": (
        "[costs.send]\nvalue = -1\n",
        "mine.toml: costs.send.value: is -1, but cannot be below 0",
    ),
    "value above its range": (
        "[costs.send]\nvalue = 900\n",
        "mine.toml: costs.send: value 900 is outside its own range [30, 200] (nearest: 200)",
    ),
    "count outside its range": (
        "[memory.outstanding_lines]\nvalue = 9\n",
        "mine.toml: memory.outstanding_lines: value 9 is outside its own range [10, 48]"
        " (nearest: 10)",
    ),
    # A flush in chunks of no pages would never end.
    "none of what is counted": (
        "[memory.outstanding_lines]\nvalue = 0\nrange = [0, 9]\n",
        "mine.toml: memory.outstanding_lines: is 0, but must be 1 or more",
    ),
    "a title of two lines": (
        'title = "a\\nb"\n',
        r"mine.toml: title 'a\nb' has characters that cannot be printed",
    ),
    "no table of mechanisms": (
        "mechanisms = 3\n",
        "mine.toml: mechanisms: must be a table, not 3",
    ),
    "range upside down": (
        "[costs.send]\nrange = [200, 30]\n",
        "mine.toml: costs.send: range is [200, 30], but must be [low, high] from 0 up",
    ),
    "range of three": ("[costs.send]\nrange = [1, 2, 3]\n", "mine.toml: costs.send.range"),
    "text for a number": (
        "[costs.send]\nvalue = '80'\n",
        "mine.toml: costs.send.value: must be a number, not '80'",
    ),
    "not a number": (
        "[costs.send]\nvalue = nan\n",
        "mine.toml: costs.send.value: must be a finite number, not nan",
    ),
    "bare number for a table": (
        "[costs]\nsend = 80\n",
        "mine.toml: costs.send: must be a table with kind, source, value, range, unit, not 80",
    ),
    "empty source": (
        "[costs.send]\nsource = ' '\n",
        "mine.toml: costs.send.source: is empty: say where the value comes from",
    ),
    "decreasing quantiles": (
        "[costs.send]\nquantiles = [[0.0, 90], [1.0, 70]]\n",
        "mine.toml: costs.send: quantiles: 70 after 90 decreases",
    ),
    "quantiles that stop early": (
        "[costs.send]\nquantiles = [[0.0, 70], [0.9, 90]]\n",
        "mine.toml: costs.send: quantiles must run from probability 0 to 1, in at least two points",
    ),
    "value that is not the mean": (
        "[costs.send]\nquantiles = [[0.0, 100], [1.0, 140]]\n",
        "mine.toml: costs.send: value 80 is not the mean of its quantiles, 120",
    ),
    "spread of the wrong parameter": (
        "[costs.send]\nspread = { family = 'gamma', sigma = 0.3 }\n",
        "mine.toml: costs.send.spread: a gamma spread needs 'cv'",
    ),
    "unknown family": (
        "[costs.send]\nspread = { family = 'lognorm', sigma = 0.3 }\n",
        "mine.toml: costs.send.spread.family: 'lognorm' is not one of lognormal, gamma"
        " (did you mean 'lognormal'?)",
    ),
    "absurd spread": (
        "[costs.send]\nspread = { family = 'lognormal', sigma = 30 }\n",
        "mine.toml: costs.send.spread: sigma is 30, but must be above 0 and at most 2",
    ),
    "cpus that do not add up": (
        "[topology.cpus]\nvalue = 9\n",
        "mine.toml: topology: cpus is 9, but sockets x cores_per_socket x threads_per_core is 8",
    ),
    "unknown numbering": (
        "[topology.numbering]\nvalue = 'sibling-last'\n",
        "mine.toml: topology.numbering.value: 'sibling-last' is not one of"
        " siblings-last, siblings-adjacent (did you mean 'siblings-last'?)",
    ),
    "fraction of a CPU": (
        "[topology.cpus]\nvalue = 8.5\n",
        "mine.toml: topology.cpus.value: must be a whole number, not 8.5",
    ),
    "hypervisor cost on bare metal": (
        "[costs.inject]\nvalue = 5\nrange = [0, 9]\n",
        "mine.toml: costs.inject must be 0 without a hypervisor (virtual = false)",
    ),
    "virtual without preemption": (
        "virtual = true\n",
        "mine.toml: spells.preempted is missing, which a virtual machine needs",
    ),
    "spell longer than its frame": (
        "[spells.irqs_off.frame]\nvalue = 90\nrange = [90, 90]\n",
        "mine.toml: spells.irqs_off: frame is 90000 ns, shorter than the longest spell of 97000 ns",
    ),
    "idle frame below a residency": (
        "[spells.idle.frame]\nvalue = 0.5\nrange = [0.5, 1]\n",
        "mine.toml: spells.idle.frame is shorter than the residency of C6,"
        " which would never be entered",
    ),
    "unknown parent": (
        "inherits = 'laptop-9'\n",
        "mine.toml: inherits: unknown machine 'laptop-9' (did you mean 'laptop-8'?)",
    ),
    "parent of nobody": (
        "inherits = '~nosuchuser/a.toml'\n",
        "mine.toml: inherits: ~nosuchuser/a.toml: there is no such user as ~nosuchuser",
    ),
    "name of two lines": (
        'name = "a\\nb"\n',
        "mine.toml: name 'a\\nb' has characters that cannot be printed",
    ),
    "key of two lines": ('"a\\nb" = 1\n', "mine.toml: unknown key 'a\\nb'"),
    "minus zero": (
        "[costs.send]\nvalue = -0.0\n",
        "mine.toml: costs.send.value: is -0, but cannot be below 0",
    ),
    "number of 400 digits": (
        f"[costs.send]\nvalue = 1{'0' * 400}\n",
        f"mine.toml: costs.send.value: must be a number, not 1{'0' * 56}...",
    ),
    "count of 400 digits": (
        f"[memory.outstanding_lines]\nvalue = 1{'0' * 400}\n",
        "mine.toml: memory.outstanding_lines: value about 1e400 is outside its own range [10, 48]"
        " (nearest: 48)",
    ),
    "number of 5000 digits": (
        f"[costs.send]\nvalue = 1{'0' * 5000}\n",
        "mine.toml: not TOML: a number has too many digits",
    ),
    "20,000 brackets": (
        f"title = {'[' * 20_000}\n",
        "mine.toml: not a profile: lists or tables stand too deep inside one another",
    ),
    "300 brackets": (
        f"title = {'[' * 300}{']' * 300}\n",
        "mine.toml: not a profile: lists or tables stand too deep inside one another",
    ),
    "parent that is no text": ("inherits = 8\n", "mine.toml: inherits: must be text, not 8"),
    "not TOML": ("title = \n", "mine.toml: not TOML: Invalid value (at line 2, column 9)"),
    "bytes that are not text": (b"title = '\xff'\n", "mine.toml: not text: byte 9 is not UTF-8"),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_profile_is_one_line_with_file_field_and_nearest_value(tmp_path, case):
    text, expected = CASES[case]
    if isinstance(text, str) and "inherits" not in text:
        text = LAPTOP + text
    message = refusal(tmp_path, text)
    if case in ("range of three", "key of two lines"):
        assert message.startswith(expected)
    else:
        assert message == expected


# By hand: each mistake in the file, and no other line.
SERVER = """\
inherits = "xeon-8375c-2s"
titel = "My server"
[topology]
sockets.value = 4
cpus = { value = 224, kind = "vendor" }
[costs.injekt]
value = 3
[costs.send]
value = -4
[costs.inject]
value = 5
range = [0, 9]
[costs.ack]
hop1 = 6
[ipi.mode]
value = "x2apic"
"""
WRONG = [
    "topology.cpus: kind 'vendor' needs a source: the value is no longer its parent's",
    "costs: unknown key 'injekt' (did you mean 'inject'?)",
    "unknown key 'titel' (did you mean 'title'?)",
    "topology: cpus is 224, but sockets x cores_per_socket x threads_per_core is 256",
    "topology: socket_hops must have 4 rows of 4 numbers",
    "ipi.mode.value: 'x2apic' is not one of x2apic_cluster, x2apic_physical, kvm_hypercall,"
    " per_cpu"
    " (did you mean 'x2apic_cluster'?)",
    "costs.send.value: is -4, but cannot be below 0",
    "costs.ack.hop1: must be a table with kind, source, value, range, unit, not 6",
    "costs.inject must be 0 without a hypervisor (virtual = false)",
]


def test_all_mistakes_of_a_file_are_said_at_once(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SERVER)
    with pytest.raises(InputError) as caught:
        load_machine(path)
    found = [line.removeprefix(f"{path}: ") for line in wrong_lines(caught.value)]
    assert sorted(found) == sorted(WRONG)


def test_all_that_a_machine_lacks_is_named_at_once_by_table(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('inherits = "x86-64"\n[memory.node_memory]\nvalue = 1\n')
    with pytest.raises(InputError) as caught:
        load_machine(path)
    found = [line.removeprefix(f"{path}: ") for line in wrong_lines(caught.value)]
    # What x86-64.toml says it leaves to machines.
    assert found == [
        "missing 'topology', 'idle_states'",
        "memory.node_memory: missing 'kind', 'source', 'range', 'unit'",
        "costs: missing 'enqueue', 'deliver', 'ack', 'cache_line', 'page_copy_near',"
        " 'page_copy_far', 'huge_alloc_2m', 'huge_free_2m'",
    ]


def test_missing_unit_is_named_with_the_units(tmp_path):
    message = refusal(tmp_path, _laptop_without("costs", "send", "unit"))
    assert message == "mine.toml: costs.send: missing 'unit' (one of ns, us, ms, s)"
    text = (
        "[[idle_states]]\nname = 'C1'\n"
        "exit_latency = { value = 1, kind = 'assumed', source = 'x', range = [1, 1] }\n"
        "residency = { value = 1, unit = 'us', kind = 'assumed', source = 'x', range = [1, 1] }\n"
    )
    message = refusal(tmp_path, LAPTOP + text)
    assert message == (
        "mine.toml: idle_states[0].exit_latency: missing 'unit' (one of ns, us, ms, s)"
    )


def test_missing_cost_is_named(tmp_path):
    # The shared costs alone are no machine.
    message = refusal(tmp_path, 'inherits = "x86-64"\n[memory.node_memory]\nvalue = 1\n')
    assert "missing" in message
    message = refusal(tmp_path, _laptop_without("costs", "page_copy_near"))
    assert message == "mine.toml: costs: missing 'page_copy_near'"


def test_missing_cost_of_a_distance_that_the_machine_has_is_named(tmp_path):
    text = (
        LAPTOP + "[topology.sockets]\nvalue = 2\n[topology.nodes]\nvalue = 2\n"
        "[topology.cpus]\nvalue = 16\n[topology.socket_hops]\nvalue = [[0, 1], [1, 0]]\n"
    )
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_machine(path)
    assert wrong_lines(caught.value) == [
        f"{path}: costs.{name}.hop1 is missing: sockets are that far apart"
        for name in ("enqueue", "deliver", "ack", "cache_line")
    ]


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ("[[0, 1], [2, 0]]", "socket_hops[0][1] is 1, but [1][0] is not"),
        ("[[0, 3], [3, 0]]", "socket_hops[0][1] is 3, but must be 1 or 2"),
        ("[[1, 1], [1, 0]]", "socket_hops[0][0] is 1, but must be 0 on the diagonal"),
        ("[[0]]", "socket_hops must have 2 rows of 2 numbers"),
    ],
)
def test_impossible_distances_are_named(tmp_path, matrix, expected):
    text = (
        LAPTOP + "[topology.sockets]\nvalue = 2\n[topology.nodes]\nvalue = 2\n"
        f"[topology.cpus]\nvalue = 16\n[topology.socket_hops]\nvalue = {matrix}\n"
    )
    assert refusal(tmp_path, text) == f"mine.toml: topology: {expected}"


def test_cycle_of_inheritance_is_named(tmp_path):
    (tmp_path / "b.toml").write_text('inherits = "mine.toml"\n')
    message = refusal(tmp_path, 'inherits = "b.toml"\n')
    assert message.startswith("mine.toml: inherits: a cycle: ")
    assert refusal(tmp_path, 'inherits = "self.toml"\n', "self.toml").startswith("self.toml: ")


def test_missing_file_and_directory_and_name_are_named(tmp_path):
    for wrong, expected in [
        (tmp_path / "none.toml", f"{tmp_path}/none.toml: no such file"),
        (f"{tmp_path}/none.toml", f"{tmp_path}/none.toml: no such file"),
        (tmp_path, f"{tmp_path}: is a folder, not a file"),
        ("a\0b.toml", "machine: a\\x00b.toml: cannot be a path: it has a NUL byte"),
        ("~nosuchuser/a.toml", "machine: ~nosuchuser/a.toml: there is no such user as ~nosuchuser"),
        ("laptop8", "unknown machine 'laptop8' (did you mean 'laptop-8'?)"),
        ("zzz", f"unknown machine 'zzz'; known: {', '.join(machines())}"),
        ("x86-64", "machine 'x86-64' is abstract: it can only be inherited from"),
    ]:
        with pytest.raises(InputError) as caught:
            load_machine(wrong)
        assert str(caught.value) == expected


def test_a_pipe_a_device_and_a_loop_of_links_are_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    for name in ("pipe", "loop", "zero"):
        for load in (load_machine, load_noise):
            with pytest.raises(InputError, match=r"is no regular file|cannot be read"):
                load(tmp_path / f"{name}.toml")
        assert "mine.toml" not in refusal(tmp_path, f'inherits = "{name}.toml"\n')


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_named(tmp_path):
    path = tmp_path / "secret.toml"
    path.write_text(LAPTOP)
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        load_machine(path)


def test_child_overrides_only_what_differs(tmp_path):
    (tmp_path / "child.toml").write_text(LAPTOP + "[costs.send]\nvalue = 90\n")
    (tmp_path / "grandchild.toml").write_text('inherits = "child.toml"\ntitle = "mine"\n')
    child, laptop = load_machine(tmp_path / "grandchild.toml"), load_machine("laptop-8")
    assert child.name == "grandchild"
    assert child.title == "mine"
    assert child.costs.send.value == 90
    assert child.costs.model_copy(update={"send": laptop.costs.send}) == laptop.costs
    assert child.topology == laptop.topology


def test_child_with_a_source_of_its_own_drops_the_remarks_on_the_old_one(tmp_path):
    assert load_machine("laptop-8").costs.invlpg.machine
    (tmp_path / "mine.toml").write_text(LAPTOP + "[costs.invlpg]\nvalue = 90\nsource = 'me'\n")
    invlpg = load_machine(tmp_path / "mine.toml").costs.invlpg
    assert (invlpg.source, invlpg.machine, invlpg.date, invlpg.note) == ("me", "", "", "")


def test_child_replaces_a_spread_as_a_whole(tmp_path):
    text = LAPTOP + "[costs.enqueue]\nspread = { family = 'gamma', cv = 0.5 }\n"
    (tmp_path / "mine.toml").write_text(text)
    spread = load_machine(tmp_path / "mine.toml").costs.enqueue.spread
    assert (spread.family, spread.cv, spread.sigma) == ("gamma", 0.5, None)


# --set KEY=VALUE

SET_ERRORS = {
    ("costs.sned", 1): "costs.sned: the machine has no such value (did you mean 'costs.send'?)",
    ("costs.enqueue", 1): "costs.enqueue: has several values: costs.enqueue.core,"
    " costs.enqueue.socket",
    ("costs.send", "fast"): "costs.send: 'fast' is not a number with one of the units"
    " ns, us, ms, s",
    ("costs.send", "1 uss"): "costs.send: 'uss' is not one of the units ns, us, ms, s"
    " (did you mean 'us'?)",
    ("costs.send", -1): "set by the user: costs.send.value: is -1, but cannot be below 0",
    ("costs.send", float("nan")): "costs.send: must be a finite number, not nan",
    ("costs.send", float("inf")): "costs.send: must be a finite number, not inf",
    ("costs.send", True): "costs.send: must be a number, not True",
    ("ipi.shorthand", "maybe"): "ipi.shorthand: must be true or false, not 'maybe'",
    ("ipi.mode", "x2apic"): "set by the user: ipi.mode.value: 'x2apic' is not one of"
    " x2apic_cluster, x2apic_physical, kvm_hypercall",
    ("topology.cpus", "many"): "topology.cpus: must be a whole number, not 'many'",
    ("topology.cpus", 2.5): "topology.cpus: must be a whole number, not 2.5",
    (
        "topology.cache_cores",
        0,
    ): "set by the user: topology: cache_cores is 0, but must be 1 to 4096",
    ("topology.cpus", 9): "set by the user: topology: cpus is 9, but sockets x cores_per_socket"
    " x threads_per_core is 8",
}


@pytest.mark.parametrize(("key", "value"), SET_ERRORS)
def test_wrong_value_set_by_the_user_is_one_line(key, value):
    with pytest.raises(InputError) as caught:
        load_machine("laptop-8").with_values({key: value})
    message, expected = str(caught.value), SET_ERRORS[key, value]
    assert "\n" not in message
    assert message.startswith(expected)


def test_value_set_by_the_user_is_in_nanoseconds_and_says_who_set_it():
    machine = load_machine("epyc-7j13-vm252").with_values({"costs.inject": 900.0})
    inject = machine.costs.inject
    assert inject.exact_ns == 900
    assert (inject.kind, inject.source, inject.note) == ("assumed", "set by the user", "")
    assert inject.range == (500, 1100)  # 0.5 to 1.1 us
    assert inject.spread == load_machine("epyc-7j13-vm252").costs.inject.spread


def test_value_set_by_the_user_may_name_its_unit():
    laptop = load_machine("laptop-8")
    for text in ("1.5us", "1.5 us", " 1500 ", "1500ns", "0.0015 ms"):
        assert laptop.with_values({"costs.send": text}).costs.send.exact_ns == 1500
    wide = laptop.with_values({"memory.outstanding_lines": 60}).memory.outstanding_lines
    assert (wide.value, wide.range) == (60, (10, 60))
    more = laptop.with_values({"memory.node_memory": "64 GiB", "idle_states.C6.exit_latency": 5})
    assert more.memory.node_memory.exact_bytes == 64 * 2**30
    assert more.idle_states[3].exit_latency.exact_ns == 5


def test_range_is_widened_to_a_what_if_value():
    send = load_machine("laptop-8").with_values({"costs.send": 0}).costs.send
    assert send.range == (0, 200)


def test_quantiles_keep_their_shape_when_their_mean_is_set():
    key = "spells.irqs_off.length"
    before = load_machine("laptop-8").spells.irqs_off.length
    after = load_machine("laptop-8").with_values({key: "0.935 us"}).spells.irqs_off.length
    assert after.quantiles[-1][1] == pytest.approx(before.quantiles[-1][1] / 2)


def test_nothing_set_is_the_same_machine():
    for name in machines():
        assert load_machine(name).with_values({}) == load_machine(name)
        assert load_machine(name).changed() == {}


def test_machine_knows_what_the_user_set_and_in_which_unit():
    values = {"costs.inject": 900, "costs.send": "0.2us"}
    machine = load_machine("epyc-7j13-vm252").with_values(values)
    assert machine.changed() == {"costs.send": "0.2 us", "costs.inject": "900 ns"}
    again = machine.with_values({"ipi.shorthand": False})
    assert again.changed() == machine.changed() | {"ipi.shorthand": "false"}


def test_value_set_by_the_user_is_no_longer_a_fitted_one():
    machine = load_machine("epyc-7j13-vm252")
    folio = ("costs.huge_alloc_2m", "costs.huge_free_2m")
    assert machine.fitted(patched=False) == ("costs.inject", *folio)
    assert machine.with_values({"costs.inject": 900}).fitted(patched=False) == folio
    assert machine.fitted(patched=True) == ()


def test_of_a_fitted_table_what_the_user_left_stays_fitted():
    machine = load_machine("server-2021")
    assert machine.fitted(patched=False)[:2] == ("costs.enqueue", "costs.ack")
    changed = machine.with_values({"costs.enqueue.socket": 50})
    left = ("costs.enqueue.core", "costs.enqueue.hop1")
    assert changed.fitted(patched=False)[:3] == (*left, "costs.ack")


@pytest.mark.parametrize("name", machines())
def test_every_settable_key_can_be_set_to_what_it_is(name):
    machine = load_machine(name)
    before = leaves(machine)
    assert machine.keys() == tuple(before)
    assert {"costs.enqueue.socket", "ipi.shorthand", "topology.cpus"} <= set(before)
    same = {
        key: f"{leaf.value} {leaf.unit}" if isinstance(leaf, Quantity) else leaf.value
        for key, leaf in before.items()
    }
    changed = leaves(machine.with_values(same))
    for key, leaf in before.items():
        assert changed[key].value == leaf.value
        assert changed[key].source == "set by the user"


def test_whatever_is_put_anywhere_is_a_machine_or_one_line():
    data = _data("epyc-7j13-vm252")
    del data["inherits"]
    wrong = (5, -1.5, float("nan"), 10**30, "x", "", True, [], [[1]], {}, {"value": 1}, None)
    for path in list(_paths(data)):
        # The values of one cost are checked like those of any other.
        if path[0] == "costs" and path[1:2] and path[1] not in ("send", "inject", "enqueue"):
            continue
        for value in wrong:
            changed = copy.deepcopy(data)
            table = changed
            for key in path[:-1]:
                table = table[key]
            if value is None:
                del table[path[-1]]
            else:
                table[path[-1]] = value
            message = _message(changed)
            assert message == "" or message.startswith("mine.toml: "), (path, value)
            assert "\n" not in message
            assert "Input should" not in message


def _message(data):
    try:
        Machine.of(data, "mine.toml")
    except InputError as error:
        return str(error)
    return ""


def _paths(node, path=()):
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from _paths(item, (*path, key))


def _data(name):
    parts = [tomllib.loads(_profile_path(n).read_text()) for n in ("x86-64", name)]
    return {k: v for k, v in inherited(*parts).items() if k != "abstract"} | {"name": name}


def _laptop_without(*path):
    # What both files of the laptop say, as one file, less one value.
    data = _data("laptop-8")
    table = data
    for key in path[:-1]:
        table = table[key]
    del table[path[-1]], data["inherits"]
    return _toml(data)


def _toml(value, prefix=""):
    if not prefix:
        return "".join(f"{key} = {_toml(item, 'x')}\n" for key, item in value.items())
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v, 'x')}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v, "x") for v in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace('"', "'") + '"'
    return repr(value)
