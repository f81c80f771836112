"""Scores of every family equal the slow definition, whatever the tokenizer, the padding side, the batch and the order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from rml_lama.errors import ConfigError, ModelError, ScoreError
from rml_lama.eval.base import Ask, Scorer
from rml_lama.eval.causal_lm import CausalScorer
from rml_lama.eval.encoder_decoder import EncoderDecoderScorer
from rml_lama.eval.masked_lm import MaskedScorer
from tests.eval import slow
from tests.eval.tiny_models import ASKS, TOKENIZERS, causal_models, loaded, make_tokenizer, masked_models, mt5, seeded

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

TOLERANCE = 2e-4  # nats
LONG = Ask(ASKS[0].prompt * 4, ".", ASKS[0].candidates)  # longer than the windows of the tiny models


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return make_tokenizer(request.param)


@pytest.fixture(scope="module")
def bytes_tokenizer() -> Any:
    return make_tokenizer("byte-level")


def assert_equal(scorer: Scorer, asks: list[Ask], expected: Callable[[Ask], np.ndarray]) -> None:
    for ask, scored in zip(asks, scorer.score(asks), strict=True):
        np.testing.assert_allclose(scored.log_probabilities, expected(ask), atol=TOLERANCE)
        assert (scored.lengths >= 1).all()
        assert len(scored.first_tokens) == scored.lengths[0]


@pytest.mark.parametrize("family", sorted(causal_models()))
@pytest.mark.parametrize("scope", ["answer", "answer+suffix", "sentence"])
def test_causal_families(bytes_tokenizer: Any, family: str, scope: Any) -> None:
    model = seeded(causal_models()[family])
    scorer = CausalScorer(loaded(model, bytes_tokenizer), scope=scope)
    assert scorer.tree, "every family here takes tree attention"
    assert scorer._head.exact, "and has a head whose scores are found"
    assert_equal(scorer, [*ASKS, LONG], lambda ask: slow.causal(model, bytes_tokenizer, ask, scope))


@pytest.mark.parametrize("family", sorted(causal_models()))
def test_plain_rows(bytes_tokenizer: Any, family: str) -> None:
    model = seeded(causal_models()[family])
    scorer = CausalScorer(loaded(model, bytes_tokenizer), tree=False)
    assert_equal(scorer, ASKS, lambda ask: slow.causal(model, bytes_tokenizer, ask, "answer"))


@pytest.mark.parametrize("scope", ["answer", "answer+suffix", "sentence"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_causal_tokenizers(tokenizer: Any, scope: Any, side: str) -> None:
    tokenizer.padding_side = side
    model = seeded(causal_models()["llama"])
    scorer = CausalScorer(loaded(model, tokenizer), scope=scope)
    assert_equal(scorer, ASKS, lambda ask: slow.causal(model, tokenizer, ask, scope))


@pytest.mark.parametrize("family", sorted(masked_models()))
@pytest.mark.parametrize("masking", ["mask-joint", "pll-l2r"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_masked_families(tokenizer: Any, family: str, masking: Any, side: str) -> None:
    tokenizer.padding_side = side
    model = seeded(masked_models()[family])
    scorer = MaskedScorer(loaded(model, tokenizer, "masked"), masking=masking)
    assert_equal(scorer, ASKS, lambda ask: slow.masked(model, tokenizer, ask, masking))


def test_masked_sentences(tokenizer: Any) -> None:
    model = seeded(masked_models()["bert"])
    scorer = MaskedScorer(loaded(model, tokenizer, "masked"), masking="pll-l2r", sentence=True)
    assert_equal(scorer, ASKS[:2], lambda ask: slow.masked(model, tokenizer, ask, "pll-l2r", sentence=True))
    with pytest.raises(ConfigError, match="use --masking pll-l2r"):
        MaskedScorer(loaded(model, tokenizer, "masked"), sentence=True)


@pytest.mark.parametrize("side", ["left", "right"])
def test_encoder_decoder(tokenizer: Any, side: str) -> None:
    tokenizer.padding_side = side
    model = seeded(mt5)
    scorer = EncoderDecoderScorer(loaded(model, tokenizer, "encoder-decoder"))
    assert_equal(scorer, ASKS, lambda ask: slow.encoder_decoder(model, tokenizer, ask))


def scorers(tokenizer: Any) -> dict[str, Scorer]:
    return {
        "causal": CausalScorer(loaded(seeded(causal_models()["gemma3"]), tokenizer)),
        "plain rows": CausalScorer(loaded(seeded(causal_models()["bloom"]), tokenizer), tree=False),
        "masked": MaskedScorer(loaded(seeded(masked_models()["bert"]), tokenizer, "masked"), masking="pll-l2r"),
        "encoder-decoder": EncoderDecoderScorer(loaded(seeded(mt5), tokenizer, "encoder-decoder")),
    }


@pytest.mark.parametrize("kind", ["causal", "plain rows", "masked", "encoder-decoder"])
def test_a_batch_equals_singles_and_order_changes_nothing(bytes_tokenizer: Any, kind: str) -> None:
    scorer = scorers(bytes_tokenizer)[kind]
    for ask, together in zip(ASKS, scorer.score(ASKS), strict=True):
        (alone,) = scorer.score([ask])
        np.testing.assert_allclose(alone.log_probabilities, together.log_probabilities, atol=1e-4)
        assert alone.first_tokens == together.first_tokens
        (turned,) = scorer.score([Ask(ask.prompt, ask.suffix, ask.candidates[::-1])])
        np.testing.assert_allclose(turned.log_probabilities[::-1], together.log_probabilities, atol=1e-4)
    assert scorer.score([]) == []


def test_a_model_that_does_not_follow_the_mask_is_read_in_plain_rows(bytes_tokenizer: Any) -> None:
    """What a tree needs is tried, not believed: here the mask of the tree is dropped on the way."""
    model = seeded(causal_models()["llama"])
    forward = model.forward

    def deaf(*arguments: Any, attention_mask: Any = None, **inputs: Any) -> Any:
        mask = attention_mask if attention_mask is not None and attention_mask.dim() == 2 else None
        return forward(*arguments, attention_mask=mask, **inputs)

    model.forward = deaf
    scorer = CausalScorer(loaded(model, bytes_tokenizer))
    assert not scorer.tree
    assert_equal(scorer, ASKS, lambda ask: slow.causal(model, bytes_tokenizer, ask, "answer"))


def test_the_work_is_counted(bytes_tokenizer: Any) -> None:
    scorer = CausalScorer(loaded(seeded(causal_models()["llama"]), bytes_tokenizer))
    ask = Ask("Rome is the capital of ", ".", ("Rome", "Rome of Italy", "Paris"))
    prompt = 1 + len(bytes_tokenizer("Rome is the capital of", add_special_tokens=False)["input_ids"])
    names = [len(bytes_tokenizer(" " + name, add_special_tokens=False)["input_ids"]) for name in ask.candidates]
    inner = names[1] - 1  # of "Rome of Italy"; "Rome" begins it, "Paris" is one token
    assert names[0] == names[2] == 1
    work = scorer.work([ask])
    assert (work.read, work.predicted, work.unshared) == (prompt + inner, 1 + inner, 3 * prompt + sum(names))


def test_many_candidates_are_cut_into_rows(bytes_tokenizer: Any) -> None:
    model = seeded(causal_models()["llama"])
    ask = Ask("The city of ", ".", tuple(f"place number {number} of many" for number in range(60)))
    scorer = CausalScorer(loaded(model, bytes_tokenizer))
    assert_equal(scorer, [ask], lambda ask: slow.causal(model, bytes_tokenizer, ask, "answer"))


@pytest.mark.parametrize("kind", ["causal", "masked", "encoder-decoder"])
def test_half_precision_is_close(bytes_tokenizer: Any, kind: str) -> None:
    full = scorers(bytes_tokenizer)[kind].score(ASKS[:1])[0].log_probabilities
    model = seeded({"causal": causal_models()["gemma3"], "masked": masked_models()["bert"], "encoder-decoder": mt5}[kind]).bfloat16()
    half = loaded(model, bytes_tokenizer, kind)
    scorer: Scorer
    if kind == "causal":
        scorer = CausalScorer(half)
    else:
        scorer = MaskedScorer(half, masking="pll-l2r") if kind == "masked" else EncoderDecoderScorer(half)
    np.testing.assert_allclose(scorer.score(ASKS[:1])[0].log_probabilities, full, rtol=0.02, atol=0.15)


def test_numbers_that_are_not_finite_are_an_error(bytes_tokenizer: Any) -> None:
    model = seeded(causal_models()["llama"])
    scorer = CausalScorer(loaded(model, bytes_tokenizer))
    with torch.no_grad():
        model.lm_head.weight[7] = float("nan")
    with pytest.raises(ScoreError, match="no finite log-probability"):
        scorer.score(ASKS)


def test_nothing_before_the_blank(bytes_tokenizer: Any) -> None:
    bare = make_tokenizer("unigram, metaspace")  # puts nothing before a text
    scorer = CausalScorer(loaded(seeded(causal_models()["llama"]), bare))
    with pytest.raises(ModelError, match="has no start token"):
        scorer.score([Ask("", " is a city.", ("Rome",))])
    (found,) = CausalScorer(loaded(seeded(causal_models()["llama"]), bytes_tokenizer)).score([Ask("", " is a city.", ("Rome", "Paris"))])
    assert np.isfinite(found.log_probabilities).all()


def test_models_that_lack_what_is_needed() -> None:
    tokenizer = make_tokenizer("byte-level")
    tokenizer.mask_token = None
    with pytest.raises(ModelError, match="no mask token"):
        MaskedScorer(loaded(seeded(masked_models()["bert"]), tokenizer, "masked"))
    model = seeded(mt5)
    model.config.decoder_start_token_id = None
    with pytest.raises(ModelError, match="has no <extra_id_0>"):
        EncoderDecoderScorer(loaded(model, tokenizer, "encoder-decoder"))
