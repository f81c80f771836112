"""Packing reads every shared beginning once and loses nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rml_lama.eval.forest import Row, pack

SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=6), min_size=1, max_size=12)


def ancestors(row: Row, node: int) -> list[int]:
    found = []
    while node >= 0:
        found.append(node)
        node = int(row.parents[node])
    return found[::-1]


@given(SEQUENCES, st.integers(1, 30), st.booleans())
def test_every_edge_is_predicted_from_its_own_prefix(sequences: list[list[int]], capacity: int, tree: bool) -> None:
    starts = [1 + number % (len(sequence) - 1) for number, sequence in enumerate(sequences)]
    rows = pack(sequences, starts, capacity=capacity, tree=tree)
    predicted: dict[int, list[int]] = {number: [] for number in range(len(sequences))}
    for row in rows:
        assert len(row.tokens) <= max(capacity, *(len(sequence) - 1 for sequence in sequences)) or not tree
        visible = row.visible()
        for node, parent in enumerate(row.parents):
            assert parent < node
            assert row.depths[node] == len(ancestors(row, node)) - 1
            assert np.flatnonzero(visible[node]).tolist() == ancestors(row, node)
        for node, token, owner in zip(row.edge_node, row.edge_token, row.edge_owner, strict=True):
            prefix = row.tokens[ancestors(row, int(node))].tolist()
            assert [*prefix, token] == sequences[owner][: len(prefix) + 1]
            predicted[int(owner)].append(len(prefix))
        if not tree:
            assert row.parents.tolist() == list(range(-1, len(row.tokens) - 1))
    for number, places in predicted.items():
        assert places == list(range(starts[number], len(sequences[number])))


@given(SEQUENCES)
def test_with_room_no_prefix_is_read_twice(sequences: list[list[int]]) -> None:
    (row,) = pack(sequences, [1] * len(sequences), capacity=1000)
    assert len(row.tokens) == len({tuple(sequence[:end]) for sequence in sequences for end in range(1, len(sequence))})


def test_the_prompt_is_read_again_where_a_row_is_full() -> None:
    sequences = [(1, 2, number, 7, 9) for number in range(10, 20)]
    rows = pack(sequences, [2] * 10, capacity=8)
    assert [len(row.tokens) for row in rows] == [8, 8, 8, 4]  # two of prompt and three candidates of two tokens
    assert [row.tokens.tolist()[:2] for row in rows] == [[1, 2]] * 4


def test_nothing_gives_nothing() -> None:
    assert pack([], [], capacity=4) == []
