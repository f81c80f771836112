"""Every number that is reported, with the id of its formula: two results may be compared only where the ids are the same.

An id ends in its version; a changed definition gets a new one. docs/metrics.md writes the formulas out.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FORMULAS", "Formula"]


@dataclass(frozen=True, slots=True)
class Formula:
    """`bounded` numbers lie in [0, 1]; `better` is up, down, or empty where neither is better."""

    id: str
    text: str
    bounded: bool = True
    better: str = "up"


FORMULAS: dict[str, Formula] = {
    "P@1": Formula("rank/precision-at-1/1", "the right answer comes first"),
    "P@5": Formula("rank/precision-at-5/1", "the right answer is among the first five"),
    "MRR": Formula("rank/reciprocal-rank/1", "mean of 1/rank of the right answer"),
    "margin": Formula("rank/margin/1", "log-odds of the right answer against the best other one, nats", bounded=False),
    "Brier": Formula("calibration/brier/1", "squared difference of all candidates' shares to the truth", bounded=False, better="down"),
    "consistency": Formula("phrasing/consistency/1", "pairs of phrasings with the same top candidate"),
    "all right": Formula("phrasing/all-right/1", "right under every phrasing"),
    "any right": Formula("phrasing/any-right/1", "right under at least one phrasing"),
    "best phrasing": Formula("phrasing/best/1", "P@1 with the best phrasing of each relation and language"),
    "worst phrasing": Formula("phrasing/worst/1", "P@1 with the worst phrasing of each relation and language"),
    "uncertainty": Formula("uncertainty/total/1", "H(mean_q p_q), nats", bounded=False, better=""),
    "disagreement": Formula("uncertainty/disagreement/1", "H(mean_q p_q) - mean_q H(p_q), nats", bounded=False, better=""),
    "unsure": Formula("uncertainty/unsure/1", "mean_q H(p_q), nats", bounded=False, better=""),
    "RankC": Formula("agreement/rankc-softmax/1", "overlap of the top candidates of two languages, softmax weights"),
    "RankC linear": Formula("agreement/rankc-linear/1", "overlap of the top candidates of two languages, linear weights"),
    "Jaccard": Formula("agreement/jaccard/1", "facts right in both of two languages, of those right in either"),
    "same answer": Formula("agreement/same-answer/1", "pairs of languages with the same top candidate"),
    "ECE": Formula("calibration/ece-15-equal-mass/1", "expected calibration error, 15 bins of equal mass", better="down"),
    "AURC": Formula("calibration/aurc-confidence/1", "area under risk-coverage, abstaining where confidence is low", better="down"),
    "AURC entropy": Formula("calibration/aurc-entropy/1", "the same, abstaining where entropy is high", better="down"),
    "AURC uncertainty": Formula("calibration/aurc-uncertainty/1", "the same, by H(mean_q p_q)", better="down"),
    "AURC disagreement": Formula("calibration/aurc-disagreement/1", "the same, by how phrasings disagree", better="down"),
}
