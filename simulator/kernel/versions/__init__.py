# SPDX-License-Identifier: MIT
"""
Kernel versions
---------------

One module per version: a class that inherits from the version before it and
replaces the functions that its patch changes.  Answers to one question that were
never merged stand side by side in one module.
"""
