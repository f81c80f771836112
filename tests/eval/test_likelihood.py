"""Likelihoods of whole texts: equal to the plain forward pass, and the same in any company."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rml_lama.errors import ModelError
from rml_lama.eval.likelihood import CausalLikelihood
from rml_lama.eval.models import LoadedModel

TEXTS = ["The capital of France is Paris.", "The capital of Italy is Rome.", "the", "Berlin is in Germany."]


@pytest.fixture
def tiny(word_tokenizer: Any) -> LoadedModel:
    import transformers

    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=400, n_embd=32, n_layer=2, n_head=4, n_positions=256))
    return LoadedModel("tiny", "local", "causal", "float32", model.eval().requires_grad_(False), word_tokenizer)


def plain(loaded: LoadedModel, text: str) -> float:
    """Sum of next-token log-probabilities by one full pass."""
    ids = torch.tensor([loaded.tokenizer(text)["input_ids"]])
    logits = torch.log_softmax(loaded.model(ids).logits[0].double(), dim=-1)
    return float(sum(logits[place, token] for place, token in enumerate(ids[0, 1:].tolist())))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_texts_score_as_in_a_plain_pass(tiny: LoadedModel) -> None:
    scorer = CausalLikelihood(tiny)
    (together,) = scorer.log_likelihoods([TEXTS])
    assert together == pytest.approx([plain(tiny, text) for text in TEXTS], abs=1e-3)
    apart = scorer.log_likelihoods([[text] for text in TEXTS[::-1]])
    assert [value for values in apart for value in values] == pytest.approx(together[::-1], abs=1e-3)
    assert scorer.name == "tiny@local float32"


def test_a_masked_model_is_refused(tiny: LoadedModel) -> None:
    masked = LoadedModel("tiny", "local", "masked", "float32", tiny.model, tiny.tokenizer)
    with pytest.raises(ModelError, match="needs a causal model"):
        CausalLikelihood(masked)
