"""Presets of filters: TOML files that name the filters to run and their thresholds, and say where each number comes from.

`light` needs the core installation only; `full` adds an embedder, lingua and, where a model is given, a causal language model.
A file of one's own has the same form: a table `[filters.NAME]` for each filter, in the order in which they run.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rml_lama.errors import ConfigError, DataError
from rml_lama.validation.agreement import Agreement, Translations
from rml_lama.validation.back_translation import BackTranslation
from rml_lama.validation.base import Filter
from rml_lama.validation.detectors import DETECTORS
from rml_lama.validation.embedding import EMBEDDED, Vectors
from rml_lama.validation.fluency import Fluency, Likelihoods, Scorer, draw_facts
from rml_lama.validation.language import ExpectedLanguage
from rml_lama.validation.leakage import Leakage
from rml_lama.validation.memo import Memo
from rml_lama.validation.negation import Negation
from rml_lama.validation.order import Order
from rml_lama.validation.paraphrase import Diversity, Paraphrase
from rml_lama.validation.prototypes import load_prototypes
from rml_lama.validation.references import References
from rml_lama.validation.relation import CausalPrefix, RelationMargin
from rml_lama.validation.script import Script
from rml_lama.validation.slots import Slots
from rml_lama.validation.structure import Structure
from rml_lama.validation.wording import Leftover, Reference, Wording

__all__ = ["PRESETS", "REGISTRY", "Resources", "make_filters", "read_preset"]

PRESETS = {name: Path(__file__).parent / f"{name}.toml" for name in ("light", "full")}
Labels = Mapping[tuple[str, str], Sequence[tuple[str, str]]]


@dataclass(slots=True)
class Resources:
    """What filters may compare with and ask: references, labels of facts, translations, models and the memo of their answers."""

    references: References = field(default_factory=lambda: References(()))
    answers: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    fills: Labels = field(default_factory=dict)
    translations: Translations = field(default_factory=dict)
    memo: Memo = field(default_factory=Memo)
    embedder: str = EMBEDDED
    scorer: Scorer | None = None
    _vectors: Vectors | None = None

    @property
    def vectors(self) -> Vectors:
        """One for all filters, so that a vector is computed once."""
        if self._vectors is None:
            self._vectors = Vectors(self.embedder, self.memo)
        return self._vectors


Factory = Callable[..., Filter]

REGISTRY: dict[str, Factory] = {
    "structure": lambda resources=None: Structure(),
    "script": lambda resources=None: Script(),
    "language": lambda resources, *, detectors, scales, thresholds: ExpectedLanguage(
        {name: DETECTORS[name]() for name in detectors}, scales, thresholds, resources.references
    ),
    "negation": lambda resources=None: Negation(),
    "leakage": lambda resources: Leakage(resources.answers),
    "leftover": lambda resources, *, threshold: Leftover(resources.references, threshold),
    "wording": lambda resources, *, threshold: Wording(resources.references, threshold),
    "reference": lambda resources, *, threshold: Reference(resources.references, threshold),
    "slots": lambda resources, *, threshold: Slots(resources.references, threshold),
    "order": lambda resources, *, threshold: Order(resources.references, threshold),
    "diversity": lambda resources, *, threshold: Diversity(threshold),
    "agreement": lambda resources, *, threshold: Agreement(resources.translations, threshold),
    "back-translation": lambda resources, *, threshold: BackTranslation(threshold),
    "relation-margin": lambda resources, *, threshold: RelationMargin(
        resources.vectors, load_prototypes(), resources.references, threshold
    ),
    "causal": lambda resources, *, threshold: CausalPrefix(resources.vectors, load_prototypes(), threshold),
    "paraphrase": lambda resources, *, threshold: Paraphrase(resources.references, resources.vectors, threshold),
    "fluency": lambda resources, *, threshold, slopes: Fluency(
        resources.references, Likelihoods(_scorer(resources), resources.memo), threshold, slopes, draw_facts(resources.fills)
    ),
}
NEEDS_SCORER = ("fluency",)


def read_preset(name: str | Path) -> dict[str, dict[str, Any]]:
    """The filters of a preset with their options, by name, in order. Raises `ConfigError` or `DataError`."""
    path = PRESETS.get(str(name), Path(name))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"no preset {str(name)!r} (known: {', '.join(PRESETS)}), and no such file: {error.strerror}", path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not a TOML file: {error}", path) from error
    filters: dict[str, dict[str, Any]] = values.get("filters", {})
    if not filters or set(values) - {"filters"}:
        raise ConfigError(f"a preset holds tables [filters.NAME] and nothing else; {path} holds {', '.join(values) or 'nothing'}")
    if unknown := sorted(set(filters) - set(REGISTRY)):
        raise ConfigError(f"unknown filter {', '.join(map(repr, unknown))} in {path}; known: {', '.join(REGISTRY)}")
    return filters


def make_filters(name: str | Path, resources: Resources) -> list[Filter]:
    """The filters of a preset, ready to run; those that need a language model are left out when none is given.

    Raises `ConfigError` for an option that is missing or unknown.
    """
    made = []
    for filter_name, options in read_preset(name).items():
        if filter_name in NEEDS_SCORER and resources.scorer is None:
            continue
        try:
            made.append(REGISTRY[filter_name](resources, **options))
        except (TypeError, KeyError) as error:
            raise ConfigError(f"options of the filter {filter_name!r} in {name}: {error}") from error
    return made


def _scorer(resources: Resources) -> Scorer:
    if resources.scorer is None:
        raise ConfigError("the filter 'fluency' needs a language model: --fluency MODEL")
    return resources.scorer
