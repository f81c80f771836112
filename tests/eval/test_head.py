"""The vocabulary in blocks gives the log-probabilities of the whole logits, for every way in which a model treats its scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from rml_lama.errors import ModelError
from rml_lama.eval import head as head_module
from rml_lama.eval.head import Head
from tests.eval.tiny_models import GROUPED, causal_models, masked_models, mt5, seeded

IDS = torch.tensor([[1, 5, 9, 7, 30], [1, 8, 2, 77, 11]])
PLACES = [np.array([0, 2, 2, 4]), np.array([1, 1])]
TOKENS = [np.array([5, 8, 399, 3]), np.array([0, 200])]


def cubed() -> Any:
    """A model that does something unheard of to its scores."""
    import transformers as t

    class Cubed(t.LlamaForCausalLM):  # type: ignore[misc]
        def forward(self, **inputs: Any) -> Any:
            output = super().forward(**inputs)
            output.logits = output.logits**3
            return output

    return Cubed(t.LlamaConfig(**GROUPED))


def with_bias() -> Any:
    model = causal_models()["llama"]()
    model.lm_head = torch.nn.Linear(32, 400)
    return model


def quantized() -> Any:
    """A head that is no plain matrix product."""
    model = causal_models()["llama"]()
    model.lm_head = torch.nn.Sequential(model.lm_head)
    return model


def t5_tied() -> Any:
    """The first T5: one matrix for both ends, and a factor before the head."""
    import transformers as t

    shape = {"d_model": 32, "d_ff": 64, "num_layers": 2, "num_heads": 4, "d_kv": 8}
    return t.T5ForConditionalGeneration(t.T5Config(vocab_size=400, **shape, decoder_start_token_id=0))


def forward_of(model: Any) -> Callable[[], torch.Tensor]:
    def forward() -> torch.Tensor:
        extra = {"decoder_input_ids": IDS} if model.config.is_encoder_decoder else {}
        logits: torch.Tensor = model(input_ids=IDS, **extra).logits
        return logits

    return forward


MAKERS = {
    "llama": (causal_models()["llama"], True),
    "bias": (with_bias, True),
    "soft cap": (causal_models()["gemma2"], True),
    "scaled": (causal_models()["cohere (scaled scores)"], True),
    "projected before": (causal_models()["opt"], True),
    "masked, bias": (masked_models()["xlm-r"], True),
    "encoder-decoder": (mt5, True),
    "encoder-decoder, tied": (t5_tied, True),
    "unheard of": (cubed, False),
    "no plain matrix": (quantized, False),
}


@pytest.mark.parametrize("name", sorted(MAKERS))
@torch.inference_mode()
def test_blocks_equal_whole_logits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    maker, exact = MAKERS[name]
    monkeypatch.setattr(head_module, "_WORDS", 37)
    monkeypatch.setattr(head_module, "_SITES", 3)
    monkeypatch.setattr(head_module, "_EDGES", 2)
    model = seeded(maker).eval()
    forward = forward_of(model)
    head = Head(model, forward)
    assert head.exact is exact
    found = head.edges(forward, IDS.shape[1], PLACES, TOKENS)
    whole = torch.log_softmax(forward().double(), dim=-1).numpy()
    for row, values in enumerate(found):
        np.testing.assert_allclose(values, whole[row, PLACES[row], TOKENS[row]], atol=2e-5)


@torch.inference_mode()
def test_words_that_cannot_be_said_and_scores_that_would_overflow() -> None:
    model = with_bias()
    model.lm_head.bias[:] = 0
    model.lm_head.bias[3:200] = -torch.inf  # padding of the vocabulary
    model.lm_head.weight *= 1e4
    head = Head(model.eval(), forward_of(model))
    assert head.exact
    found = head.edges(forward_of(model), IDS.shape[1], [np.array([0, 0])], [np.array([1, 3])])[0]
    expected = torch.log_softmax(forward_of(model)().double(), dim=-1)[0, 0, [1, 3]]
    assert found[0] == pytest.approx(float(expected[0]), rel=1e-5)
    assert found[1] == -np.inf


def test_a_model_without_a_head() -> None:
    import transformers as t

    model = t.LlamaModel(t.LlamaConfig(**GROUPED))
    with pytest.raises(ModelError, match="LlamaModel has no output embeddings"):
        Head(model, lambda: torch.zeros(1))
