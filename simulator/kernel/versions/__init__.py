# SPDX-License-Identifier: MIT
"""
Kernel versions
---------------

One module per version: a class that inherits from the version before it and
replaces the functions that its patch changes.
"""
