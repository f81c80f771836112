"""Tiny models and small runs that several tests read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rml_lama.eval.models import LoadedModel
from tests.eval.tiny_models import causal_models, loaded, make_tokenizer, seeded

OPTIONS: dict[str, Any] = {
    "languages": ("en", "ja"),
    "relations": ("P36", "P30"),
    "limit_facts": 4,
    "limit_templates": 2,
    "max_candidates": 6,
    "resamples": 50,
}


@pytest.fixture(scope="session")
def tiny() -> LoadedModel:
    """A tiny causal model with random weights."""
    return loaded(seeded(causal_models()["llama"]), make_tokenizer("byte-level"))


@pytest.fixture(scope="session")
def rival() -> LoadedModel:
    """Another one, under its own name."""
    other = loaded(seeded(causal_models()["qwen3"]), make_tokenizer("byte-level"))
    return LoadedModel("rival", "local", "causal", "float32", other.model, other.tokenizer)


@pytest.fixture(scope="session")
def options() -> dict[str, Any]:
    """A run of 32 queries."""
    return dict(OPTIONS)


@pytest.fixture(scope="session")
def small_result(tiny: LoadedModel, open_build: Path) -> Any:
    """The result of that run."""
    import rml_lama

    return rml_lama.evaluate(tiny, open_build, **OPTIONS)
