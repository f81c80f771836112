"""The gate: does the model rank the right answer first among the relation's objects? Where it does not, nothing can be found."""

from __future__ import annotations

from collections.abc import Sequence

from rml_lama.config import EvaluateConfig
from rml_lama.eval.base import Ask
from rml_lama.eval.candidates import Candidates
from rml_lama.eval.evaluate import scorer_for
from rml_lama.eval.models import LoadedModel
from rml_lama.records import Query

__all__ = ["known_queries"]


def known_queries(loaded: LoadedModel, candidates: Candidates, queries: Sequence[Query], config: EvaluateConfig) -> dict[str, bool]:
    """Whether the right answer comes first, by query id; a tie counts as first."""
    scorer = scorer_for(loaded, config)
    asks = [Ask(q.prompt, q.suffix, candidates.of(q.relation, q.language, q.fact_id, q.answer, q.answers).labels) for q in queries]
    scored = [found.log_probabilities for found in scorer.score(asks)]
    return {query.query_id: bool((scores[0] >= scores).all()) for query, scores in zip(queries, scored, strict=True)}
