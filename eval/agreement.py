"""Do two languages rank alike? RankC (Qi et al. 2023) with soft and with linear weights, and Jaccard of right facts. numpy only.

`RankC = mean_i sum_j w_j |top_j & top'_j| / j` over facts i. With `G(m) = sum_{j >= m} w_j / j` and a candidate's place r
in one language and r' in the other, the inner sum is `sum_c G(max(r_c, r'_c)) = sum_c min(G(r_c), G(r'_c))`, since a
candidate is in both tops from j = max(r, r') on: all pairs of languages need one pass over the candidates.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

__all__ = ["jaccard", "rank_consistency", "weights"]

Weighting = Literal["softmax", "linear"]


def weights(count: int, weighting: Weighting = "softmax") -> np.ndarray:
    """The weight of each depth 1..count, summing to one.

    `softmax`: w_j = softmax(count - j), with the largest subtracted (plain exponentials overflow beyond 709 candidates);
    it puts 63% on the first place. `linear`: w_j in proportion to count + 1 - j.

    >>> weights(3, "linear").round(3).tolist()
    [0.5, 0.333, 0.167]
    """
    depth = np.arange(1, count + 1)
    raw = np.exp(1.0 - depth) if weighting == "softmax" else count + 1.0 - depth
    found: np.ndarray = raw / raw.sum()
    return found


def rank_consistency(scores: np.ndarray, weighting: Weighting = "softmax") -> np.ndarray:
    """RankC of one fact between all languages, (languages, candidates) -> (languages, languages).

    Lines of `scores` rank the same candidates in the same order of columns; equal scores keep that order.

    >>> rank_consistency(np.array([[3.0, 2.0, 1.0], [2.0, 3.0, 1.0]]), "linear")[0, 1].round(3)
    np.float64(0.5)
    """
    languages, count = scores.shape
    depth = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")  # (languages, candidates) from 0
    beyond = np.cumsum((weights(count, weighting) / np.arange(1, count + 1))[::-1])[::-1]  # G, (candidates,)
    gains = beyond[depth]  # (languages, candidates)
    found = np.empty((languages, languages))
    for line in range(languages):
        found[line] = np.minimum(gains[line], gains).sum(axis=1)
    return found


def jaccard(right: np.ndarray) -> np.ndarray:
    """Of the sets of facts that two languages know, (facts, languages) bool -> (languages, languages); NaN where both are empty.

    >>> jaccard(np.array([[True, True], [True, False]]))[0, 1]
    np.float64(0.5)
    """
    known = right.astype(float)
    both = known.T @ known  # (languages, languages)
    either = known.sum(axis=0)[:, None] + known.sum(axis=0)[None, :] - both
    found: np.ndarray = np.divide(both, either, out=np.full_like(both, np.nan), where=either > 0)
    return found
