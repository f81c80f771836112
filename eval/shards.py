"""Score one shard, the queries of a relation in a language: candidates, prior, norm, ranking, and the rows that are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from rml_lama.config import EvaluateConfig
from rml_lama.errors import DataError
from rml_lama.eval.base import Ask, Scored, Scorer
from rml_lama.eval.candidates import Candidates, Choice
from rml_lama.eval.frame import PREDICTIONS, SCORES
from rml_lama.eval.metrics import rank
from rml_lama.eval.selection import Shard
from rml_lama.records import Query, Template

__all__ = ["NEUTRAL", "PART", "ShardScorer"]

NEUTRAL = "…"  # stands for the subject where a prior is taken: left out, in every script
PART = pa.schema([*PREDICTIONS, *(field for field in SCORES if field.name != "query_id")])
_CANDIDATES = 16_384  # handed to the scorer at once, about; it makes its own batches

_COPIED = ("query_id", "fact_id", "relation", "language", "template_id", "answer", "single_answer", "answer_in_subject")


@dataclass(frozen=True, slots=True)
class ShardScorer:
    """Scores shards by one config; `templates` by id are needed for a prior only."""

    scorer: Scorer
    candidates: Candidates
    config: EvaluateConfig
    templates: Mapping[str, Template]

    def score(self, shard: Shard) -> pa.Table:
        """A row a query, in the order of the shard, with the columns of `PART`. Raises `ScoreError` for scores that cannot be ranked."""
        priors = self._priors(shard) if self.config.prior == "pmi" else {}
        rows: list[dict[str, Any]] = []
        for queries in self._batches(shard.queries):
            choices = [self.choice(query) for query in queries]
            asks = [Ask(query.prompt, query.suffix, choice.labels) for query, choice in zip(queries, choices, strict=True)]
            for query, choice, scored in zip(queries, choices, self.scorer.score(asks), strict=True):
                rows.append(self._row(query, choice, scored, priors.get(query.template_id, {})))
        return pa.Table.from_pylist(rows, schema=PART)

    def choice(self, query: Query) -> Choice:
        """The candidates of a query."""
        return self.candidates.of(query.relation, query.language, query.fact_id, query.answer, query.answers)

    def _batches(self, queries: Sequence[Query]) -> Iterator[list[Query]]:
        batch: list[Query] = []
        count = 0
        for query in queries:
            batch.append(query)
            count += len(self.choice(query).labels)
            if count >= _CANDIDATES:
                yield batch
                batch, count = [], 0
        if batch:
            yield batch

    def _priors(self, shard: Shard) -> dict[str, dict[str, float]]:
        """For each phrasing, the log-probability of each label where the subject is left neutral."""
        labels = self.candidates.labels(shard.relation, shard.language)
        names = list(dict.fromkeys(query.template_id for query in shard.queries))
        asks = []
        for name in names:
            if name not in self.templates:
                raise DataError(f"the build has no template {name}, which a prior needs")
            asks.append(Ask(*self.templates[name].split(NEUTRAL), labels))
        return {
            name: dict(zip(labels, scored.log_probabilities.tolist(), strict=True))
            for name, scored in zip(names, self.scorer.score(asks), strict=True)
        }

    def _row(self, query: Query, choice: Choice, scored: Scored, prior: Mapping[str, float]) -> dict[str, Any]:
        scores = scored.log_probabilities
        if prior:
            scores = scores - np.array([prior[label] for label in choice.labels])
        if self.config.norm == "mean":
            scores = scores / scored.lengths
        ranking = rank(scores)
        numbers = {name: getattr(ranking, name) for name in ("greater", "ties", "candidates", "rank", "margin", "normalized", "confidence")}
        return {
            **{name: getattr(query, name) for name in _COPIED},
            **numbers,
            "entropy": ranking.entropy,
            "brier": ranking.brier,
            "gold_score": ranking.gold,
            "answer_tokens": int(scored.lengths[0]),
            "answer_ids": list(scored.first_tokens),
            "top": [choice.labels[place] for place in ranking.order],
            "top_objects": [choice.objects[place] for place in ranking.order],
            "top_scores": [float(scores[place]) for place in ranking.order],
            "objects": list(choice.objects),
            "scores": scores,
        }
