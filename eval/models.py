"""Load a model and its tokenizer, and say of which kind it is: causal or masked. No remote code unless asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rml_lama.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import torch

__all__ = ["DEMO", "LoadedModel", "load_model"]

DEMO = "demo"
Kind = Literal["causal", "masked"]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready for scoring; `name` and `revision` go into the signature."""

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
    name: str, *, dtype: str = "float32", device: str = "cpu", revision: str | None = None, trust_remote_code: bool = False
) -> LoadedModel:
    """Load a Hub id, a local folder, or `demo` (the Gemma of PyPI, converted once into the user's cache).

    Raises `ModelError` when the model is not there or is neither causal nor masked, `MissingExtraError` without torch.
    """
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "eval") from error
    shown, source = _resolve(name)
    options = {"revision": revision, "trust_remote_code": trust_remote_code}
    try:
        config = transformers.AutoConfig.from_pretrained(source, **options)
        kind = _kind(config, shown)
        auto: Any = transformers.AutoModelForCausalLM if kind == "causal" else transformers.AutoModelForMaskedLM
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **options)
        model: Any = auto.from_pretrained(source, dtype=getattr(torch, dtype), **options)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot load the model {shown!r}: {str(error).splitlines()[0]}") from error
    if not tokenizer.is_fast:
        raise ModelError(f"the model {shown!r} has no fast tokenizer, which is needed to place the answer in its sentence")
    model.to(device).eval().requires_grad_(False)
    revision_name = revision or getattr(config, "_commit_hash", None) or "local"
    return LoadedModel(shown, revision_name[:12], kind, dtype, model, tokenizer)


def _resolve(name: str) -> tuple[str, str]:
    """The name to show and the place to load from."""
    if name == DEMO:
        from rml_lama.eval.demo_model import MODEL_NAME, demo_model

        return MODEL_NAME, str(demo_model())
    path = Path(name)
    if path.is_dir():
        return path.resolve().name, str(path)
    if name.startswith((".", "/", "~")):
        raise ModelError(f"no such model folder: {name}")
    return name, name


def _kind(config: Any, name: str) -> Kind:
    """From the architecture that the config names, else from what transformers knows of the model type."""
    architectures = getattr(config, "architectures", None) or []
    for architecture in architectures:
        if architecture.endswith("ForMaskedLM"):
            return "masked"
        if architecture.endswith(("ForCausalLM", "LMHeadModel")):
            return "causal"
    raise ModelError(
        f"the model {name!r} is {' '.join(architectures) or config.model_type}: looked for an architecture named "
        "...ForCausalLM, ...LMHeadModel or ...ForMaskedLM"
    )
