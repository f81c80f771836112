"""All numbers of a run from its predictions and scores, each with its interval; needs nothing else, so anyone can do it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rml_lama.eval.bootstrap import Estimate, FactBootstrap, nan_mean
from rml_lama.eval.formulas import FORMULAS
from rml_lama.eval.frame import Frame
from rml_lama.eval.metrics import precision_at, reciprocal_rank
from rml_lama.languages import LANGUAGES

__all__ = ["METRICS", "Scores", "Sums", "score_groups"]

METRICS = ("P@1", "P@5", "MRR", "margin", "Brier")
Scores = Mapping[str, Estimate]  # by metric


@dataclass(frozen=True, slots=True)
class Sums:
    """The macro means of a run: over everything, with families weighted alike, and by group."""

    overall: Scores
    balanced: Scores
    languages: Mapping[str, Scores]
    relations: Mapping[str, Scores]
    families: Mapping[str, Scores]
    scripts: Mapping[str, Scores]
    strata: Mapping[str, Mapping[str, Scores]]


def score_groups(frame: Frame, bootstrap: FactBootstrap) -> Sums:
    """Means of every metric. A language's is the mean over relations of the mean over queries; that of more languages, of theirs."""
    columns = frame.columns
    values = {
        "P@1": frame.right,
        "P@5": precision_at(5, columns["greater"], columns["ties"]),
        "MRR": reciprocal_rank(columns["greater"], columns["ties"]),
        "margin": columns["margin"],
        "Brier": columns["brier"],
    }
    count = len(frame.languages)
    draws = {name: bootstrap.macro(value, frame.fact, frame.language, count) for name, value in values.items()}  # (draws, languages)
    relations = {name: bootstrap.by_relation(value, frame.fact, frame.language, count) for name, value in values.items()}
    families = _members(frame.languages, lambda code: (LANGUAGES[code].family,))
    scripts = _members(frame.languages, lambda code: tuple(name.capitalize() for name in LANGUAGES[code].scripts))

    def over(members: Sequence[int]) -> Scores:
        facts = frame.fact[np.isin(frame.language, members)]
        return {name: _estimate(bootstrap, name, nan_mean(draw[:, members]), facts) for name, draw in draws.items()}

    def family_means(draw: np.ndarray) -> np.ndarray:
        return nan_mean(np.stack([nan_mean(draw[:, members]) for members in families.values()], axis=1))

    return Sums(
        overall=over(range(count)),
        balanced={name: _estimate(bootstrap, name, family_means(draw), frame.fact) for name, draw in draws.items()},
        languages={code: over([place]) for place, code in enumerate(frame.languages)},
        relations={
            str(relation): {
                name: _estimate(bootstrap, name, draw[:, place], np.flatnonzero(bootstrap.relation == place))
                for name, draw in relations.items()
            }
            for place, relation in enumerate(bootstrap.names)
        },
        families={name: over(members) for name, members in families.items()},
        scripts={name: over(members) for name, members in scripts.items()},
        strata=_strata(frame, bootstrap, values),
    )


def _strata(frame: Frame, bootstrap: FactBootstrap, values: Mapping[str, np.ndarray]) -> dict[str, dict[str, Scores]]:
    found: dict[str, dict[str, Scores]] = {}
    for name, levels in _levels(frame).items():
        for level, mask in levels.items():
            if mask.any():
                found.setdefault(name, {})[level] = {
                    metric: _estimate(
                        bootstrap,
                        metric,
                        nan_mean(bootstrap.macro(value[mask], frame.fact[mask], frame.language[mask], len(frame.languages))),
                        frame.fact[mask],
                    )
                    for metric, value in values.items()
                }
    return found


def _levels(frame: Frame) -> dict[str, dict[str, np.ndarray]]:
    """Which queries are in which level of each stratum."""
    single, inside = (frame.columns[name].astype(bool) for name in ("single_answer", "answer_in_subject"))
    asked = np.zeros((len(frame.facts), len(frame.languages)), dtype=bool)
    asked[frame.fact, frame.language] = True
    parallel: np.ndarray = np.asarray(asked.all(axis=1))[frame.fact]
    shared = _shared_tokens(frame)
    tokens = frame.columns["answer_tokens"]
    return {
        "right answers of the subject": {"one": single, "several": ~single},
        "answer inside the subject": {"yes": inside, "no": ~inside},
        "answer's tokens in another language": {"all": shared == 1, "some": (shared > 0) & (shared < 1), "none": shared == 0},
        "tokens of the answer": {"1": tokens == 1, "2": tokens == 2, "3 or more": tokens >= 3},
        "fact asked in every language": {"yes": parallel, "no": ~parallel},
    }


def _shared_tokens(frame: Frame) -> np.ndarray:
    """For each query, the largest share of its answer's tokens that the answer has in one other language; NaN with no other."""
    answers: dict[int, dict[int, set[int]]] = {}
    for query, tokens in enumerate(frame.answer_ids):
        answers.setdefault(int(frame.fact[query]), {}).setdefault(int(frame.language[query]), set()).update(tokens)
    shares = np.full(len(frame), np.nan)
    for query, tokens in enumerate(frame.answer_ids):
        mine = set(tokens)
        others = [theirs for language, theirs in answers[int(frame.fact[query])].items() if language != frame.language[query]]
        if mine and others:
            shares[query] = max(len(mine & theirs) for theirs in others) / len(mine)
    return shares


def _members(codes: Sequence[str], groups_of: Callable[[str], tuple[str, ...]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, code in enumerate(codes):
        for group in groups_of(code):
            found.setdefault(group, []).append(place)
    return found


def _estimate(bootstrap: FactBootstrap, metric: str, draws: np.ndarray, facts: np.ndarray) -> Estimate:
    return bootstrap.estimate(draws, facts, bounded=FORMULAS[metric].bounded)
