# SPDX-License-Identifier: MIT
"""
What lies where
---------------

The two flat arrays that compiled code works on, and the words in them.
"""
