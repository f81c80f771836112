"""A localization: the neurons of each fact with their uncertainty, as a folder that can be verified.

localization.parquet  a row a fact and neuron: score, interval, inclusion probability, support, class
facts.parquet         a row a fact: queries, certified, known, localizability, variance, and what the report draws (JSON)
localization.json     the sums, with the signature (schema 1)
SHA256SUMS            of the three
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rml_lama.builders.archive import file_sha256
from rml_lama.errors import DataError, OutputError
from rml_lama.signature import Signature

__all__ = ["CLASSES", "FACTS", "NEURONS", "Localization", "classify"]

SCHEMA = 1
CLASSES = ("agnostic", "family-shared", "language-specific", "partial")
_FILES = ("localization.parquet", "facts.parquet", "localization.json")
NEURONS = pa.schema(
    [(name, pa.string()) for name in ("fact_id", "relation")]
    + [(name, pa.int32()) for name in ("place", "layer", "index")]
    + [(name, pa.float64()) for name in ("score", "low", "high", "inclusion", "support", "icc")]
    + [("reproduced", pa.bool_()), ("class", pa.string())]
    + [(name, pa.list_(pa.field("element", pa.string()))) for name in ("languages", "words")]
)
FACTS = pa.schema(
    [(name, pa.string()) for name in ("fact_id", "relation", "subject", "answer", "status")]
    + [(name, pa.int32()) for name in ("queries", "certified", "known", "nodes")]
    + [("kept_languages", pa.list_(pa.field("element", pa.string())))]
    + [(name, pa.float64()) for name in ("residual", "localizability", "neuron_variance", "language_variance", "phrasing_variance")]
    + [("details", pa.string())]
)


@dataclass(frozen=True, slots=True)
class Localization:
    """What was found for each fact, the sums over facts, and the signature."""

    signature: Signature
    summary: Mapping[str, Any]
    neurons: pa.Table
    facts: pa.Table

    def table(self) -> str:
        """The sums as a Markdown table."""
        counts = self.summary["classes"]
        rows = [
            ("facts localized / asked", f"{self.summary['localized']} / {self.summary['facts']}"),
            ("queries certified", f"{self.summary['certified_share']:.1%} of {self.summary['queries']:,}"),
            ("queries that the model knows", f"{self.summary['known_share']:.1%}"),
            ("localizability (split half, chance-corrected)", _number(self.summary["localizability"])),
            *((f"neurons, {name}", f"{counts.get(name, 0):,}") for name in CLASSES),
        ]
        return "\n".join(["| | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows)])

    def save(self, folder: Path) -> None:
        """Write the folder. Raises `OutputError` when it cannot be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(self.neurons, folder / _FILES[0], compression="zstd")
            pq.write_table(self.facts, folder / _FILES[1], compression="zstd")
            content = {"schema": SCHEMA, "signature": str(self.signature), "summary": dict(self.summary)}
            (folder / _FILES[2]).write_text(json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
            sums = "".join(f"{file_sha256(folder / name)}  {name}\n" for name in _FILES)
            (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write the localization to {folder}: {error.strerror or error}") from error

    @classmethod
    def load(cls, folder: Path) -> Localization:
        """Read a folder. Raises `DataError` when a file is missing, damaged or of another schema."""
        try:
            for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
                expected, _, name = line.partition("  ")
                if file_sha256(folder / name) != expected:
                    raise DataError("the file is not the one that SHA256SUMS names", folder / name)
            content = json.loads((folder / _FILES[2]).read_text(encoding="utf-8"))
            if content.get("schema") != SCHEMA:
                raise DataError(f"schema {content.get('schema')!r}; this version reads {SCHEMA}", folder / _FILES[2])
            neurons, facts = (pq.read_table(folder / name) for name in _FILES[:2])
        except OSError as error:
            raise DataError(f"not a localization folder: {error.strerror or error}", folder) from error
        except (ValueError, pa.ArrowException) as error:
            raise DataError(f"damaged: {error}", folder) from error
        return cls(Signature.parse(content["signature"]), content["summary"], neurons, facts)


def classify(supported: Sequence[str], kept: Sequence[str], families: Mapping[str, str], share: float) -> str:
    """The class of a neuron from the languages that support it and those that were kept.

    `agnostic`: supported in at least `share` of the kept languages, and in two families where two were kept.
    `language-specific`: in one only. `family-shared`: in several languages of one family only. `partial`: the rest.

    >>> classify(["de"], ["de", "ja"], {"de": "Indo-European", "ja": "Japonic"}, 0.8)
    'language-specific'
    """
    several = len({families[code] for code in kept}) > 1
    spread = {families[code] for code in supported}
    if len(supported) >= share * len(kept) and len(kept) > 1 and (len(spread) > 1 or not several):
        return "agnostic"
    if len(supported) == 1:
        return "language-specific"
    return "family-shared" if len(spread) == 1 and several else "partial"


def _number(value: float | None) -> str:
    return "not estimable" if value is None else f"{value:.3f}"
