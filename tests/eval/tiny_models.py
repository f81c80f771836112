"""Tiny random models of each family, and tokenizers of each kind, all made here: no network, a second for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from rml_lama.eval.base import Ask
from rml_lama.eval.models import LoadedModel

VOCABULARY = 400
SENTENCES = [
    "The capital of France is the city of Paris. Rome is the capital of Italy.",
    "Die Hauptstadt von Italien ist Rom.",
    "日本の首都は東京です。",
] * 20

ASKS = [
    Ask("The capital of France is the city of ", ".", ("Paris", "Pari", "Rome", "the Italy of Rome", "Berlin on the Spree")),
    Ask("Rome is the capital of ", " it is.", ("Rome", "Paris", "Pa")),
    Ask("日本の首都は", "です。", ("東京", "東", "パリ")),
    Ask("Rome is the capital of ", "", ("Italy", "Italy of Rome", "Paris")),
]

SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
GROUPED = {"vocab_size": VOCABULARY, **SHAPE, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
GPT2 = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4}
XGLM = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "ffn_dim": 64,
    "num_layers": 2,
    "attention_heads": 4,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
}
OPT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "ffn_dim": 64,
    "word_embed_proj_dim": 16,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
}


def causal_models() -> dict[str, Callable[[], Any]]:
    """Makers of causal models by family."""
    import transformers as t

    return {
        "gpt2 (mGPT)": lambda: t.GPT2LMHeadModel(t.GPT2Config(**GPT2, n_positions=256)),
        "gpt-neo": lambda: t.GPTNeoForCausalLM(
            t.GPTNeoConfig(
                vocab_size=VOCABULARY, hidden_size=32, num_layers=2, num_heads=4, window_size=16, attention_types=[[["global", "local"], 1]]
            )
        ),
        "bloom": lambda: t.BloomForCausalLM(t.BloomConfig(vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4)),
        "xglm": lambda: t.XGLMForCausalLM(t.XGLMConfig(**XGLM)),
        "opt": lambda: t.OPTForCausalLM(t.OPTConfig(**OPT)),
        "gpt-neox": lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(vocab_size=VOCABULARY, **SHAPE, max_position_embeddings=256)),
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**GROUPED)),
        "mistral": lambda: t.MistralForCausalLM(t.MistralConfig(**GROUPED, sliding_window=12)),
        "qwen2": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**GROUPED)),
        "qwen3": lambda: t.Qwen3ForCausalLM(t.Qwen3Config(**GROUPED, head_dim=8)),
        "gemma2": lambda: t.Gemma2ForCausalLM(t.Gemma2Config(**GROUPED, head_dim=8, sliding_window=12, final_logit_softcapping=0.5)),
        "gemma3": lambda: t.Gemma3ForCausalLM(t.Gemma3TextConfig(**GROUPED, head_dim=8, sliding_window=8)),
        "phi3": lambda: t.Phi3ForCausalLM(t.Phi3Config(**GROUPED)),
        "mixtral": lambda: t.MixtralForCausalLM(t.MixtralConfig(**GROUPED, num_local_experts=4, num_experts_per_tok=2)),
        "cohere (scaled scores)": lambda: t.CohereForCausalLM(t.CohereConfig(**GROUPED, logit_scale=0.3)),
    }


def masked_models() -> dict[str, Callable[[], Any]]:
    """Makers of masked models by family."""
    import transformers as t

    shape = {"vocab_size": VOCABULARY, **SHAPE, "max_position_embeddings": 256, "pad_token_id": 0}
    return {
        "bert": lambda: t.BertForMaskedLM(t.BertConfig(**shape)),
        "xlm-r": lambda: t.XLMRobertaForMaskedLM(t.XLMRobertaConfig(**shape)),
    }


def mt5() -> Any:
    """A tiny mT5. Its own start is wide: attention has no scale there."""
    import transformers as t

    shape = {"d_model": 32, "d_ff": 64, "num_layers": 2, "num_heads": 4, "d_kv": 8}
    return t.MT5ForConditionalGeneration(
        t.MT5Config(vocab_size=VOCABULARY, **shape, pad_token_id=0, decoder_start_token_id=0, initializer_factor=0.2)
    )


TOKENIZERS = ("byte-level", "byte-level, prefix space", "unigram, metaspace", "bpe, metaspace, no prefix", "wordpiece")


def make_tokenizer(kind: str) -> Any:
    """A trained tokenizer: BOS before every text, except for `wordpiece` ([CLS] and [SEP] around) and `unigram` (EOS after)."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<bos>", "<eos>", "<mask>", "<unk>", "<extra_id_0>"]
    settings = {"vocab_size": VOCABULARY, "special_tokens": special, "show_progress": False}
    if kind.startswith("byte-level"):
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space="prefix" in kind)
        tokenizer.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(**settings, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    elif kind.startswith("unigram"):
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(**{**settings, "vocab_size": 120}, unk_token="<unk>")
    elif kind.startswith("bpe"):
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
        trainer = trainers.BpeTrainer(**settings)
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(**settings)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    around = {"wordpiece": "<bos> $A <eos>", "unigram, metaspace": "$A <eos>"}.get(kind, "<bos> $A")
    tokenizer.post_processor = processors.TemplateProcessing(single=around, special_tokens=[("<bos>", 1), ("<eos>", 2)])
    names = {name: f"<{name.partition('_')[0]}>" for name in ("pad_token", "bos_token", "eos_token", "mask_token", "unk_token")}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def loaded(model: Any, tokenizer: Any, kind: Any = "causal") -> LoadedModel:
    return LoadedModel("tiny", "local", kind, "float32", model.eval().requires_grad_(False), tokenizer)


def seeded(maker: Callable[[], Any], *, gain: float = 2.0) -> Any:
    """A model whose weights are large enough that its scores differ between candidates."""
    torch.manual_seed(0)
    model = maker()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(gain)
    return model
