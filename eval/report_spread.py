"""The parts of a report that say how far its numbers carry: agreement of languages, phrasings, calibration and abstention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rml_lama.eval import page_charts as charts
from rml_lama.eval.page import Column, Section, Tile, html_table, switched, tiles
from rml_lama.eval.tables import language_name
from rml_lama.languages import LANGUAGES

if TYPE_CHECKING:
    from rml_lama.eval.bootstrap import Estimate
    from rml_lama.eval.results import Result
    from rml_lama.eval.sums import Scores

__all__ = ["agreement_section", "phrasing_section", "trust_section"]

_MEASURES = {
    "RankC": "RankC, softmax weights",
    "RankC linear": "RankC, linear weights",
    "Jaccard": "Jaccard of right facts",
    "same answer": "Same answer",
}
_ABSTENTION = {
    "AURC": "confidence",
    "AURC entropy": "entropy",
    "AURC uncertainty": "uncertainty over phrasings",
    "AURC disagreement": "disagreement of phrasings",
}


def agreement_section(result: Result) -> Section:
    """How alike languages rank and know facts, as heat maps of several measures."""
    agreement = result.agreement
    assert agreement is not None
    titles = [LANGUAGES[code].name for code in agreement.languages]
    panels = []
    for name, shown in _MEASURES.items():
        mean = agreement.overall[name]
        caption = (
            f"{shown}, percent. Mean of pairs: {charts.percent(mean.value)} ({charts.percent(mean.low)} to {charts.percent(mean.high)})"
        )
        panels.append((shown, charts.heat_map(agreement.languages, titles, agreement.matrices[name], caption=caption)))
    split = agreement.overall
    note = (
        "Do two languages rank the candidates of the same fact alike, and know the same facts? "
        f"Of {split['uncertainty'].value:.2f} nats of uncertainty about the answer to a fact, {split['disagreement'].value:.2f} come from "
        f"languages that disagree, {split['unsure'].value:.2f} from being unsure in each."
    )
    return Section("agreement", "Do languages agree?", note, switched("measure", "Measure:", panels))


def phrasing_section(result: Result) -> Section:
    """What the phrasing changes in each language."""
    codes = sorted(result.languages, key=lambda code: -result.languages[code]["P@1"].value)
    shown = [(language_name(code), result.phrasing.languages[code], result.languages[code]) for code in codes]
    shown.append(("Mean of languages", result.phrasing.overall, result.overall))
    end = charts.axis_end([scores["best phrasing"].value for _, scores, _ in shown])
    most = max(scores["uncertainty"].value for _, scores, _ in shown)
    columns = [
        Column("Language"),
        Column(f"Worst to best phrasing, P@1 {charts.axis(end)}", plot=True),
        Column("Consistency %", number=True),
        Column("Always right %", number=True, wide=True),
        Column("Ever right %", number=True, wide=True),
        Column("Uncertainty", plot=True, wide=True),
    ]
    rows = [list(_phrasing_cells(name, scores, means, end, most)) for name, scores, means in shown]
    note = (
        "The bar runs from the phrasings that score worst to those that score best, chosen for each relation; the dot is the mean. "
        "Consistency: pairs of phrasings with the same top candidate."
    )
    keys = (
        '<p class="note wide">Uncertainty, in nats: <span class="key a"></span>phrasings disagree '
        '<span class="key b"></span>the model is unsure under each</p>'
    )
    table = html_table(columns, rows, caption="What the phrasing changes", means=1)
    return Section("phrasings", "Does the phrasing matter?", note, keys + table)


def _phrasing_cells(name: str, scores: Scores, means: Scores, end: float, most: float) -> Iterator[str]:
    worst, best, mean = scores["worst phrasing"].value, scores["best phrasing"].value, means["P@1"].value
    yield name
    yield charts.span(
        worst, mean, best, end=end, label=f"worst {charts.percent(worst)}%, mean {charts.percent(mean)}%, best {charts.percent(best)}%"
    )
    yield charts.percent(scores["consistency"].value)
    yield charts.percent(scores["all right"].value)
    yield charts.percent(scores["any right"].value)
    disagree, unsure = scores["disagreement"].value, scores["unsure"].value
    yield charts.stacked(disagree, unsure, end=most, label=f"phrasings disagree {disagree:.2f}, unsure {unsure:.2f} nats")


def trust_section(result: Result) -> Section:
    """Calibration and abstention."""
    trust = result.trust
    curves = {f"{text} ({trust.overall[name].value:.3f})": trust.curves[name] for name, text in _ABSTENTION.items()}
    risk = charts.curve_chart(curves, label="Share of wrong answers against share of queries answered", x="queries answered", y="wrong")
    figures = [
        ("Calibration: the share of the top candidate against how often it is right", charts.reliability_chart(trust.bins)),
        ("Abstention: wrong answers among those given, by what says when to abstain (area)", risk),
    ]
    drawn = "".join(f"<figure>{chart}<figcaption>{caption}</figcaption></figure>" for caption, chart in figures)
    numbers = tiles(
        [
            Tile("ECE, 15 equal bins", f"{trust.overall['ECE'].value:.3f}", _small(trust.overall["ECE"])),
            Tile("Brier score", f"{result.overall['Brier'].value:.3f}", _small(result.overall["Brier"])),
            Tile("Risk-coverage area", f"{trust.overall['AURC'].value:.3f}", _small(trust.overall["AURC"])),
        ]
    )
    note = (
        "Of the candidates' common probability, the share of the top one is the model's confidence. "
        "On the dashed line it is right as often as it is sure."
    )
    return Section("trust", "Can its confidence be trusted?", note, f'{numbers}<div class="pair">{drawn}</div>')


def _small(estimate: Estimate) -> str:
    return f"{estimate.low:.3f} to {estimate.high:.3f}"
