"""A result as text: by language, relation, family, script or stratum, as Markdown, LaTeX, CSV or JSON; intervals in every cell."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from rml_lama.errors import ConfigError
from rml_lama.eval.bootstrap import Estimate
from rml_lama.eval.sums import METRICS, Scores
from rml_lama.languages import LANGUAGES
from rml_lama.records import RELATIONS, relation_order

if TYPE_CHECKING:
    from rml_lama.eval.results import Result

__all__ = ["FORMATS", "GROUPINGS", "language_name", "relation_name", "render_table", "table_rows"]

Line = tuple[str, Scores]
_SHOWN = ("P@1", "P@5", "MRR")


def language_name(code: str) -> str:
    """The name that a reader sees.

    >>> language_name("ja")
    'Japanese (ja)'
    """
    return f"{LANGUAGES[code].name} ({code})"


def relation_name(relation: str) -> str:
    """The name that a reader sees.

    >>> relation_name("P36")
    'capital (P36)'
    """
    return f"{RELATIONS[relation].name} ({relation})"


def table_rows(result: Result, by: str = "language") -> list[Line]:
    """Names and scores of the lines of a table; the last lines are means. Raises `ConfigError` for another grouping."""
    if by not in _ROWS:
        raise ConfigError(f"no table by {by!r}; use {', '.join(_ROWS)}")
    lines = list(_ROWS[by](result))
    if by == "language":
        lines.append(("mean of languages", result.sums.overall))
        if len(result.sums.families) > 1:
            lines.append(("mean of families", result.sums.balanced))
    return lines


def render_table(result: Result, by: str = "language", *, format: str = "markdown") -> str:
    """The table as text. Raises `ConfigError` for another grouping or format."""
    if format not in FORMATS:
        raise ConfigError(f"no format {format!r}; use {', '.join(FORMATS)}")
    return FORMATS[format](by, table_rows(result, by))


def _by_stratum(result: Result) -> Iterator[Line]:
    for stratum, levels in result.sums.strata.items():
        for level, scores in levels.items():
            yield f"{stratum}: {level}", scores


def _by_relation(result: Result) -> Iterator[Line]:
    for relation in sorted(result.relations, key=relation_order):
        yield relation_name(relation), result.relations[relation]


_ROWS: Mapping[str, Callable[[Result], Iterator[Line]]] = {
    "language": lambda result: ((language_name(code), scores) for code, scores in result.languages.items()),
    "relation": _by_relation,
    "family": lambda result: iter(result.sums.families.items()),
    "script": lambda result: iter(result.sums.scripts.items()),
    "stratum": _by_stratum,
}
GROUPINGS = tuple(_ROWS)


def _markdown(by: str, lines: list[Line]) -> str:
    rows = [f"| {by} | facts | {' | '.join(_SHOWN)} |", "|---|---:|" + "---:|" * len(_SHOWN)]
    rows += [f"| {name} | {scores['P@1'].facts:,} | {' | '.join(str(scores[metric]) for metric in _SHOWN)} |" for name, scores in lines]
    return "\n".join(rows)


def _latex(by: str, lines: list[Line]) -> str:
    rows = ["% needs \\usepackage{booktabs}", "\\begin{tabular}{lr" + "l" * len(_SHOWN) + "}", "\\toprule"]
    rows += [f"{by.capitalize()} & Facts & {' & '.join(_SHOWN)} \\\\", "\\midrule"]
    for name, scores in lines:
        cells = " & ".join(_latex_cell(scores[metric]) for metric in _SHOWN)
        rows.append(f"{_escaped(name)} & {scores['P@1'].facts} & {cells} \\\\")
    return "\n".join([*rows, "\\bottomrule", "\\end{tabular}"])


def _latex_cell(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "--"
    return f"{100 * estimate.value:.1f} {{\\small [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]}}"


def _escaped(text: str) -> str:
    """
    >>> _escaped("R&D_1")
    'R\\\\&D\\\\_1'
    """
    return "".join("\\" + letter if letter in "&%$#_{}" else letter for letter in text)


def _csv(by: str, lines: list[Line]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([by, "facts", *(f"{metric} {part}".strip() for metric in METRICS for part in ("", "low", "high"))])
    for name, scores in lines:
        numbers = (number for metric in METRICS for number in (scores[metric].value, scores[metric].low, scores[metric].high))
        writer.writerow([name, scores["P@1"].facts, *("" if math.isnan(number) else repr(number) for number in numbers)])
    return stream.getvalue().rstrip("\n")


def _json(by: str, lines: list[Line]) -> str:
    def clean(estimate: Estimate) -> dict[str, float | None]:
        return {key: None if math.isnan(value) else value for key, value in asdict(estimate).items()}

    rows = [{by: name, **{metric: clean(scores[metric]) for metric in METRICS}} for name, scores in lines]
    return json.dumps(rows, indent=1, ensure_ascii=False)


FORMATS: Mapping[str, Callable[[str, list[Line]], str]] = {"markdown": _markdown, "latex": _latex, "csv": _csv, "json": _json}
