"""What a run of the filters leaves behind: `scores.jsonl`, a row for each phrasing with every score, the judge's probability,
the verdict and the reasons; and `rejected.jsonl` in the form of the `rejected` config."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rml_lama.errors import OutputError
from rml_lama.records import Reject
from rml_lama.validation.judge import Judge
from rml_lama.validation.runner import Judged

__all__ = ["REJECTED", "SCORES", "Scored", "score_rows", "write_scores"]

SCORES, REJECTED = "scores.jsonl", "rejected.jsonl"


@dataclass(frozen=True, slots=True)
class Scored:
    """A judged phrasing with the probability that a person would approve of it (NaN without a judge that fits)."""

    judged: Judged
    approve: float

    def row(self) -> dict[str, Any]:
        """The line of `scores.jsonl`; a score of a filter that did not judge is null."""
        template = self.judged.template
        return {
            "language": template.language,
            "relation": template.relation,
            "template": template.text,
            "template_id": template.template_id,
            "verdict": "accepted" if self.judged.passed else "rejected",
            "approve": _number(self.approve),
            "reasons": [f"{verdict.filter}: {verdict.reason}" for verdict in self.judged.failed],
            "scores": {verdict.filter: _number(verdict.score) for verdict in self.judged.verdicts},
            "thresholds": {verdict.filter: verdict.threshold for verdict in self.judged.verdicts},
            "told": {verdict.filter: verdict.reason for verdict in self.judged.verdicts if verdict.reason},
        }


def score_rows(judged: Sequence[Judged], judge: Judge) -> list[Scored]:
    """Add the judge's word to each."""
    return [Scored(one, judge.approve(one.verdicts, one.template.relation)) for one in judged]


def write_scores(folder: Path, scored: Sequence[Scored], rejects: Sequence[Reject]) -> None:
    """Write both files into the folder, which is made. Raises `OutputError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / SCORES, [one.row() for one in scored])
        _write(folder / REJECTED, [asdict(reject) for reject in rejects])
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
