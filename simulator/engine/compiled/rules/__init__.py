# SPDX-License-Identifier: MIT
"""
What every interrupt obeys
--------------------------

Draws, the order of sending, how a lazy CPU answers, how acknowledgements are read.
"""
