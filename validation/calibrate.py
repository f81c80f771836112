"""Fit the judge to what people approved and rejected, and say honestly how good it is: leave one language out, twice.

Everything that is fitted (means, scales, penalty, relation offsets, weights) sees the training languages only. The penalty is
chosen by leaving out each of *those* in turn (nested), so that the reported AUC is that of a language that nobody labelled.
The labels file itself is not kept: the judge holds coefficients and the file's SHA-256.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rml_lama.errors import DataError, OutputError
from rml_lama.records import Template
from rml_lama.validation.judge import RELATION
from rml_lama.validation.logistic import Fit, auc, fit_logistic
from rml_lama.validation.rows import as_template
from rml_lama.validation.runner import Judged

__all__ = ["VARIANTS", "Calibration", "Labelled", "calibrate", "leave_one_language_out", "read_labels", "relation_offsets", "write_judge"]

# Richest first. A variant is fitted when its filters have run on the labels; each feature is the score of a filter.
VARIANTS: dict[str, tuple[str, ...]] = {
    "full with a language model and agreement": ("wording", "reference", "paraphrase", "fluency", "agreement", RELATION),
    "full with a language model": ("wording", "reference", "paraphrase", "fluency", RELATION),
    "full with agreement": ("wording", "reference", "paraphrase", "agreement", RELATION),
    "full": ("wording", "reference", "paraphrase", RELATION),
    "light with agreement": ("wording", "reference", "agreement", RELATION),
    "light": ("wording", "reference", RELATION),
    "agreement alone": ("agreement", RELATION),
    "relation alone": (RELATION,),
}
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
PRIOR_ROWS = 4.0  # a relation's offset is shrunk as if it had so many more rows of an average one
COLUMNS = ("lang", "relation", "pattern", "label")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A phrasing and whether people approved of it."""

    template: Template
    approved: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted variant, and the AUC of each language by a model that did not see it."""

    name: str
    features: tuple[str, ...]
    fit: Fit
    penalty: float
    by_language: Mapping[str, float]

    @property
    def mean(self) -> float:
        """The mean over languages."""
        return float(np.mean(list(self.by_language.values())))


def read_labels(file: Path) -> tuple[list[Labelled], str]:
    """Approved and rejected phrasings of a table with the columns lang, relation, pattern, label; and the file's SHA-256.

    Other labels are passed over. Raises `DataError` for a file without these columns or with no row of either kind.
    """
    try:
        content = file.read_bytes()
        rows = csv.DictReader(content.decode("utf-8").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    except OSError as error:
        raise DataError(f"cannot read the labels: {error.strerror}", file) from error
    except UnicodeDecodeError as error:
        raise DataError("not a table in UTF-8", file) from error
    if missing := [name for name in COLUMNS if name not in (rows.fieldnames or [])]:
        raise DataError(f"the column {missing[0]!r} is missing", file, 1)
    labelled = [
        Labelled(
            as_template({"language": row["lang"], "relation": row["relation"], "template": row["pattern"]}), row["label"] == "approved"
        )
        for row in rows
        if row["label"] in ("approved", "rejected")
    ]
    languages = {one.template.language for one in labelled}
    if len({one.approved for one in labelled}) < 2 or len(languages) < 3:
        raise DataError("needs approved and rejected phrasings in at least three languages", file)
    return labelled, hashlib.sha256(content).hexdigest()


def calibrate(labelled: Sequence[Labelled], judged: Sequence[Judged]) -> list[Calibration]:
    """Fit every variant whose filters have run; `judged` are the verdicts on the labelled phrasings, in their order."""
    names = [verdict.filter for verdict in judged[0].verdicts]
    ran = {name for place, name in enumerate(names) if np.isfinite([one.verdicts[place].score for one in judged]).any()}
    found = []
    for variant, features in VARIANTS.items():
        if set(features) - {RELATION} <= ran:
            scores = _scores(judged, [name for name in features if name != RELATION])
            found.append(_calibrate(variant, features, scores, labelled))
    return found


def _scores(judged: Sequence[Judged], names: Sequence[str]) -> np.ndarray:
    """Scores of the named filters, (phrasings, filters)."""
    rows = [{verdict.filter: verdict.score for verdict in one.verdicts} for one in judged]
    return np.array([[row[name] for name in names] for row in rows], dtype=float).reshape(len(rows), len(names))


def _calibrate(name: str, features: tuple[str, ...], scores: np.ndarray, labelled: Sequence[Labelled]) -> Calibration:
    approved = np.array([one.approved for one in labelled], dtype=int)
    languages = np.array([one.template.language for one in labelled])
    relations = np.array([one.template.relation for one in labelled])
    by_language = leave_one_language_out(scores, approved, languages, relations)
    penalty = _best_penalty(scores, approved, languages, relations)
    fit = fit_logistic(_with_offsets(scores, approved, languages, relations, ()), approved, list(languages), penalty)
    return Calibration(name, features, fit, penalty, by_language)


def leave_one_language_out(scores: np.ndarray, approved: np.ndarray, languages: np.ndarray, relations: np.ndarray) -> dict[str, float]:
    """AUC of each language under a model fitted, penalty included, to the others."""
    found = {}
    for code in sorted(set(languages)):
        train = languages != code
        penalty = _best_penalty(scores[train], approved[train], languages[train], relations[train])
        found[str(code)] = _held_out(scores, approved, languages, relations, str(code), penalty)
    return found


def _best_penalty(scores: np.ndarray, approved: np.ndarray, languages: np.ndarray, relations: np.ndarray) -> float:
    def mean_auc(penalty: float) -> float:
        return float(np.mean([_held_out(scores, approved, languages, relations, str(code), penalty) for code in sorted(set(languages))]))

    return max(PENALTIES, key=mean_auc)


def _held_out(scores: np.ndarray, approved: np.ndarray, languages: np.ndarray, relations: np.ndarray, code: str, penalty: float) -> float:
    """The AUC of one language under a model that has not seen it."""
    train = languages != code
    features = _with_offsets(scores, approved, languages, relations, (code,))
    fit = fit_logistic(features[train], approved[train], list(languages[train]), penalty)
    return auc(fit.logits(features[~train]), approved[~train])


def _with_offsets(
    scores: np.ndarray, approved: np.ndarray, languages: np.ndarray, relations: np.ndarray, held_out: Iterable[str]
) -> np.ndarray:
    """The scores and the relation's offset, which for each row comes from the languages that are neither its own nor held out."""
    offsets = np.zeros(len(approved))
    for code in set(languages):
        seen = (languages != code) & ~np.isin(languages, list(held_out))
        table = relation_offsets(approved[seen], languages[seen], relations[seen])
        own = languages == code
        offsets[own] = [table.get(relation, 0.0) for relation in relations[own]]
    return np.column_stack([scores, offsets])


def relation_offsets(approved: np.ndarray, languages: np.ndarray, relations: np.ndarray) -> dict[str, float]:
    """How much more often than elsewhere in the same language a relation's phrasings are approved of, shrunk towards 0.

    >>> relation_offsets(np.array([1, 1, 0, 0]), np.array(["de"] * 4), np.array(["P36", "P36", "P19", "P19"]))["P36"]
    0.1667
    """
    rate = {code: approved[languages == code].mean() for code in set(languages)}
    rest = approved - np.array([rate[code] for code in languages])
    return {
        str(relation): round(float(rest[relations == relation].sum() / ((relations == relation).sum() + PRIOR_ROWS)), 4)
        for relation in sorted(set(relations))
    }


def write_judge(path: Path, found: Sequence[Calibration], labelled: Sequence[Labelled], sha256: str) -> None:
    """Write the judge as TOML: coefficients, AUCs, and the hash of the labels; no phrasing. Raises `OutputError`."""
    approved = np.array([one.approved for one in labelled], dtype=int)
    languages = np.array([one.template.language for one in labelled])
    relations = np.array([one.template.relation for one in labelled])
    offsets = relation_offsets(approved, languages, relations)
    lines = [
        "# Fitted by `rml-lama validate --calibrate LABELS.tsv`; how, and what it can do: docs/validation.md.",
        "# auc: leave one language out, the penalty chosen within the other languages.",
        "[data]",
        f'sha256 = "{sha256}"',
        f"phrasings = {len(labelled)}",
        f"languages = {[str(code) for code in sorted(set(languages))]}".replace("'", '"'),
        *(line for one in found for line in _variant_lines(one)),
        "\n# How much more often than elsewhere in the same language people approve of a relation's phrasings.",
        "[relations]",
        *(f"{relation} = {value}" for relation, value in sorted(offsets.items(), key=lambda item: int(item[0][1:]))),
    ]
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write the judge to {path}: {error.strerror}") from error


def _variant_lines(one: Calibration) -> list[str]:
    def numbers(values: np.ndarray) -> str:
        return f"[{', '.join(f'{value:.6g}' for value in values)}]"

    return [
        "\n[[variant]]",
        f'name = "{one.name}"',
        f"features = {list(one.features)}".replace("'", '"'),
        f"means = {numbers(one.fit.means)}",
        f"scales = {numbers(one.fit.scales)}",
        f"weights = {numbers(one.fit.weights)}",
        f"intercept = {one.fit.intercept:.6g}",
        f"penalty = {one.penalty:g}",
        f"auc = {one.mean:.3f}",
        f"auc_by_language = {{ {', '.join(f'{code} = {value:.3f}' for code, value in one.by_language.items())} }}",
    ]
