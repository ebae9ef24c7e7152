# SPDX-License-Identifier: MIT
"""
A phase of several tasks
------------------------

Their broadcasts share queues and interrupt each other.
"""
