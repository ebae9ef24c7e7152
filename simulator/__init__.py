# SPDX-License-Identifier: MIT
"""
tlbsim: a simulator of TLB shootdowns in Linux memory management
----------------------------------------------------------------

The public face. Names are looked up when they are first used, so that
``import simulator`` loads neither pandas nor a machine::

    import simulator as sim

    s = sim.Scenario(machine="laptop-8", kernel="v6.6", pages=64)
    r = sim.simulate(s)
    r.summary
    sim.compare([s, s.replace(kernel="v6.7")], replications=10)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.analysis.compare import Comparison
    from simulator.errors import InputError
    from simulator.experiment import Sweep, compare, sweep
    from simulator.kernel import Kernel, kernels, load_kernel
    from simulator.machine import Machine, Noise, load_machine, load_noise, machines, noises
    from simulator.run import simulate
    from simulator.saved import load_result, open_result
    from simulator.scenario import Scenario
    from simulator.trace.result import Result

__version__ = "1.0.0"

__all__ = (
    "Comparison",
    "InputError",
    "Kernel",
    "Machine",
    "Noise",
    "Result",
    "Scenario",
    "Sweep",
    "__version__",
    "compare",
    "kernels",
    "load_kernel",
    "load_machine",
    "load_noise",
    "load_result",
    "machines",
    "noises",
    "open_result",
    "simulate",
    "sweep",
)

# Where each public name lives; the imports above say the same to a type checker.
_HOMES = {
    "Comparison": "simulator.analysis.compare",
    "InputError": "simulator.errors",
    "Kernel": "simulator.kernel",
    "Machine": "simulator.machine",
    "Noise": "simulator.machine",
    "Result": "simulator.trace.result",
    "Scenario": "simulator.scenario",
    "Sweep": "simulator.experiment",
    "compare": "simulator.experiment",
    "kernels": "simulator.kernel",
    "load_kernel": "simulator.kernel",
    "load_machine": "simulator.machine",
    "load_noise": "simulator.machine",
    "load_result": "simulator.saved",
    "machines": "simulator.machine",
    "noises": "simulator.machine",
    "open_result": "simulator.saved",
    "simulate": "simulator.run",
    "sweep": "simulator.experiment",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
