# SPDX-License-Identifier: MIT
"""
The batching series of 2023
---------------------------

"Batch hugetlb vmemmap modification operations", patch by patch on top of v6.6 as it was
merged (``v6.6+1`` to ``v6.6+8``), as it was posted before (``@v1`` to ``@v8``), and the
answers to ENOMEM that were discussed under it.

Source: 20231019023113.345257-1-mike.kravetz@oracle.com (v8, merged in v6.7).
"""
