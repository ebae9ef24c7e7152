# SPDX-License-Identifier: MIT
"""
Machine profiles
----------------

The TOML files that come with the package.
"""

from __future__ import annotations
