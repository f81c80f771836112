"""A result: what a run found, with intervals and signature, as a folder that can be verified.

result.json           the numbers (schema 1)
predictions.parquet   a row a query: place of the gold answer, log-probabilities, best candidates
SHA256SUMS            of both
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rml_lama.builders.archive import file_sha256
from rml_lama.errors import DataError, OutputError
from rml_lama.eval.bootstrap import Estimate, MacroBootstrap
from rml_lama.eval.metrics import precision_at, reciprocal_rank
from rml_lama.languages import LANGUAGES
from rml_lama.signature import Signature

__all__ = ["PREDICTIONS", "Result", "summarize"]

SCHEMA = 1
PREDICTIONS = pa.schema(
    [(name, pa.string()) for name in ["query_id", "fact_id", "relation", "language", "template_id", "answer"]]
    + [(name, pa.int32()) for name in ["greater", "ties", "candidates", "answer_tokens"]]
    + [(name, pa.float64()) for name in ["rank", "gold_log_probability", "normalized_log_probability", "entropy"]]
    + [("top", pa.list_(pa.field("element", pa.string()))), ("top_scores", pa.list_(pa.field("element", pa.float64())))]
)
_METRICS = ("P@1", "P@5", "MRR")


@dataclass(frozen=True, slots=True)
class Result:
    """Scores of one model: overall, by language and by relation, each metric with its 95% interval."""

    signature: Signature
    overall: Mapping[str, Estimate]
    languages: Mapping[str, Mapping[str, Estimate]]
    relations: Mapping[str, Mapping[str, Estimate]]
    queries: Mapping[str, int]
    predictions: pa.Table

    def table(self) -> str:
        """The scores as a Markdown table, a language a line, with 95% intervals."""
        rows = [f"| language | queries | {' | '.join(_METRICS)} |", "|---|---:|" + "---:|" * len(_METRICS)]
        ordered = [code for code in LANGUAGES if code in self.languages]
        for code in ordered:
            name = f"{LANGUAGES[code].name} ({code})"
            rows.append(_row(name, self.queries[code], self.languages[code]))
        rows.append(_row("**mean of languages**", sum(self.queries.values()), self.overall))
        return "\n".join(rows)

    def save(self, folder: Path) -> None:
        """Write the result folder. Raises `OutputError` when it cannot be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(self.predictions, folder / "predictions.parquet", compression="zstd")
            (folder / "result.json").write_text(json.dumps(self._json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            sums = [f"{file_sha256(folder / name)}  {name}\n" for name in ("predictions.parquet", "result.json")]
            (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write the result to {folder}: {error.strerror or error}") from error

    @classmethod
    def load(cls, folder: Path) -> Result:
        """Read a result folder. Raises `DataError` when a file is missing, damaged or of another schema."""
        try:
            found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
            for expected, _, name in (line.partition("  ") for line in lines):
                if file_sha256(folder / name) != expected:
                    raise DataError("the file is not the one that SHA256SUMS names", folder / name)
            if found.get("schema") != SCHEMA:
                raise DataError(f"schema {found.get('schema')!r}; this version reads {SCHEMA}", folder / "result.json")
            predictions = pq.read_table(folder / "predictions.parquet")
        except OSError as error:
            raise DataError(f"not a result folder: {error.strerror or error}", folder) from error
        except (ValueError, pa.ArrowException) as error:
            raise DataError(f"damaged: {error}", folder) from error
        return cls(
            Signature.parse(found["signature"]),
            _estimates(found["overall"]),
            {code: _estimates(row) for code, row in found["languages"].items()},
            {name: _estimates(row) for name, row in found["relations"].items()},
            found["queries"],
            predictions,
        )

    def _json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "signature": str(self.signature),
            "overall": {name: asdict(value) for name, value in self.overall.items()},
            "queries": dict(self.queries),
            "languages": {code: {name: asdict(value) for name, value in row.items()} for code, row in self.languages.items()},
            "relations": {code: {name: asdict(value) for name, value in row.items()} for code, row in self.relations.items()},
        }


def summarize(predictions: pa.Table, signature: Signature, *, resamples: int, seed: int) -> Result:
    """Metrics with intervals from a predictions table; needs nothing else, so that anyone can do it again."""
    columns = {name: predictions[name].to_numpy(zero_copy_only=False) for name in ("fact_id", "relation", "language", "greater", "ties")}
    bootstrap = MacroBootstrap(columns["fact_id"], columns["relation"], columns["language"], resamples=resamples, seed=seed)
    values = {
        "P@1": precision_at(1, columns["greater"], columns["ties"]),
        "P@5": precision_at(5, columns["greater"], columns["ties"]),
        "MRR": reciprocal_rank(columns["greater"], columns["ties"]),
    }
    by_language = {name: bootstrap.by_language(value) for name, value in values.items()}
    by_relation = {name: bootstrap.by_relation(value) for name, value in values.items()}
    codes = [code for code in LANGUAGES if code in by_language["P@1"]]
    return Result(
        signature,
        {name: bootstrap.overall(value) for name, value in values.items()},
        {code: {name: by_language[name][code] for name in values} for code in codes},
        {relation: {name: by_relation[name][relation] for name in values} for relation in by_relation["P@1"]},
        {code: int((columns["language"] == code).sum()) for code in codes},
        predictions,
    )


def _estimates(row: Mapping[str, Mapping[str, float]]) -> dict[str, Estimate]:
    return {name: Estimate(**value) for name, value in row.items()}


def _row(name: str, queries: int, estimates: Mapping[str, Estimate]) -> str:
    return f"| {name} | {queries:,} | " + " | ".join(str(estimates[metric]) for metric in _METRICS) + " |"
