"""The page of a localization, in the shell of all report pages: where the neurons are, whether languages agree, how sure it is.

Every chart is drawn twice, for light and for dark, and has its numbers beside it as a table.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rml_lama.errors import MissingExtraError
from rml_lama.eval import neuron_charts as charts
from rml_lama.eval import page
from rml_lama.eval.localization import CLASSES, Localization
from rml_lama.eval.page import Column, Section, Tile, code_block, details, html_table, render_page, tiles

__all__ = ["render_neurons", "sections", "write_page"]

_MOST = 20  # neurons in the table of the most agnostic ones


def write_page(found: Localization, path: Path | str) -> Path:
    """Write the page; returns its path. Raises `OutputError` when it cannot be written, `MissingExtraError` without the `report` extra."""
    return page.write_page(render_neurons(found), path)


def render_neurons(found: Localization) -> str:
    """The page as text."""
    summary, signature = found.summary, found.signature
    model = (signature.get("model") or "").partition("@")[0]
    return render_page(
        title=f"Knowledge neurons of {model}",
        kicker=f"RML-LAMA {signature.get('v') or ''} · data {signature.get('data') or ''} · method {signature.get('loc') or ''}",
        lead=f"Neurons were found for {summary['localized']} of {summary['facts']} facts, from the {summary['known_share']:.0%} of "
        f"{summary['queries']:,} queries that the model knows; {summary['certified_share']:.1%} of them add up and are certified.",
        sections=sections(found),
        footer=[
            "A neuron is an input of an FFN's output projection; its attributions are integrated gradients that are checked to add up. "
            "Formulas: docs/matrice.md."
        ],
    )


def sections(found: Localization) -> list[Section]:
    """The parts of the page. What a run has no numbers for says so."""
    summary = found.summary
    overlaps = [row for row in summary["agreement"] if row["overlap"] is not None]
    return [
        Section("short", "In short", "", _head(found)),
        _drawn(found, "layers", "Where the neurons are", charts.layer_chart, summary["layers"]),
        _drawn(found, "agreement", "Do languages agree?", charts.agreement_chart, overlaps),
        _drawn(found, "transfer", "What transfers", charts.transfer_chart, summary["transfer"]),
        _drawn(found, "calibration", "Is the uncertainty right?", charts.calibration_chart, summary["calibration"]),
        _drawn(found, "reliability", "How many languages and phrasings are needed", charts.reliability_chart, summary["reliability"]),
        _drawn(found, "facts", "Facts", charts.uncertainty_chart, _facts(found)),
        Section("agnostic", "The most agnostic neurons", "By how many facts they serve.", _table(_neurons(found), "Agnostic neurons")),
        Section(
            "signature",
            "Signature",
            "Every option that changes the numbers. Neurons of different signatures do not belong in one column.",
            code_block("signature-text", str(found.signature)),
        ),
    ]


_NOTES = {
    "layers": "Reported neurons of all facts, by layer and class.",
    "agreement": "Share of a fact's neurons that two languages have in common, less the share between unrelated facts (the null).",
    "transfer": "Neurons found in the source language are suppressed; change of log P of the answer in the target language, in nats, "
    "less that of as many random neurons of the same layers and activation sizes. Below zero: the fact suffers.",
    "calibration": "Neurons by their inclusion probability, and how often they are found again from one phrasing of each language alone.",
    "reliability": "Reliability of an average, from the variance components.",
    "facts": "Localizability: overlap of the neurons found from two halves of the phrasings, corrected for chance.",
}


def _head(found: Localization) -> str:
    summary = found.summary
    total = max(1, sum(summary["classes"].values()))
    sure = "not estimable" if summary["localizability"] is None else f"{summary['localizability']:.2f}"
    return tiles(
        [
            Tile("Facts localized", f"{summary['localized']} of {summary['facts']}", main=True),
            Tile("Queries certified", f"{summary['certified_share']:.1%}", f"of {summary['queries']:,}"),
            Tile("Known to the model", f"{summary['known_share']:.1%}", "of queries"),
            Tile("Mean localizability", sure),
            *(Tile(f"{name} neurons".capitalize(), f"{summary['classes'].get(name, 0) / total:.0%}") for name in CLASSES),
        ]
    )


def _drawn(found: Localization, anchor: str, title: str, make: Callable[[Localization], Any], rows: Sequence[dict[str, Any]]) -> Section:
    note = _NOTES[anchor]
    if not rows:
        return Section(anchor, title, note, "<p><em>This run has no numbers for it.</em></p>")
    chart = make(found)
    label = html.escape(f"{title}: {note}", quote=True)
    pictures = "".join(
        f'<div class="only-{theme} vega" role="img" aria-label="{label}">{_svg(chart, theme)}</div>' for theme in ("light", "dark")
    )
    return Section(anchor, title, note, f"<figure>{pictures}</figure>{details('Numbers', _table(rows, title))}")


def _svg(chart: Any, theme: str) -> str:
    try:
        import vl_convert
    except ImportError as error:
        raise MissingExtraError("vl-convert-python", "report") from error
    ink = "#1b1e23" if theme == "light" else "#e7e9ec"
    axis = {"labelColor": ink, "titleColor": ink, "domainColor": ink, "tickColor": ink, "gridColor": "#8884"}
    config = {"axis": axis, "legend": {"labelColor": ink, "titleColor": ink}, "background": "transparent", "view": {"stroke": None}}
    svg: str = vl_convert.vegalite_to_svg({**chart.to_dict(), "config": config})
    return svg


def _table(rows: Sequence[dict[str, Any]], caption: str) -> str:
    if not rows:
        return "<p><em>None.</em></p>"
    names = tuple(rows[0])
    numbers = {name for name in names if all(row[name] is None or isinstance(row[name], int | float) for row in rows)}
    columns = [
        Column(html.escape(name.replace("_", " ").capitalize()), number=name in numbers, wrap=name in ("serves", "words")) for name in names
    ]
    cells = ([html.escape(_text(row[name])) for name in names] for row in rows)
    return html_table(columns, cells, caption=caption)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _facts(found: Localization) -> list[dict[str, Any]]:
    names = ("relation", "subject", "answer", "status", "queries", "certified", "known", "localizability")
    return [{**{name: row[name] for name in names}, "languages": " ".join(row["kept_languages"])} for row in found.facts.to_pylist()]


def _neurons(found: Localization) -> list[dict[str, Any]]:
    """Agnostic neurons by how many facts they serve, then by their mean inclusion probability."""
    subjects = {row["fact_id"]: f"{row['subject']} → {row['answer']}" for row in found.facts.to_pylist()}
    groups: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in found.neurons.to_pylist():
        if row["class"] == "agnostic":
            groups.setdefault((row["layer"], row["index"]), []).append(row)
    rows = [
        {
            "layer": layer,
            "index": index,
            "facts": len(group),
            "inclusion": sum(row["inclusion"] for row in group) / len(group),
            "support": sum(row["support"] for row in group) / len(group),
            "serves": "; ".join(subjects[row["fact_id"]] for row in group[:4]),
            "words": ", ".join(next((row["words"] for row in group if row["words"]), [])),
        }
        for (layer, index), group in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row["facts"], -row["inclusion"], row["layer"], row["index"]))[:_MOST]
