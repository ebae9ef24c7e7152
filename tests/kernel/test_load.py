# SPDX-License-Identifier: MIT
"""
Kernels from users' files: what is refused when they are loaded, and where they fail
------------------------------------------------------------------------------------

Oracle: the text of the file.
"""

from __future__ import annotations

import os
import signal

import pytest

from simulator.errors import InputError
from simulator.kernel import kernel_named, load_kernel
from simulator.kernel.blame import blame
from simulator.kernel.load import refuse_generators
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
        ("name = 'mine'; TUNABLES = {'a': 3}", "TUNABLES['a'] must be (default, lowest, highest"),
        ("name = 'mine'; TUNABLES = {'a': (1, 0, 2)}", "TUNABLES['a'] must be (default"),
        ("name = 'mine'; TUNABLES = {'a': (3, 0, 2, 'x')}", "TUNABLES['a'] must be (default"),
        ("name = 'mine'; TUNABLES = {'a': (1.0, 0, 2, 'x')}", "TUNABLES['a'] must be (default"),
        ("name = 'mine'; TUNABLES = {3: (1, 0, 2, 'x')}", "TUNABLES[3] must be (default"),
    ],
)
def test_what_reports_and_options_could_not_use_is_one_line(file, body, message):
    path = file(f"{HEAD}    {body}\n")
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
    path = file(f"import os\nos.kill({os.getpid()}, {int(signal.SIGINT)})\nwhile True: pass\n")
    with pytest.raises(KeyboardInterrupt):
        load_kernel(path)


@pytest.mark.parametrize("name", ["mine.py", "./mine.py", "../mine.py"])
def test_a_name_in_data_is_never_a_file(file, name, monkeypatch, tmp_path):
    file(HEAD + "    name = 'mine'\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="there is no"):
        kernel_named(name)
    assert kernel_named("v6.7") is load_kernel("v6.7")


# --- generators ---------------------------------------------------------------------------


class Plain:
    """What a kernel is to refuse_generators(): a class, and perhaps a user's file."""

    def helper(self):
        yield 1


class Old(Plain):
    own_file = "my_patch.py"

    def fine(self):
        return [2 * x for x in (1, 2)]

    @classmethod
    def split_folios(cls):
        yield from ()


class New(Plain):
    own_file = "my_patch.py"

    def split_folios(self):
        return sum(x for x in (1, 2))


def test_a_generator_is_refused_with_what_to_delete():
    with pytest.raises(InputError) as error:
        refuse_generators(Old)
    line = Old.split_folios.__func__.__code__.co_firstlineno
    assert str(error.value) == (
        f"kernel: my_patch.py, line {line}: split_folios() is a generator: kernel code is plain"
        ' functions now; delete "yield from" (and the task parameter)'
    )


def test_plain_functions_and_those_of_the_package_are_taken():
    refuse_generators(New)
    refuse_generators(Plain)


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


def test_errors_of_others_are_not_blamed_on_a_kernel():
    with pytest.raises(ValueError, match="invalid literal") as error:
        int("x")
    assert blame(error.value) is None
