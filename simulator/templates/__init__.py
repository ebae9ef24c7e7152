# SPDX-License-Identifier: MIT
"""
Files to start from
-------------------

A patch and a machine of one's own, as text that can be simulated at once: it behaves as
what it starts from until something in it is changed.
"""

from __future__ import annotations

from simulator.templates.machine import machine_template
from simulator.templates.patch import default_function, patch_template

__all__ = ("default_function", "machine_template", "patch_template")
