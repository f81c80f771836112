"""Loading: kinds, local folders, GGUF files, dtypes, code that is not run unasked, and errors that say what was looked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rml_lama.errors import ConfigError, ModelError
from rml_lama.eval.base import Scorer
from rml_lama.eval.causal_lm import CausalScorer
from rml_lama.eval.encoder_decoder import EncoderDecoderScorer
from rml_lama.eval.masked_lm import MaskedScorer
from rml_lama.eval.models import LoadedModel, kind_of, load_model
from tests.eval.tiny_models import ASKS, GROUPED, causal_models, loaded, make_tokenizer, masked_models, mt5, seeded

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

SCORERS = {"causal": CausalScorer, "masked": MaskedScorer, "encoder-decoder": EncoderDecoderScorer}


def saved(model: Any, folder: Path) -> str:
    model.save_pretrained(folder)
    make_tokenizer("byte-level").save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("maker", "kind"),
    [
        (causal_models()["llama"], "causal"),
        (causal_models()["gpt2 (mGPT)"], "causal"),
        (masked_models()["bert"], "masked"),
        (mt5, "encoder-decoder"),
    ],
    ids=["llama", "gpt2", "bert", "mt5"],
)
def test_a_folder_gives_the_scores_of_the_model_in_memory(maker: Any, kind: Any, tmp_path: Path) -> None:
    model = seeded(maker)
    found = load_model(saved(model, tmp_path / "model"))
    assert (found.name, found.revision, found.kind, found.dtype, found.device) == ("model", "local", kind, "float32", torch.device("cpu"))
    assert not found.model.training
    assert not any(parameter.requires_grad for parameter in found.model.parameters())
    both: list[Scorer] = [SCORERS[kind](found), SCORERS[kind](loaded(model, make_tokenizer("byte-level"), kind))]
    first, second = (scorer.score(ASKS)[0].log_probabilities for scorer in both)
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_dtypes(tmp_path: Path) -> None:
    folder = saved(causal_models()["llama"]().bfloat16(), tmp_path / "half")
    assert load_model(folder).model.dtype == torch.float32
    half = load_model(folder, dtype="auto")
    assert (half.model.dtype, half.dtype) == (torch.bfloat16, "bfloat16")
    assert load_model(folder, dtype="float16").dtype == "float16"
    with pytest.raises(ConfigError, match="no such dtype: 'int4'"):
        load_model(folder, dtype="int4")


def test_a_device_map(tmp_path: Path) -> None:
    found = load_model(saved(causal_models()["llama"](), tmp_path / "model"), device_map="auto")
    assert CausalScorer(found).score(ASKS[:1])[0].log_probabilities.shape == (5,)


def write_gguf(model: Any, path: Path) -> None:
    """A LLaMA as a GGUF file, as llama.cpp has it: rotary halves interleaved, a byte-level vocabulary."""
    import gguf

    config = model.config
    tokenizer = make_tokenizer("byte-level")
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    tokens = [word for word, _ in words] + [f"<unused{number}>" for number in range(config.vocab_size - len(words))]
    merges = [" ".join(pair) for pair in json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.o_proj": "attn_output"}
    names |= {f"self_attn.{letter}_proj": f"attn_{letter}" for letter in "qkv"}
    names |= {f"mlp.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")}
    top = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}
    for name, weight in model.state_dict().items():
        array = weight.float().numpy()
        if name in top:
            writer.add_tensor(top[name], array)
            continue
        _, _, layer, *rest = name.split(".")
        part = ".".join(rest).removesuffix(".weight")
        if part in ("self_attn.q_proj", "self_attn.k_proj"):
            heads = config.num_attention_heads if "q_proj" in part else config.num_key_value_heads
            array = array.reshape(heads, 2, len(array) // heads // 2, -1).swapaxes(1, 2).reshape(array.shape)
        writer.add_tensor(f"blk.{layer}.{names[part]}.weight", np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_gives_the_scores_of_its_model(tmp_path: Path) -> None:
    import transformers as t

    model = seeded(lambda: t.LlamaForCausalLM(t.LlamaConfig(**{**GROUPED, "hidden_size": 64}, rms_norm_eps=1e-5)))
    write_gguf(model, tmp_path / "small.gguf")
    found = load_model(str(tmp_path / "small.gguf"))
    assert (found.name, found.kind, found.dtype) == ("small", "causal", "float32")
    again = LoadedModel("small", "local", "causal", "float32", model, found.tokenizer)
    first, second = (CausalScorer(one).score(ASKS[:2])[1].log_probabilities for one in (found, again))
    np.testing.assert_allclose(first, second, atol=1e-4)
    by_name = load_model(f"{tmp_path}::small.gguf")
    assert by_name.name == "small"


def test_code_that_a_model_brings_is_not_run_unasked(tmp_path: Path) -> None:
    folder = Path(saved(causal_models()["llama"](), tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    mark = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(mark)!r}, 'w')\n")
    with pytest.raises(ModelError, match="cannot load the model 'model'"):
        load_model(str(folder))
    assert not mark.exists()


def test_models_that_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        load_model(str(tmp_path / "none"))
    with pytest.raises(ModelError, match="cannot load the model 'no-such-org/no-such-model'"):
        load_model("no-such-org/no-such-model")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="cannot load the model 'broken'"):
        load_model(str(tmp_path / "broken.gguf"))
    folder = Path(saved(causal_models()["llama"](), tmp_path / "cut"))
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot load the model 'cut'"):
        load_model(str(folder))
    import transformers as t

    headless = t.BertModel(t.BertConfig(vocab_size=400, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64))
    with pytest.raises(ModelError, match=r"is BertModel: looked for an architecture named \.\.\.ForMaskedLM"):
        load_model(saved(headless, tmp_path / "headless"))


def test_kinds_of_configs_without_architectures() -> None:
    import transformers as t

    assert kind_of(t.LlamaConfig(), "x") == "causal"
    assert kind_of(t.BertConfig(), "x") == "masked"
    assert kind_of(t.MT5Config(), "x") == "encoder-decoder"
    with pytest.raises(ModelError, match="the model 'x' is vit"):
        kind_of(t.ViTConfig(), "x")


def test_quantized_models_say_so(tmp_path: Path) -> None:
    folder = saved(seeded(causal_models()["llama"]), tmp_path / "model")
    full = CausalScorer(load_model(folder)).score(ASKS[:1])[0].log_probabilities
    for quantization in ("8bit", "4bit"):
        found = load_model(folder, quantization=quantization)  # type: ignore[arg-type]
        assert found.dtype == quantization
        np.testing.assert_allclose(CausalScorer(found).score(ASKS[:1])[0].log_probabilities, full, rtol=0.1, atol=1.0)
