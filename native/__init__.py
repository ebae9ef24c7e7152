# SPDX-License-Identifier: MIT
"""How the twin of the kernel side is made."""
