# SPDX-License-Identifier: MIT
"""
A patch to start from
---------------------

Oracle: the version that it starts from.  Until something is changed, every frame is equal,
whichever functions are restated.
"""

from __future__ import annotations

import pytest

from simulator.errors import InputError
from simulator.kernel import kernel_named, kernels, load_kernel
from simulator.kernel.listing import listing
from simulator.run import simulate
from simulator.scenario import Scenario
from simulator.templates import default_function, patch_template
from simulator.trace.contract import FRAMES

PHASES = ("alloc", "free", "alloc")


def frames_of(kernel):
    result = simulate(Scenario(machine="laptop-8", kernel=kernel, pages=70, cpus=3, phases=PHASES))
    return [getattr(result, name) for name in FRAMES]


def written(tmp_path, version, functions, stem="my_patch"):
    file = tmp_path / f"{stem}.py"
    text = patch_template(kernel_named(version), stem, functions)
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("version", ["v5.14", "v6.6", "v6.7", "v7.3"])
def test_with_every_function_restated_it_runs_as_the_version_it_starts_from(tmp_path, version):
    names = [listed.name for listed in listing(kernel_named(version))]
    # What records and counts is no kernel code.
    file = written(tmp_path, version, names)
    for ours, theirs in zip(frames_of(file), frames_of(version), strict=True):
        assert ours.equals(theirs)


@pytest.mark.parametrize("version", kernels())
def test_the_template_of_each_version_loads_and_replaces_what_it_shows(tmp_path, version):
    function = default_function(kernel_named(version))
    kernel = load_kernel(written(tmp_path, version, [function]))
    assert kernel.name == f"{version}+my_patch"
    assert function in vars(kernel)
    assert kernel.__mro__[1] is kernel_named(version)


@pytest.mark.parametrize("stem", ["2 ideas", "a-b.c", "naïve", "für Élise", 'q"uote'])
def test_any_name_of_a_file_makes_a_kernel(tmp_path, stem):
    file = written(tmp_path, "v7.3", ["split_folios"], stem)
    assert load_kernel(file).name == f"v7.3+{stem}"


def test_an_unknown_function_gets_the_nearest_name():
    with pytest.raises(
        InputError, match=r"v7\.3 has no 'splitfolios' \(did you mean 'split_folios'"
    ):
        patch_template(kernel_named("v7.3"), "mine", ["splitfolios"])
