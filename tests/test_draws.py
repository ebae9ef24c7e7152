# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulator.draws import GOLDEN, MASK, base_key, fold, mix64, mix64_array, stream

words = st.integers(min_value=0, max_value=MASK)


def test_mix64_is_splitmix64_of_the_published_test_vector():
    # The first outputs of Vigna's splitmix64.c for the seed 1234567.
    state, outputs = 1234567, []
    for _ in range(5):
        outputs.append(mix64(state))
        state = (state + GOLDEN) & MASK
    assert outputs == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@given(st.lists(words, min_size=1, max_size=20))
def test_array_and_python_arithmetic_agree(values):
    mixed = mix64_array(np.array(values, dtype=np.uint64))
    assert mixed.tolist() == [mix64(v) for v in values]


@given(words, st.integers(min_value=-(2**40), max_value=2**40), st.integers(1, 50))
def test_stream_is_fold_of_each_item(key, first, count):
    assert stream(key, first, count).tolist() == [fold(key, first + i) for i in range(count)]


def test_seed_and_replication_do_not_alias():
    keys = {base_key(seed, replication) for seed in range(100) for replication in range(100)}
    assert len(keys) == 10_000
    assert base_key(1, 2) != base_key(2, 1)


def test_bits_of_neighbouring_items_are_balanced():
    n = 1 << 14
    x = stream(base_key(1, 0), 0, n)
    ones = np.array([int(np.sum((x >> np.uint64(bit)) & np.uint64(1))) for bit in range(64)])
    assert np.all(np.abs(ones - n / 2) < 5 * np.sqrt(n) / 2)
