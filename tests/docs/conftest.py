# SPDX-License-Identifier: MIT
"""Fixtures for the documentation."""

from tests.cli.conftest import tlbsim

__all__ = ("tlbsim",)
