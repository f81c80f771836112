"""Tiny models scored by lm-pub-quiz and by us: the same numbers where both compute the same thing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rml_lama.eval.base import Ask
from rml_lama.eval.causal_lm import CausalScorer
from rml_lama.eval.masked_lm import MaskedScorer
from tests.eval.tiny_models import causal_models, loaded, make_tokenizer, masked_models, seeded

pytestmark = pytest.mark.filterwarnings("ignore")

ASKS = [
    Ask("The capital of France is the city of ", ".", ("Paris", "Rome", "the Italy of Rome")),
    Ask("Rome is the capital of ", " it is.", ("Rome", "Paris")),
]


def theirs(model: Any, tokenizer: Any, kind: str, ask: Ask, **options: Any) -> np.ndarray:
    from lm_pub_quiz import Evaluator

    tokenizer.padding_side = "right"
    evaluator = Evaluator.from_model(model, model_type=kind, tokenizer=tokenizer, **options)
    scores = evaluator.score_answers(
        template=f"{ask.prompt}[Y]{ask.suffix}", answers=list(ask.candidates), reduction="sum", subject="", batch_size=2
    )
    return np.array(scores)


def test_causal_sentences() -> None:
    model, tokenizer = seeded(causal_models()["llama"]).eval(), make_tokenizer("byte-level")
    scorer = CausalScorer(loaded(model, tokenizer), scope="sentence")
    for ask, scored in zip(ASKS, scorer.score(ASKS), strict=True):
        np.testing.assert_allclose(scored.log_probabilities, theirs(model, tokenizer, "CLM", ask), atol=1e-3)


@pytest.mark.parametrize("sentence", [False, True])
@pytest.mark.parametrize("kind", ["wordpiece", "byte-level"])
def test_masked_words_from_left_to_right(sentence: bool, kind: str) -> None:
    model, tokenizer = seeded(masked_models()["bert"]).eval(), make_tokenizer(kind)
    scorer = MaskedScorer(loaded(model, tokenizer, "masked"), masking="pll-l2r", sentence=sentence)
    for ask, scored in zip(ASKS, scorer.score(ASKS), strict=True):
        expected = theirs(model, tokenizer, "MLM", ask, conditional_score=not sentence, pll_metric="within_word_l2r")
        np.testing.assert_allclose(scored.log_probabilities, expected, atol=1e-3)
