"""A result: what a run found, with intervals and signature, as a folder that can be verified.

result.json           the numbers (schema 2)
predictions.parquet   a row a query: place of the gold answer, scores, best candidates
scores.parquet        a row a query: the score of every candidate, by object id
SHA256SUMS            of these
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from rml_lama.builders.archive import file_sha256
from rml_lama.errors import DataError, OutputError
from rml_lama.eval.bootstrap import Estimate, FactBootstrap
from rml_lama.eval.formulas import FORMULAS
from rml_lama.eval.frame import PREDICTIONS, SCORES, Frame
from rml_lama.eval.spread import Agreement, Phrasing, language_agreement, phrasing_spread
from rml_lama.eval.sums import Scores, Sums, score_groups
from rml_lama.eval.trust import Trust, trust
from rml_lama.signature import Signature

if TYPE_CHECKING:
    from rml_lama.eval.comparison import Comparison

__all__ = ["Result", "summarize"]

SCHEMA = 2
_FILES = ("predictions.parquet", "result.json", "scores.parquet")


@dataclass(frozen=True, slots=True)
class Result:
    """Scores of one model, each with its 95% interval.

    `sums` holds the means over everything and by language, relation, family, script and stratum; `phrasing`, `agreement`
    (None with a single language) and `trust` what its queries say together. `predictions` and `scores` are the tables
    that all of it is made from.
    """

    signature: Signature
    sums: Sums
    phrasing: Phrasing
    agreement: Agreement | None
    trust: Trust
    queries: Mapping[str, int]
    predictions: pa.Table
    scores: pa.Table

    @property
    def overall(self) -> Scores:
        """The mean of languages, by metric."""
        return self.sums.overall

    @property
    def languages(self) -> Mapping[str, Scores]:
        """By language and metric."""
        return self.sums.languages

    @property
    def relations(self) -> Mapping[str, Scores]:
        """By relation and metric."""
        return self.sums.relations

    @property
    def model(self) -> str:
        """The model's name, without its revision."""
        return (self.signature.get("model") or "").partition("@")[0]

    def table(self, by: str = "language", *, format: str = "markdown") -> str:
        """The scores as text: by language, relation, family, script or stratum; markdown, latex, csv or json.

        Raises `ConfigError` for another word.
        """
        from rml_lama.eval.tables import render_table

        return render_table(self, by, format=format)

    def plot(self, kind: str = "languages", *, metric: str = "P@1") -> Any:
        """An altair chart (languages, agreement, phrasings, calibration or risk), which `save_chart` writes to a file."""
        from rml_lama.eval.plots import chart

        return chart(self, kind, metric=metric)

    def compare(self, other: Result, *, ignore: tuple[str, ...] = ()) -> Comparison:
        """Is this model better than the other one? See `rml_lama.eval.comparison.compare`."""
        from rml_lama.eval.comparison import compare

        return compare(self, other, ignore=ignore)

    def save(self, folder: Path | str) -> None:
        """Write the result folder. Raises `OutputError` when it cannot be written."""
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(self.predictions, folder / "predictions.parquet", compression="zstd")
            pq.write_table(self.scores, folder / "scores.parquet", compression="zstd")
            text = json.dumps(self.numbers(), indent=1, ensure_ascii=False, allow_nan=False)
            (folder / "result.json").write_text(text + "\n", encoding="utf-8")
            sums = [f"{file_sha256(folder / name)}  {name}\n" for name in _FILES]
            (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write the result to {folder}: {error.strerror or error}") from error

    @classmethod
    def load(cls, folder: Path | str) -> Result:
        """Read a result folder. Raises `DataError` when a file is missing, damaged or of another schema."""
        folder = Path(folder)
        try:
            found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            if found.get("schema") != SCHEMA:
                raise DataError(f"schema {found.get('schema')!r}; this version reads {SCHEMA}", folder / "result.json")
            lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
            for expected, _, name in (line.partition("  ") for line in lines):
                if file_sha256(folder / name) != expected:
                    raise DataError("the file is not the one that SHA256SUMS names", folder / name)
            predictions, scores = (pq.read_table(folder / name, schema=schema) for name, schema in _TABLES.items())
        except OSError as error:
            raise DataError(f"not a result folder: {error.strerror or error}", folder) from error
        except (ValueError, pa.ArrowException) as error:
            raise DataError(f"damaged: {error}", folder) from error
        agreement = found["agreement"] and Agreement(**_decoded(found["agreement"]))
        return cls(
            Signature.parse(found["signature"]),
            Sums(**_decoded(found["sums"])),
            Phrasing(**_decoded(found["phrasing"])),
            agreement,
            Trust(**_decoded(found["trust"])),
            found["queries"],
            predictions,
            scores,
        )

    def numbers(self) -> dict[str, Any]:
        """All of it but the tables, as JSON values; numbers that are not there are null."""
        return {
            "schema": SCHEMA,
            "signature": str(self.signature),
            "formulas": {name: formula.id for name, formula in FORMULAS.items()},
            "queries": dict(self.queries),
            **{name: _encoded(getattr(self, name)) for name in ("sums", "phrasing", "agreement", "trust")},
        }


_TABLES = {"predictions.parquet": PREDICTIONS, "scores.parquet": SCORES}


def summarize(predictions: pa.Table, scores: pa.Table, signature: Signature, *, resamples: int, seed: int) -> Result:
    """All numbers from the two tables; needs nothing else, so that anyone can do it again."""
    frame = Frame(predictions, scores)
    bootstrap = FactBootstrap(frame.relations, resamples=resamples, seed=seed)
    return Result(
        signature,
        score_groups(frame, bootstrap),
        phrasing_spread(frame, bootstrap),
        language_agreement(frame, bootstrap),
        trust(frame, bootstrap),
        {code: int((frame.language == place).sum()) for place, code in enumerate(frame.languages)},
        predictions,
        scores,
    )


def _encoded(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _encoded(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _encoded(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_encoded(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _decoded(value: Any) -> Any:
    """The inverse: what looks like an estimate becomes one, lists become tuples, null a NaN."""
    if isinstance(value, dict):
        if set(value) == {"value", "low", "high", "facts"}:
            value_, low, high = (math.nan if value[name] is None else value[name] for name in ("value", "low", "high"))
            return Estimate(value_, low, high, value["facts"])
        return {key: _decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_decoded(item) for item in value)
    return math.nan if value is None else value
