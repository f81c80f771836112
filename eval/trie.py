"""A trie of token sequences, laid out flat: its inner nodes are what a model must read, its edges what it must predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Trie", "build_trie"]


@dataclass(frozen=True, slots=True)
class Trie:
    """Inner nodes in an order in which parents come first, and edges with the site that predicts each.

    Site 0 is the end of the context, site i + 1 the inner node i. `paths[s]` lists the edges of sequence s.
    """

    tokens: np.ndarray  # (nodes,) token ids
    depth: np.ndarray  # (nodes,) 0 for the first token after the context
    ancestors: np.ndarray  # (nodes, nodes) True where the column is the row's ancestor or itself
    edge_site: np.ndarray  # (edges,)
    edge_token: np.ndarray  # (edges,)
    paths: tuple[np.ndarray, ...]

    def path_sums(self, edges: np.ndarray) -> np.ndarray:
        """Sum of edge values along each sequence, (edges,) -> (sequences,)."""
        return np.array([edges[path].sum() for path in self.paths])


def build_trie(sequences: Sequence[Sequence[int]]) -> Trie:
    """The trie of non-empty token sequences; equal sequences share all of their edges.

    >>> trie = build_trie([[5, 6], [5, 7], [8]])
    >>> trie.tokens.tolist(), trie.edge_token.tolist(), trie.edge_site.tolist()
    ([5], [5, 6, 7, 8], [0, 1, 1, 0])
    """
    inner = {tuple(sequence[:end]) for sequence in sequences for end in range(1, len(sequence))}
    nodes: dict[tuple[int, ...], int] = {}
    edges: dict[tuple[int, ...], int] = {}
    sites: list[int] = []
    paths = []
    for sequence in sequences:
        path = []
        site = 0
        for end in range(1, len(sequence) + 1):
            prefix = tuple(sequence[:end])
            if prefix not in edges:
                edges[prefix] = len(edges)
                sites.append(site)
            path.append(edges[prefix])
            if prefix in inner:
                site = nodes.setdefault(prefix, len(nodes)) + 1
        paths.append(np.array(path))
    ancestors = np.eye(len(nodes), dtype=bool)
    for prefix, node in nodes.items():
        if len(prefix) > 1:
            ancestors[node] |= ancestors[nodes[prefix[:-1]]]
    return Trie(
        tokens=np.array([prefix[-1] for prefix in nodes], dtype=np.int64),
        depth=np.array([len(prefix) - 1 for prefix in nodes], dtype=np.int64),
        ancestors=ancestors,
        edge_site=np.array(sites, dtype=np.int64),
        edge_token=np.array([prefix[-1] for prefix in edges], dtype=np.int64),
        paths=tuple(paths),
    )
