"""RML-LAMA: factual knowledge in 27 languages, several phrasings each, with error bars and signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rml_lama.builders.build import build
    from rml_lama.eval.evaluate import evaluate
    from rml_lama.eval.localization import Localization
    from rml_lama.eval.localize import localize
    from rml_lama.eval.results import Result
    from rml_lama.languages import LANGUAGES, Language
    from rml_lama.records import RELATIONS, Fact, Query, Relation, Template, Verdict
    from rml_lama.signature import Signature

_HOMES = {
    "LANGUAGES": "rml_lama.languages",
    "Language": "rml_lama.languages",
    "RELATIONS": "rml_lama.records",
    "Fact": "rml_lama.records",
    "Localization": "rml_lama.eval.localization",
    "Query": "rml_lama.records",
    "Relation": "rml_lama.records",
    "Result": "rml_lama.eval.results",
    "Signature": "rml_lama.signature",
    "Template": "rml_lama.records",
    "Verdict": "rml_lama.records",
    "build": "rml_lama.builders.build",
    "evaluate": "rml_lama.eval.evaluate",
    "localize": "rml_lama.eval.localize",
}

__all__ = [
    "LANGUAGES",
    "RELATIONS",
    "Fact",
    "Language",
    "Localization",
    "Query",
    "Relation",
    "Result",
    "Signature",
    "Template",
    "Verdict",
    "__version__",
    "build",
    "evaluate",
    "localize",
]


def __getattr__(name: str) -> Any:
    """Load public names on first use, so that `import rml_lama` stays fast and imports no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rml_lama' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
