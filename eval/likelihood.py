"""How likely whole texts are under a causal model: what the filter `fluency` asks (`rml_lama.validation.fluency`)."""

from __future__ import annotations

from collections.abc import Sequence

from rml_lama.errors import ModelError
from rml_lama.eval.base import Ask
from rml_lama.eval.causal_lm import CausalScorer
from rml_lama.eval.models import LoadedModel

__all__ = ["CausalLikelihood"]


class CausalLikelihood:
    """Log-likelihoods of texts; those of one group share the work of their common beginnings (tree attention).

    Many groups go through the model together, since one pass reads all of its weights: a text's likelihood is the same in any company
    but for rounding in float32 (about 1e-5 nats). Raises `ModelError` for a model that is not causal.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        if loaded.kind != "causal":
            raise ModelError(f"fluency needs a causal model; {loaded.name!r} is {loaded.kind}")
        self.name = f"{loaded.name}@{loaded.revision} {loaded.dtype}"
        self._scorer = CausalScorer(loaded)

    def log_likelihoods(self, groups: Sequence[Sequence[str]]) -> list[list[float]]:
        """Log-probability of each text of each group after the model's start token, in nats, in order."""
        scored = self._scorer.score([Ask("", "", tuple(texts)) for texts in groups])
        return [[float(score) for score in each.log_probabilities] for each in scored]
