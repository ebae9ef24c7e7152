# SPDX-License-Identifier: MIT
"""
What a user gives: nothing hangs, everything wrong is one line
--------------------------------------------------------------

The oracle for numbers is Python's own reading of what JSON calls a number.
"""

from __future__ import annotations

import json
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import InputError, one_line
from simulator.inputs import LIMIT_BYTES, number, read_text, user_path


def refusal(path, **options):
    with pytest.raises(InputError) as caught:
        read_text(path, "times: it", **options)
    return str(caught.value)


def test_a_pipe_without_a_writer_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "times: it: is no regular file but a pipe"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full"])
def test_a_device_is_refused_however_much_it_gives(device):
    assert refusal(device) == "times: it: is no regular file but a device"


def test_a_socket_a_folder_and_a_loop_of_links_are_refused(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.open(tmp_path, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{here}/s")  # whose own path may be too long
        os.close(here)
        assert refusal(tmp_path / "s").startswith("times: it: cannot be read: ")
    assert refusal(tmp_path) == "times: it: is a folder, not a file"
    (tmp_path / "loop").symlink_to("loop")
    assert refusal(tmp_path / "loop").startswith("times: it: cannot be read: ")
    assert refusal(tmp_path / ("x" * 300)).startswith("times: it: cannot be read: ")
    assert refusal(tmp_path / "none") == "times: it: no such file"
    assert refusal(f"{tmp_path}/a\0b") == "times: it: cannot be a path: it has a NUL byte"


def test_a_file_without_end_or_bearable_size_is_refused(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert refusal(tmp_path / "sparse") == (
        f"times: it: has more than {LIMIT_BYTES >> 20} MiB, which no such file needs"
    )
    (tmp_path / "full").write_bytes(b"x" * (1 << 20))
    assert len(read_text(tmp_path / "full", "it", limit=1 << 20)) == 1 << 20
    (tmp_path / "full").write_bytes(b"x" * ((1 << 20) + 1))
    assert "more than 1 MiB" in refusal(tmp_path / "full", limit=1 << 20)


def test_text_is_utf_8_with_or_without_a_mark_and_keeps_its_line_ends(tmp_path):
    file = tmp_path / "text"
    file.write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert read_text(file, "it") == "a\r\nb"
    file.write_bytes(b"a = '\xff'")
    assert refusal(file) == "times: it: not text: byte 5 is not UTF-8"


def test_home_of_nobody_is_named():
    with pytest.raises(InputError, match=r"^machine: ~nosuchuser/a\.toml: there is no such user"):
        user_path("~nosuchuser/a.toml", "machine")


@given(st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_as_json_writes_it_is_that_number(value):
    text = json.dumps(value)
    assert repr(number(text)) == (repr(text) if text in ("-0.0", "-0") else repr(value))


@pytest.mark.parametrize(
    "text", ["-0", "-0.0", "-.0e3", "1_000", "\u0663", "\uff11", " 5", "5 ", "", "-"]
)
def test_what_only_python_takes_for_a_number_is_text(text):
    assert number(text) == text


@given(st.text(max_size=80))
def test_an_error_is_one_line_of_what_can_be_printed(text):
    shown = one_line(text)
    assert shown.isprintable()
    assert one_line(shown) == shown
    if text.isprintable():
        assert shown == text


def test_an_argument_of_any_length_is_shortened():
    for word in ("x" * 100_000, "x y " * 25_000, "\n" * 100_000, "\U0001f600\0" * 50_000):
        message = str(InputError(f"machine: unknown machine {word!r} (did you mean 'laptop-8'?)"))
        assert len(message) <= 2000
        assert message.startswith("machine: unknown machine '")
        assert message.endswith("(did you mean 'laptop-8'?)")
