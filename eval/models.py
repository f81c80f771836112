"""Load a model and its tokenizer, and say of which kind it is. No remote code unless asked for.

A model is a Hub id, a local folder, a GGUF file (or `FOLDER::FILE.gguf` on the Hub), or `demo`.
"""

from __future__ import annotations

import contextlib
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rml_lama.errors import ConfigError, MissingExtraError, ModelError

if TYPE_CHECKING:
    import torch

__all__ = ["DEMO", "LoadedModel", "kind_of", "load_model"]

DEMO = "demo"
Kind = Literal["causal", "masked", "encoder-decoder"]
Quantization = Literal["none", "8bit", "4bit"]
_ENDINGS: tuple[tuple[str, Kind], ...] = (
    ("ForMaskedLM", "masked"),
    ("ForCausalLM", "causal"),
    ("LMHeadModel", "causal"),
    ("ForConditionalGeneration", "encoder-decoder"),
)
_AUTO: dict[Kind, str] = {
    "causal": "AutoModelForCausalLM",
    "masked": "AutoModelForMaskedLM",
    "encoder-decoder": "AutoModelForSeq2SeqLM",
}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready for scoring; `name`, `revision` and `dtype` go into the signature."""

    name: str
    revision: str
    kind: Kind
    dtype: str
    model: Any
    tokenizer: Any

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device


def load_model(
    name: str,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    device_map: str | None = None,
    quantization: Quantization = "none",
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """Load a model by its Hub id, its folder, its GGUF file, or `demo` (the Gemma of PyPI, converted once into the user's cache).

    `dtype` is a torch dtype, or `auto` for that of the files. `device_map` ("auto") spreads a model over the devices
    that accelerate finds, in the place of `device`. `quantization` loads in 8 or 4 bits through bitsandbytes; models
    that are stored quantized need no option. Raises `ModelError` when the model is not there or is of no known kind,
    `ConfigError` for options that do not go together, `MissingExtraError` without torch.
    """
    try:
        import torch
        import transformers
        from safetensors import SafetensorError
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "eval") from error
    shown, source, gguf = _resolve(name)
    where = {"revision": revision, "trust_remote_code": trust_remote_code, **({"gguf_file": gguf} if gguf else {})}
    options = {**_load_options(torch, dtype, device_map, quantization), **where}
    try:
        config = transformers.AutoConfig.from_pretrained(source, **where)
        kind = kind_of(config, shown)
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **where)
        with _plain_logs(transformers):
            model: Any = getattr(transformers, _AUTO[kind]).from_pretrained(source, **options)
    except (ImportError, OSError, ValueError, KeyError, struct.error, SafetensorError) as error:
        raise ModelError(f"cannot load the model {shown!r}: {_first_line(error)}") from error
    if not tokenizer.is_fast:
        raise ModelError(f"the model {shown!r} has no fast tokenizer, which is needed to place the answer in its sentence")
    if device_map is None and quantization == "none":
        model.to(device)
    model.eval().requires_grad_(False)
    revision_name = revision or getattr(config, "_commit_hash", None) or "local"
    return LoadedModel(shown, revision_name[:12], kind, _dtype_name(model, quantization), model, tokenizer)


@contextlib.contextmanager
def _plain_logs(transformers: Any) -> Iterator[None]:
    """No bar of transformers off a terminal."""
    bars = transformers.utils.logging
    if sys.stderr.isatty() or not bars.is_progress_bar_enabled():
        yield
        return
    bars.disable_progress_bar()
    try:
        yield
    finally:
        bars.enable_progress_bar()


def _load_options(torch: Any, dtype: str, device_map: str | None, quantization: str) -> dict[str, Any]:
    known = getattr(torch, dtype, None)
    if dtype != "auto" and not (isinstance(known, torch.dtype) and known.is_floating_point):
        raise ConfigError(f"no such dtype: {dtype!r}; use float32, bfloat16, float16 or auto")
    options: dict[str, Any] = {"dtype": "auto" if dtype == "auto" else known}
    if device_map:
        options["device_map"] = device_map
    if quantization != "none":
        import transformers

        settings: Any = transformers.BitsAndBytesConfig
        options["quantization_config"] = settings(**{f"load_in_{quantization}": True})
    return options


def _resolve(name: str) -> tuple[str, str, str | None]:
    """The name to show, the place to load from, and the GGUF file in it, if it is one."""
    if name == DEMO:
        from rml_lama.eval.demo_model import MODEL_NAME, demo_model

        return MODEL_NAME, str(demo_model()), None
    folder, separator, file = name.partition("::")
    if separator:
        return Path(file).stem, folder, file
    path = Path(name)
    if path.suffix == ".gguf" and path.is_file():
        return path.stem, str(path.parent), path.name
    if path.is_dir():
        return path.resolve().name, str(path), None
    if name.startswith((".", "/", "~")):
        raise ModelError(f"no such model folder: {name}")
    return name, name, None


def kind_of(config: Any, name: str) -> Kind:
    """From the architecture that the config names, else from what transformers knows of the model type."""
    architectures = getattr(config, "architectures", None) or []
    for architecture in architectures:
        for ending, named in _ENDINGS:
            if architecture.endswith(ending) and (named != "encoder-decoder" or config.is_encoder_decoder):
                return named
    if kind := _kind_of_type(config):
        return kind
    raise ModelError(
        f"the model {name!r} is {' '.join(architectures) or config.model_type}: looked for an architecture named "
        f"{', '.join('...' + ending for ending, _ in _ENDINGS)}"
    )


def _kind_of_type(config: Any) -> Kind | None:
    """For files that name no architecture (GGUF) or one with another head (a bare encoder, a classifier)."""
    from transformers.models.auto import modeling_auto

    if getattr(config, "architectures", None):
        return None
    known: dict[Kind, Any] = {
        "encoder-decoder": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        "masked": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        "causal": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    }
    return next((kind for kind, names in known.items() if config.model_type in names), None)


def _dtype_name(model: Any, quantization: str) -> str:
    if quantization != "none":
        return quantization
    stored = getattr(model.config, "quantization_config", None)
    method = getattr(stored, "quant_method", None) or (stored.get("quant_method") if isinstance(stored, dict) else None)
    return str(getattr(method, "value", method)) if method and method != "gguf" else str(model.dtype).removeprefix("torch.")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
