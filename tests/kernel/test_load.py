# SPDX-License-Identifier: MIT
"""
Kernels from users' files: what is refused when they are loaded, and where they fail
------------------------------------------------------------------------------------

Oracle: the text of the file.
"""

from __future__ import annotations

import ast
import linecache
import os
import signal
from pathlib import Path

import pytest
import simpy

from simulator.errors import InputError, KernelError
from simulator.kernel import kernel_named, load, load_kernel
from simulator.kernel.blame import blame, raised_on_purpose
from simulator.run import simulate
from simulator.scenario import Scenario

HEAD = "from simulator.kernel.versions.v6_7 import V6_7\n\n\nclass Mine(V6_7):\n"


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("name = b'mine'", "name must be text, not b'mine'"),
        ("name = ''", "name is empty"),
        ("name = 'two\\nlines'", "name must be one line of text"),
        ("name = 'v6.7'", "'v6.7' is a kernel of the package"),
        ("subject = 'no name of its own'", "'v6.7' is a kernel of the package"),
        ("name = 'mine'; summary = 3", "summary must be text, not 3"),
        ("name = 'mine'; TUNABLES = 3", "TUNABLES must be a dict, not 3"),
        (
            "name = 'mine'; TUNABLES = OLD | {'a': 3}",
            "TUNABLES['a'] must be (default, lowest, highest",
        ),
        (
            "name = 'mine'; TUNABLES = OLD | {'a': (1, 0, 2)}",
            "TUNABLES['a'] must be (default",
        ),
        (
            "name = 'mine'; TUNABLES = OLD | {'a': (3, 0, 2, 'x')}",
            "TUNABLES['a'] must be (default",
        ),
        (
            "name = 'mine'; TUNABLES = OLD | {'a': (1.0, 0, 2, 'x')}",
            "TUNABLES['a'] must be (default",
        ),
        ("name = 'mine'; TUNABLES = {}", "add to those of the parent: TUNABLES = Parent.TUN"),
        (
            "name = 'mine'; TUNABLES = OLD | {3: (1, 0, 2, 'x')}",
            "TUNABLES[3] must be (default",
        ),
    ],
)
def test_what_reports_and_options_could_not_use_is_one_line(file, body, message):
    path = file(f"OLD = {kernel_named('v6.7').TUNABLES}\n{HEAD}    {body}\n")
    with pytest.raises(InputError) as error:
        load_kernel(path)
    assert str(error.value).startswith(f"kernel: {path}: ")
    assert message in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("what", ["KeyboardInterrupt", "SystemExit", "GeneratorExit", "Own"])
def test_whatever_a_file_raises_is_its_own_error(file, what):
    path = file(f"class Own(BaseException):\n    pass\nraise {what}\n")
    with pytest.raises(InputError, match=rf"mine\.py, line 3: {what}$"):
        load_kernel(path)


def test_an_interrupt_from_outside_is_no_error_of_the_file(file):
    # What a terminal gives, wherever the tests run: a job in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    path = file(f"import os\nos.kill({os.getpid()}, {int(signal.SIGINT)})\nwhile True: pass\n")
    try:
        with pytest.raises(KeyboardInterrupt):
            load_kernel(path)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("name", ["mine.py", "./mine.py", "../mine.py"])
def test_a_name_in_data_is_never_a_file(file, name, monkeypatch, tmp_path):
    file(HEAD + "    name = 'mine'\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="there is no"):
        kernel_named(name)
    assert kernel_named("v6.7") is load_kernel("v6.7")


# --- generators ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "def split_folios(k, h, folio_list):\n        yield from ()",
            'split_folios() is a generator: kernel code is plain functions now; delete "yield from"'
            " (and the task parameter)",
        ),
        ("@staticmethod\n    def own():\n        yield", "own() is a generator: "),
        ("split_folios = lambda k, h, folio_list: (yield)", "split_folios() is a generator: "),
        ("async def split_folios(k, h, folio_list): pass", "split_folios() is a coroutine: "),
        ("async def split_folios(k, h, folio_list): yield", "split_folios() is a coroutine: "),
        (
            "def split_folios(k, task, h, folio_list): pass",
            "split_folios(k, task, h, folio_list) must take what it is called with: (k, h,"
            " folio_list)",
        ),
        ("def split_folios(k, h): pass", "split_folios(k, h) must take what it is called with"),
        (
            "def hugetlb_vmemmap_optimize(k, h, folio): pass",
            "hugetlb_vmemmap_optimize() is hugetlb_vmemmap_optimize_folio() in v6.7; give it that"
            " name",
        ),
    ],
)
def test_a_function_that_would_do_nothing_is_refused_with_its_line(file, code, message):
    path = file(f"{HEAD}    name = 'mine'\n\n    {code}\n")
    with pytest.raises(InputError) as error:
        load_kernel(path)
    assert str(error.value).startswith(f"kernel: {path}, line 7: {message}")


def test_a_name_of_v6_12_is_asked_for_where_the_old_one_would_never_be_called(file):
    path = file(
        "from simulator.kernel.versions.v6_12 import V6_12\n\n\nclass Mine(V6_12):\n"
        "    name = 'mine'\n\n    def split_vmemmap_huge_pmd(k, pmd, start, flush=True):\n"
        "        return 0\n"
    )
    with pytest.raises(InputError, match=r"line 7: split_vmemmap_huge_pmd\(\) is vmemmap_pmd_en"):
        load_kernel(path)


def test_a_function_is_replaced_by_nothing_else(file):
    path = file(f"{HEAD}    name = 'mine'\n    split_folios = None\n")
    with pytest.raises(InputError, match="split_folios must be a function, not None"):
        load_kernel(path)


def test_a_class_of_a_notebook_is_looked_at_as_one_of_a_file():
    class Old(kernel_named("v6.7")):
        def split_folios(self, h, folio_list):
            yield h, folio_list

    with pytest.raises(InputError, match=r"test_load\.py, line \d+: split_folios\(\) is a gen"):
        Scenario(machine="laptop-8", kernel=Old, pages=1)


def test_a_class_without_a_source_is_one_line_and_one_of_a_cell_has_its_text():
    code = "class Typed(V6_7):\n    def own(k): return 1\n"
    found = {"V6_7": kernel_named("v6.7"), "__name__": "typed in"}
    exec(compile(code, "<cell 1>", "exec"), found)  # noqa: S102 - as Python's prompt does
    with pytest.raises(InputError, match="kernel: the source of Typed is not to be found; put"):
        found["Typed"].source()
    linecache.cache["<cell 1>"] = (len(code), None, code.splitlines(keepends=True), "<cell 1>")
    assert code in found["Typed"].source()


def test_plain_functions_are_taken(file):
    path = file(
        f"import dataclasses\n{HEAD}    name = 'mine'\n\n"
        "    def split_folios(k, *args, **more):\n        return sum(x for x in (1, 2))\n\n"
        "    def own(k, h, *, flush=True):\n        return h\n\n\n"
        "@dataclasses.dataclass\nclass Helper:\n    nr: int\n"
    )
    assert load_kernel(path).name == "mine"


def test_a_file_may_have_the_name_of_the_package(file):
    path = file(f"{HEAD}    name = 'mine'\n\n    def split_folios(k):\n        yield\n")
    renamed = path.rename(path.with_name("simulator.py"))
    with pytest.raises(InputError, match=r"simulator\.py, line 7: split_folios\(\) is a generator"):
        load_kernel(renamed)


# --- errors while it runs -----------------------------------------------------------------

FAILING = HEAD + "    name = 'mine'\n\n    def folio_set_hugetlb_vmemmap_optimized(k, folio):\n"


@pytest.mark.parametrize("engine", ["auto", "events"])
@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise ValueError('two\\nlines')", "ValueError: two"),
        ("int('x')", "ValueError: invalid literal for int() with base 10: 'x'"),
        ("k.memory.lay_out(None)", "AttributeError: "),
        ("k.current.work('mine', 0.5)", "0.5 ns of work in 'mine' is not a whole number"),
        ("k.current.work('mine', -5)", "-5 ns of work in 'mine' is not a whole number from 0 on"),
    ],
)
def test_the_users_line_is_blamed_for_its_errors(file, engine, line, what):
    path = file(f"{FAILING}        {line}\n")
    scenario = Scenario(machine="laptop-8", kernel=path, pages=1, cpus=2, engine=engine)
    with pytest.raises(BaseException) as error:  # noqa: PT011 - any may be raised
        simulate(scenario)
    first, source = blame(error.value).splitlines()
    assert first.startswith(f"{path}, line 8, in folio_set_hugetlb_vmemmap_optimized(): {what}")
    assert source.strip() == line


@pytest.mark.parametrize(
    ("returned", "wanted"),
    [("None", "a whole number"), ("'x'", "a whole number"), ("1.5", "a whole number")],
)
def test_what_a_function_returns_is_held_against_the_one_that_it_replaces(file, returned, wanted):
    path = file(
        f"{HEAD}    name = 'mine'\n\n    def split_vmemmap_huge_pmd(k, pmd, start, flush=True):\n"
        f"        super().split_vmemmap_huge_pmd(pmd, start, flush)\n        return {returned}\n"
    )
    with pytest.raises(KernelError) as error:
        simulate(Scenario(machine="laptop-8", kernel=path, pages=1, cpus=2, engine="events"))
    assert blame(error.value) == (
        f"{path}, line 7, in split_vmemmap_huge_pmd(): it returned {returned}"
        f" and must return {wanted}"
    )


def test_a_value_where_the_kernel_returns_nothing_is_told(file):
    path = file(
        f"{FAILING}        return super().folio_set_hugetlb_vmemmap_optimized(folio) or 1\n"
    )
    with pytest.raises(KernelError, match="it returned 1 and must return nothing"):
        simulate(Scenario(machine="laptop-8", kernel=path, pages=1, cpus=2, engine="events"))


def test_an_interrupt_that_simpy_raises_anew_was_not_raised_on_purpose():
    """Oracle: by hand; a function in C raises as a signal does, a statement does not."""
    on_purpose = []
    for interrupts in (lambda: signal.default_int_handler(signal.SIGINT, None), interrupt):
        env = simpy.Environment()

        def process(env=env, interrupts=interrupts):
            yield env.timeout(1)
            interrupts()

        env.process(process())
        with pytest.raises(KeyboardInterrupt) as error:
            env.run()
        assert type(error.value.__cause__) is KeyboardInterrupt
        on_purpose.append(raised_on_purpose(error.value))
    assert on_purpose == [False, True]


def interrupt():
    raise KeyboardInterrupt


def test_errors_of_others_are_not_blamed_on_a_kernel():
    with pytest.raises(ValueError, match="invalid literal") as error:
        int("x")
    assert blame(error.value) is None


@pytest.mark.parametrize(
    ("line", "what"),
    [
        # The error arises later, in code of the package: the file is named all the same.
        ("k.split_pmds = None", "TypeError: argument of type 'NoneType'"),
        ("k.counts['mine'] = 2**63", "9223372036854775808 as count 'mine' is not a whole number"),
        ("k.current.time_by['mine'] += 0.5", "0.5 ns of work in 'mine' is not a whole number"),
        ("k.mmap_lock.down_read()", "mmap_lock: still held by task 0 on CPU "),
        ("raise __import__('greenlet').GreenletExit", "GreenletExit"),
    ],
)
def test_the_users_file_is_named_where_its_code_was_no_longer_running(file, line, what):
    path = file(f"{FAILING}        {line}\n")
    scenario = Scenario(machine="laptop-8", kernel=path, pages=1, cpus=2, engine="events")
    with pytest.raises(BaseException) as error:  # noqa: PT011 - any may be raised
        simulate(scenario)
    assert blame(error.value).startswith(f"{path}: {what}")


def test_interrupts_left_off_are_told(file):
    path = file(
        f"{HEAD}    name = 'mine'\n\n    def set_max_huge_pages(k, h, nr_more):\n"
        "        super().set_max_huge_pages(h, nr_more)\n        k.current.local_irq_disable()\n"
    )
    with pytest.raises(KernelError, match=r"^interrupts: still off when task 0 on CPU \d ended"):
        simulate(
            Scenario(machine="laptop-8", kernel=path, pages=1, cpus=2, hvo=False, engine="events")
        )


def test_nothing_of_the_kernel_room_is_a_generator():
    """Oracle: the syntax tree, in which a word in a message is none."""
    room = Path(load.__file__).parent
    found = [
        f"{path.relative_to(room)}:{node.lineno}"
        for path in room.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Yield | ast.YieldFrom)
    ]
    assert found == []
