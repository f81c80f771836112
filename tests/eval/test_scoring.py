"""Scoring: the fast paths equal plain full-sentence scoring, in every batch and for every family tried here."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rml_lama.errors import ModelError, ScoreError
from rml_lama.eval.causal_lm import Ask, CausalScorer
from rml_lama.eval.masked_lm import MaskedScorer
from rml_lama.eval.models import LoadedModel, load_model
from rml_lama.eval.trie import build_trie

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

SMALL = {"vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
GROUPED = {**SMALL, "num_key_value_heads": 2, "max_position_embeddings": 256}
ASKS = [
    Ask("The capital of France is the city of ", ".", ("Paris", "Rome", "San Marino", "Parma", "Rom")),
    Ask("Italy: ", " it is.", ("Rome", "Paris", "Pa")),
    Ask("首都は", "です。", ("東京", "東", "パリ")),
]


def causal_models() -> dict[str, Callable[[], Any]]:
    import transformers as t

    small = {"vocab_size": 400, "n_embd": 32, "n_layer": 2, "n_head": 4}
    return {
        "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(**small, n_positions=256)),
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**GROUPED)),
        "qwen3": lambda: t.Qwen3ForCausalLM(t.Qwen3Config(**GROUPED, head_dim=8)),
        "gemma3": lambda: t.Gemma3ForCausalLM(t.Gemma3TextConfig(**GROUPED, head_dim=8, sliding_window=8)),
        "bloom": lambda: t.BloomForCausalLM(t.BloomConfig(vocab_size=400, hidden_size=32, n_layer=2, n_head=4)),
        "opt": lambda: t.OPTForCausalLM(
            t.OPTConfig(
                vocab_size=400,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                ffn_dim=64,
                word_embed_proj_dim=32,
                max_position_embeddings=256,
            )
        ),
        "neox": lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**SMALL, max_position_embeddings=256)),
    }


def loaded(model: Any, tokenizer: Any, kind: Any = "causal") -> LoadedModel:
    return LoadedModel("tiny", "local", kind, "float32", model.eval().requires_grad_(False), tokenizer)


def slow_scores(model: Any, tokenizer: Any, ask: Ask, *, with_suffix: bool) -> np.ndarray:
    """Each candidate's sentence on its own, every token after the prompt: the definition, word for word."""
    prompt = tokenizer(ask.prompt.rstrip())["input_ids"]
    wholes = [tokenizer(ask.prompt + c + (ask.suffix if with_suffix else ""))["input_ids"] for c in ask.candidates]
    shared = min(sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(prompt, ids, strict=False))) for ids in wholes)
    scores = []
    for ids in wholes:
        log_probabilities = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), dim=-1)
        scores.append(sum(float(log_probabilities[place - 1, ids[place]]) for place in range(shared, len(ids))))
    return np.array(scores)


@pytest.mark.parametrize("family", sorted(causal_models()))
@pytest.mark.parametrize("with_suffix", [False, True])
def test_fast_equals_slow(word_tokenizer: Any, family: str, with_suffix: bool) -> None:
    torch.manual_seed(0)
    model = causal_models()[family]()
    scorer = CausalScorer(loaded(model, word_tokenizer), with_suffix=with_suffix)
    for ask, (scores, lengths) in zip(ASKS, scorer.score(ASKS), strict=True):
        np.testing.assert_allclose(scores, slow_scores(model, word_tokenizer, ask, with_suffix=with_suffix), atol=2e-4)
        assert (lengths >= 1).all()


def test_tree_attention_is_used_where_it_is_exact(word_tokenizer: Any) -> None:
    torch.manual_seed(0)
    models = causal_models()
    used = {family: CausalScorer(loaded(models[family](), word_tokenizer)).tree for family in ("llama", "gpt2", "qwen3", "bloom")}
    assert used == {"llama": True, "gpt2": True, "qwen3": True, "bloom": False}


def test_a_batch_equals_singles_and_order_changes_nothing(word_tokenizer: Any) -> None:
    torch.manual_seed(0)
    scorer = CausalScorer(loaded(causal_models()["llama"](), word_tokenizer))
    together = scorer.score(ASKS)
    for ask, (scores, _) in zip(ASKS, together, strict=True):
        np.testing.assert_allclose(scorer.score([ask])[0][0], scores, atol=1e-4)
        turned = Ask(ask.prompt, ask.suffix, ask.candidates[::-1])
        np.testing.assert_allclose(scorer.score([turned])[0][0][::-1], scores, atol=1e-4)


def test_many_candidates_are_split_into_rows(word_tokenizer: Any) -> None:
    torch.manual_seed(0)
    model = causal_models()["llama"]()
    ask = Ask("The city of ", ".", tuple(f"place number {number} of many" for number in range(60)))
    scorer = CausalScorer(loaded(model, word_tokenizer))
    np.testing.assert_allclose(scorer.score([ask])[0][0], slow_scores(model, word_tokenizer, ask, with_suffix=False), atol=3e-4)


def test_numbers_that_are_not_finite_are_an_error(word_tokenizer: Any) -> None:
    model = causal_models()["llama"]()
    scorer = CausalScorer(loaded(model, word_tokenizer))
    with torch.no_grad():
        model.lm_head.weight[7] = float("nan")
    with pytest.raises(ScoreError, match="no finite log-probability"):
        scorer.score(ASKS)


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=8))
def test_a_trie_spells_every_sequence(sequences: list[list[int]]) -> None:
    trie = build_trie(sequences)
    for sequence, path in zip(sequences, trie.paths, strict=True):
        assert trie.edge_token[path].tolist() == sequence
        sites = trie.edge_site[path]
        assert sites[0] == 0
        assert trie.tokens[sites[1:] - 1].tolist() == sequence[:-1]
        for depth, site in enumerate(sites[1:]):
            assert trie.depth[site - 1] == depth
            assert set(np.flatnonzero(trie.ancestors[site - 1])) == set(sites[1 : depth + 2] - 1)
    assert len(trie.edge_token) == len({tuple(s[:end]) for s in sequences for end in range(1, len(s) + 1)})


def bert() -> Any:
    import transformers as t

    return t.BertForMaskedLM(t.BertConfig(**SMALL, max_position_embeddings=256))


def test_mask_joint_equals_one_sentence_at_a_time(word_tokenizer: Any) -> None:
    torch.manual_seed(0)
    model = bert()
    scorer = MaskedScorer(loaded(model, word_tokenizer, "masked"))
    mask = word_tokenizer.mask_token_id
    for ask, (scores, lengths) in zip(ASKS, scorer.score(ASKS), strict=True):
        for candidate, score, length in zip(ask.candidates, scores, lengths, strict=True):
            encoded = word_tokenizer(ask.prompt + candidate + ask.suffix, return_offsets_mapping=True)
            ids, span = list(encoded["input_ids"]), range(len(ask.prompt), len(ask.prompt) + len(candidate))
            text = ask.prompt + candidate + ask.suffix
            places = [i for i, (a, b) in enumerate(encoded["offset_mapping"]) if set(range(a, b)) & set(span) and text[a:b].strip()]
            masked = [mask if i in places else token for i, token in enumerate(ids)]
            log_probabilities = torch.log_softmax(model(torch.tensor([masked])).logits[0].double(), dim=-1)
            expected = sum(float(log_probabilities[i, ids[i]]) for i in places)
            assert score == pytest.approx(expected, abs=2e-4)
            assert length == len(places)


def test_models_load_from_folders_and_say_what_they_are(tmp_path: Any, word_tokenizer: Any) -> None:
    for name, model, kind in (("llama", causal_models()["llama"](), "causal"), ("bert", bert(), "masked")):
        model.save_pretrained(tmp_path / name)
        word_tokenizer.save_pretrained(tmp_path / name)
        assert load_model(str(tmp_path / name)).kind == kind
    with pytest.raises(ModelError, match="no such model folder"):
        load_model(str(tmp_path / "none"))
    with pytest.raises(ModelError, match="cannot load the model 'no-such-org/no-such-model'"):
        load_model("no-such-org/no-such-model")
    import transformers as t

    t.T5ForConditionalGeneration(t.T5Config(vocab_size=400, d_model=32, d_ff=64, num_layers=1, num_heads=2, d_kv=16)).save_pretrained(
        tmp_path / "t5"
    )
    word_tokenizer.save_pretrained(tmp_path / "t5")
    with pytest.raises(ModelError, match="looked for an architecture named"):
        load_model(str(tmp_path / "t5"))
