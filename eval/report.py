"""A run as one page: headline, languages, agreement, phrasings, calibration, relations, examples, signature."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rml_lama.eval import page_charts as charts
from rml_lama.eval.examples import example_lists
from rml_lama.eval.page import Column, Section, Tile, code_block, details, html_table, render_page, tiles, write_page
from rml_lama.eval.report_spread import agreement_section, phrasing_section, trust_section
from rml_lama.eval.tables import language_name, relation_name, table_rows
from rml_lama.hub.folder import read_manifest
from rml_lama.languages import LANGUAGES

if TYPE_CHECKING:
    from rml_lama.eval.bootstrap import Estimate
    from rml_lama.eval.results import Result
    from rml_lama.eval.sums import Scores

__all__ = ["render_report", "write_report"]

_ENDS = 5  # best and worst relations that are shown at once


def write_report(result: Result, path: Path | str, *, data: Path | None = None) -> Path:
    """Write the page of a result; returns its path.

    With the build folder `data` the examples are whole sentences. Raises `OutputError` when it cannot be written,
    `DataError` when `data` is no build folder or not the one that was scored.
    """
    return write_page(render_report(result, data=data), path)


def render_report(result: Result, *, data: Path | None = None) -> str:
    """The page as text."""
    rows = [_languages(result), _families(result)]
    if result.agreement is not None:
        rows.append(agreement_section(result))
    rows += [phrasing_section(result), trust_section(result), _relations(result), _strata(result)]
    rows += [Section("examples", "Right and wrong", "", example_lists(result, data)), _signature(result)]
    return render_page(
        title=f"What {result.model} knows",
        kicker=f"RML-LAMA {result.signature.get('v') or ''} · data {result.signature.get('data') or ''}",
        lead=_lead(result),
        sections=[_headline(result), *rows],
        footer=_footer(data),
    )


def _lead(result: Result) -> str:
    """The result in words."""
    best, worst = (pick(result.languages, key=lambda code: result.languages[code]["P@1"].value) for pick in (max, min))
    text = f"{result.model} ranks the right answer first in {_words(result.overall['P@1'])}"
    if len(result.languages) == 1:
        return f"{text}, in {LANGUAGES[best].name}."
    shares = [f"{charts.percent(result.languages[code]['P@1'].value)}%" for code in (best, worst)]
    return (
        f"{text}, mean of {len(result.languages)} languages: "
        f"from {shares[0]} in {LANGUAGES[best].name} to {shares[1]} in {LANGUAGES[worst].name}."
    )


def _words(estimate: Estimate) -> str:
    return f"{charts.percent(estimate.value)}% of queries (95% interval {charts.percent(estimate.low)} to {charts.percent(estimate.high)})"


def _headline(result: Result) -> Section:
    phrasing = result.phrasing.overall
    numbers = [
        Tile("P@1, mean of languages", f"{charts.percent(result.overall['P@1'].value)}%", _below(result.overall["P@1"]), main=True),
        Tile("P@1, mean of families", f"{charts.percent(result.sums.balanced['P@1'].value)}%", _below(result.sums.balanced["P@1"])),
        Tile("P@5", f"{charts.percent(result.overall['P@5'].value)}%", _below(result.overall["P@5"])),
        Tile("MRR", f"{result.overall['MRR'].value:.3f}", f"{result.overall['MRR'].low:.3f} to {result.overall['MRR'].high:.3f}"),
        Tile("Right under every phrasing", f"{charts.percent(phrasing['all right'].value)}%", _below(phrasing["all right"])),
    ]
    if result.agreement is not None:
        agreement = result.agreement.overall["RankC"]
        numbers.append(Tile("Languages agree (RankC)", f"{charts.percent(agreement.value)}%", _below(agreement)))
    note = (
        f"{sum(result.queries.values()):,} queries: {result.overall['P@1'].facts:,} facts of {len(result.relations)} relations in "
        f"{len(result.languages)} languages, {len(result.phrasing.templates):,} phrasings. Chance is {charts.percent(_chance(result))}%. "
        "Intervals are 95%, clustered by fact."
    )
    return Section("headline", "In short", note, tiles(numbers))


def _below(estimate: Estimate) -> str:
    return f"{charts.percent(estimate.low)} to {charts.percent(estimate.high)}"


def _chance(result: Result) -> float:
    """P@1 of a blind guess: 1/candidates, with the means of the scores."""
    columns = {name: result.predictions[name].to_numpy(zero_copy_only=False) for name in ("language", "relation", "candidates")}
    cells: dict[str, dict[str, list[float]]] = {}
    for code, relation, count in zip(*columns.values(), strict=True):
        cells.setdefault(code, {}).setdefault(relation, []).append(1 / count)
    return float(np.mean([np.mean([np.mean(values) for values in relations.values()]) for relations in cells.values()]))


def _languages(result: Result) -> Section:
    codes = sorted(result.languages, key=lambda code: -result.languages[code]["P@1"].value)
    end = charts.axis_end([scores["P@1"].high for scores in result.languages.values()])
    chance = _chance(result)
    columns = [
        Column("Language", wrap=False),
        Column("Family", wide=True),
        Column(f"P@1 {charts.axis(end)}", plot=True),
        Column("P@1 %", number=True),
        Column("95% interval", number=True, wide=True),
        Column("P@5 %", number=True),
        Column("MRR", number=True, wide=True),
    ]
    rows = [_score_row(language_name(code), LANGUAGES[code].family, result.languages[code], end, chance) for code in codes]
    means = [("Mean of languages", result.overall)]
    if len(result.sums.families) > 1:
        means.append(("Mean of families", result.sums.balanced))
    rows += [_score_row(name, "", scores, end, chance) for name, scores in means]
    note = "Best first. Each number is the mean over relations of the mean over queries. The dotted rule is chance."
    return Section("languages", "Languages", note, html_table(columns, rows, caption="Scores by language", means=len(means)))


def _score_row(name: str, family: str, scores: Scores, end: float, chance: float) -> list[str]:
    one = scores["P@1"]
    return [
        name,
        family,
        charts.interval(one, end=end, reference=chance if chance <= end else math.nan),
        charts.percent(one.value),
        f'<span class="range">{_below(one)}</span>',
        charts.percent(scores["P@5"].value),
        f"{scores['MRR'].value:.3f}",
    ]


def _families(result: Result) -> Section:
    blocks = []
    for by, title in (("family", "Language family"), ("script", "Script")):
        lines = sorted(table_rows(result, by), key=lambda line: -line[1]["P@1"].value)
        end = charts.axis_end([scores["P@1"].high for _, scores in lines])
        columns = [Column(title), Column(f"P@1 {charts.axis(end)}", plot=True), Column("P@1 %", number=True)]
        rows = [[name, charts.interval(scores["P@1"], end=end), charts.percent(scores["P@1"].value)] for name, scores in lines]
        blocks.append(html_table(columns, rows, caption=f"P@1 by {by}"))
    return Section("families", "Families and scripts", "Means of their languages.", f'<div class="pair">{"".join(blocks)}</div>')


def _relations(result: Result) -> Section:
    ordered = sorted(result.relations, key=lambda relation: -result.relations[relation]["P@1"].value)
    end = charts.axis_end([scores["P@1"].high for scores in result.relations.values()])
    columns = [
        Column("Relation", wrap=True),
        Column(f"P@1 {charts.axis(end)}", plot=True),
        Column("P@1 %", number=True),
        Column("Facts", number=True),
    ]

    def block(relations: list[str], caption: str) -> str:
        rows = []
        for relation in relations:
            one = result.relations[relation]["P@1"]
            rows.append([relation_name(relation), charts.interval(one, end=end), charts.percent(one.value), f"{one.facts:,}"])
        return html_table(columns, rows, caption=caption)

    if len(ordered) <= 2 * _ENDS:
        return Section("relations", "Relations", "Mean over languages.", block(ordered, "All relations"))
    ends = f'<div class="pair">{block(ordered[:_ENDS], "The best")}{block(ordered[-_ENDS:], "The worst")}</div>'
    note = "Mean over languages. Relations have different numbers of candidates, so that their scores do not compare by themselves."
    return Section("relations", "Relations", note, ends + details(f"All {len(ordered)} relations", block(ordered, "All relations")))


def _strata(result: Result) -> Section:
    end = charts.axis_end([scores["P@1"].high for levels in result.sums.strata.values() for scores in levels.values()])
    columns = [
        Column("Queries", wrap=True),
        Column(f"P@1 {charts.axis(end)}", plot=True),
        Column("P@1 %", number=True),
        Column("Facts", number=True),
    ]
    rows = [
        [
            f"{stratum}: <b>{level}</b>",
            charts.interval(scores["P@1"], end=end),
            charts.percent(scores["P@1"].value),
            f"{scores['P@1'].facts:,}",
        ]
        for stratum, levels in result.sums.strata.items()
        for level, scores in levels.items()
    ]
    note = "The same means over parts of the queries: an answer may be short, written alike in another language, or stand in the question."
    return Section("strata", "What makes it easy", note, html_table(columns, rows, caption="P@1 by stratum"))


def _signature(result: Result) -> Section:
    note = "Every option that changes the numbers. Scores of different signatures do not belong in one column."
    return Section("signature", "Signature", note, code_block("signature-text", str(result.signature)))


def _footer(data: Path | None) -> list[str]:
    lines = [
        "RML-LAMA asks for facts in several phrasings and languages, and ranks all objects of a relation. Formulas: docs/metrics.md. "
        "Scores of models that were trained on the benchmark's sentences are contaminated and say nothing about knowledge."
    ]
    if data is not None:
        lines.append(f"This page quotes benchmark sentences; keep it out of training corpora. Canary: {read_manifest(data)['canary']}")
    return lines
