"""Tiny random models of every family, without network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

SMALL = {"vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
GROUPED = {**SMALL, "num_key_value_heads": 2, "max_position_embeddings": 256, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
OPT = {
    "vocab_size": 400,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "ffn_dim": 64,
    "max_position_embeddings": 256,
}
T5 = {"vocab_size": 400, "d_model": 32, "d_ff": 64, "num_layers": 3, "num_heads": 2, "d_kv": 16}


def families() -> dict[str, Callable[[], Any]]:
    import transformers as t

    gpt2 = {"vocab_size": 400, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 256, "bos_token_id": 1, "eos_token_id": 1}
    xglm = {"vocab_size": 400, "d_model": 32, "num_layers": 3, "attention_heads": 4, "ffn_dim": 64, "max_position_embeddings": 256}
    falcon = {"vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "alibi": True}
    distil = {"vocab_size": 400, "dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64}
    window = {"head_dim": 8, "sliding_window": 4}
    return {
        "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(**gpt2)),
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**GROUPED)),
        "mistral": lambda: t.MistralForCausalLM(t.MistralConfig(**GROUPED, sliding_window=4)),
        "qwen2": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**GROUPED)),
        "qwen3": lambda: t.Qwen3ForCausalLM(t.Qwen3Config(**GROUPED, head_dim=8)),
        "gemma2": lambda: t.Gemma2ForCausalLM(t.Gemma2Config(**GROUPED, **window, final_logit_softcapping=2.0)),
        "gemma3": lambda: t.Gemma3ForCausalLM(t.Gemma3TextConfig(**GROUPED, **window)),
        "phi3": lambda: t.Phi3ForCausalLM(t.Phi3Config(**GROUPED)),
        "phi": lambda: t.PhiForCausalLM(t.PhiConfig(**SMALL, bos_token_id=1, eos_token_id=1)),
        "bloom": lambda: t.BloomForCausalLM(t.BloomConfig(vocab_size=400, hidden_size=32, n_layer=3, n_head=4)),
        "falcon": lambda: t.FalconForCausalLM(t.FalconConfig(**falcon)),
        "opt": lambda: t.OPTForCausalLM(t.OPTConfig(**OPT, word_embed_proj_dim=32)),
        "opt-350m": lambda: t.OPTForCausalLM(t.OPTConfig(**OPT, word_embed_proj_dim=16, do_layer_norm_before=False)),
        "xglm": lambda: t.XGLMForCausalLM(t.XGLMConfig(**xglm)),
        "neox": lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**SMALL, max_position_embeddings=256)),
        "cohere": lambda: t.CohereForCausalLM(t.CohereConfig(**GROUPED, logit_scale=0.5)),
        "granite": lambda: t.GraniteForCausalLM(t.GraniteConfig(**GROUPED, logits_scaling=2.0)),
        "mixtral": lambda: t.MixtralForCausalLM(t.MixtralConfig(**GROUPED, num_local_experts=4)),
        "bert": lambda: t.BertForMaskedLM(t.BertConfig(**SMALL, max_position_embeddings=256)),
        "xlm-roberta": lambda: t.XLMRobertaForMaskedLM(t.XLMRobertaConfig(**SMALL, max_position_embeddings=256, pad_token_id=0)),
        "distilbert": lambda: t.DistilBertForMaskedLM(t.DistilBertConfig(**distil)),
        "mt5": lambda: t.MT5ForConditionalGeneration(t.MT5Config(**T5)),
        "t5": lambda: t.T5ForConditionalGeneration(t.T5Config(**T5)),
    }


def tiny(family: str, *, seed: int = 0, spread: float = 2.0) -> Any:
    """A random model whose weights are spread enough for its FFNs to matter."""
    torch.manual_seed(seed)
    model = families()[family]().eval().requires_grad_(False)
    model.config._experts_implementation = "eager"  # the grouped kernels have their own rounding, and no float64
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.mul_(spread)
    return model


def kind_of(family: str) -> Any:
    return "masked" if family in ("bert", "xlm-roberta", "distilbert") else "causal"
