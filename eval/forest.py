"""Pack token sequences into rows in which every shared prefix stands once: what a causal model must read, and no more.

The sequences are sorted, so that those with a common beginning (the template before the subject, the prompt of a query,
the first tokens of a candidate) are neighbours. Each row is a forest of tokens; a token attends to its ancestors only,
its position is its depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["Row", "pack"]


@dataclass(frozen=True, slots=True)
class Row:
    """Nodes are tokens that are read, parents before children; edges are tokens that are predicted.

    Edge e says that sequence `edge_owner[e]` has the token `edge_token[e]` after the node `edge_node[e]`.
    """

    tokens: np.ndarray  # (nodes,)
    parents: np.ndarray  # (nodes,) -1 for a root
    depths: np.ndarray  # (nodes,) 0 for a root
    edge_node: np.ndarray  # (edges,)
    edge_token: np.ndarray  # (edges,)
    edge_owner: np.ndarray  # (edges,)

    def visible(self) -> np.ndarray:
        """Who sees whom: (nodes, nodes), True where the column is the line's ancestor or itself."""
        mask = np.eye(len(self.tokens), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                mask[node] |= mask[parent]
        return mask


@dataclass(slots=True)
class _OpenRow:
    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    edges: list[tuple[int, int, int]] = field(default_factory=list)
    path: list[int] = field(default_factory=list)  # the nodes of the last sequence

    def shared(self, sequence: Sequence[int]) -> int:
        """How many tokens of `sequence`, its last one apart, the last path already holds."""
        count = 0
        for node, token in zip(self.path, sequence[:-1], strict=False):
            if self.tokens[node] != token:
                break
            count += 1
        return count

    def add(self, owner: int, sequence: Sequence[int], start: int) -> None:
        """Read `sequence` up to its last token, and predict it from place `start` on."""
        del self.path[self.shared(sequence) :]
        for token in sequence[len(self.path) : -1]:
            self.parents.append(self.path[-1] if self.path else -1)
            self.depths.append(len(self.path))
            self.path.append(len(self.tokens))
            self.tokens.append(token)
        self.edges += [(self.path[place - 1], sequence[place], owner) for place in range(start, len(sequence))]

    def close(self) -> Row:
        edges = np.array(self.edges, dtype=np.int64).reshape(-1, 3)
        tokens, parents, depths = (np.array(column, dtype=np.int64) for column in (self.tokens, self.parents, self.depths))
        return Row(tokens, parents, depths, edges[:, 0], edges[:, 1], edges[:, 2])


def pack(sequences: Sequence[Sequence[int]], starts: Sequence[int], *, capacity: int, tree: bool = True) -> list[Row]:
    """Rows of at most `capacity` nodes (more only where one sequence alone is longer), each sequence whole in one row.

    Sequence i is predicted from place `starts[i]` >= 1 on. Without `tree`, every row is a single chain, as a model that
    knows no tree attention reads it; a sequence that begins another one still shares its row.

    >>> row, = pack([(1, 5, 6), (1, 5, 7), (1, 8)], [1, 1, 1], capacity=9)
    >>> row.tokens.tolist(), row.edge_token.tolist(), row.edge_node.tolist()
    ([1, 5], [5, 6, 5, 7, 8], [0, 1, 0, 1, 0])
    """
    rows: list[Row] = []
    row = _OpenRow()
    for owner in sorted(range(len(sequences)), key=lambda number: tuple(sequences[number])):
        sequence = sequences[owner]
        shared = row.shared(sequence)
        new = len(sequence) - 1 - shared
        fits = len(row.tokens) + new <= capacity if tree else new == 0 or shared == len(row.tokens)
        if row.tokens and not fits:
            rows.append(row.close())
            row = _OpenRow()
        row.add(owner, sequence, starts[owner])
    if row.edges:
        rows.append(row.close())
    return rows
