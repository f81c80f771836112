"""The page of a localization: one HTML file without scripts or network, readable on a phone, light and dark.

Every chart is drawn twice, for light and for dark, and has its numbers beside it as a table.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rml_lama.errors import MissingExtraError, OutputError
from rml_lama.eval import neuron_charts as charts
from rml_lama.eval.localization import CLASSES, Localization

__all__ = ["sections", "write_page"]

_MOST = 20  # neurons in the table of the most agnostic ones


def write_page(found: Localization, path: Path) -> None:
    """Write the page. Raises `OutputError` when it cannot be written, `MissingExtraError` without the `report` extra."""
    model = (found.signature.get("model") or "").partition("@")[0]
    body = "".join(f"<section><h2>{html.escape(title)}</h2>{content}</section>" for title, content in sections(found))
    page = _PAGE.format(title=html.escape(f"Knowledge neurons of {model}"), body=body, signature=html.escape(str(found.signature)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def sections(found: Localization) -> list[tuple[str, str]]:
    """Titles and HTML contents, for this page or another shell. What a run has no numbers for says so."""
    summary = found.summary
    return [
        ("In short", _head(found)),
        (
            "Where the neurons are",
            _drawn(charts.layer_chart, found, summary["layers"], "Reported neurons of all facts, by layer and class."),
        ),
        (
            "Do languages agree?",
            _drawn(
                charts.agreement_chart,
                found,
                [row for row in summary["agreement"] if row["overlap"] is not None],
                "Share of a fact's neurons that two languages have in common, less the share between unrelated facts (the null).",
            ),
        ),
        (
            "What transfers",
            _drawn(
                charts.transfer_chart,
                found,
                summary["transfer"],
                "Neurons found in the source language are suppressed; change of log P of the answer in the target language, in nats, "
                "less that of as many random neurons of the same layers and activation sizes. Below zero: the fact suffers.",
            ),
        ),
        (
            "Is the uncertainty right?",
            _drawn(
                charts.calibration_chart,
                found,
                summary["calibration"],
                "Neurons by their inclusion probability, and how often they are found again from one phrasing of each language alone.",
            ),
        ),
        (
            "How many languages and phrasings are needed",
            _drawn(charts.reliability_chart, found, summary["reliability"], "Reliability of an average, from the variance components."),
        ),
        (
            "Facts",
            _drawn(
                charts.uncertainty_chart,
                found,
                _facts(found),
                "Localizability: overlap of the neurons found from two halves of the phrasings, corrected for chance.",
            ),
        ),
        ("The most agnostic neurons", _table(_neurons(found), ("layer", "index", "facts", "inclusion", "support", "serves", "words"))),
    ]


def _head(found: Localization) -> str:
    summary = found.summary
    total = max(1, sum(summary["classes"].values()))
    cards = [
        (f"{summary['localized']} of {summary['facts']}", "facts localized"),
        (f"{summary['certified_share']:.1%}", f"of {summary['queries']:,} queries certified"),
        (f"{summary['known_share']:.1%}", "of queries known to the model"),
        ("not estimable" if summary["localizability"] is None else f"{summary['localizability']:.2f}", "mean localizability"),
        *((f"{summary['classes'].get(name, 0) / total:.0%}", f"{name} neurons") for name in CLASSES),
    ]
    return (
        _STYLE
        + '<div class="cards">'
        + "".join(f"<div><b>{html.escape(a)}</b><span>{html.escape(b)}</span></div>" for a, b in cards)
        + "</div>"
    )


def _drawn(make: Callable[[Localization], Any], found: Localization, rows: Sequence[dict[str, Any]], caption: str) -> str:
    if not rows:
        return f"<p>{html.escape(caption)}</p><p><em>This run has no numbers for it.</em></p>"
    chart = make(found)
    pictures = "".join(
        f'<div class="neurons-{theme}" role="img" aria-label="{html.escape(caption)}">{_svg(chart, theme)}</div>'
        for theme in ("light", "dark")
    )
    numbers = _table(rows, tuple(rows[0]))
    return (
        f"<figure>{pictures}<figcaption>{html.escape(caption)}</figcaption></figure><details><summary>Numbers</summary>{numbers}</details>"
    )


def _svg(chart: Any, theme: str) -> str:
    try:
        import vl_convert
    except ImportError as error:
        raise MissingExtraError("vl-convert-python", "report") from error
    ink = "#1b1f24" if theme == "light" else "#e6e8eb"
    axis = {"labelColor": ink, "titleColor": ink, "domainColor": ink, "tickColor": ink, "gridColor": "#8884"}
    config = {"axis": axis, "legend": {"labelColor": ink, "titleColor": ink}, "background": "transparent", "view": {"stroke": None}}
    svg: str = vl_convert.vegalite_to_svg({**chart.to_dict(), "config": config})
    return svg


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{html.escape(name.replace("_", " "))}</th>' for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(_text(row.get(name)))}</td>" for name in columns) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="table">{table}</div>'


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


# What the sections need of a page, so that they can stand in any shell.
_STYLE = """<style>
.neurons-dark { display: none; }
@media (prefers-color-scheme: dark) { .neurons-light { display: none; } .neurons-dark { display: block; } }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .6rem; }
.cards div { background: #8881; border-radius: .5rem; padding: .7rem; } .cards b { display: block; font-size: 1.3rem; }
.scroll { overflow-x: auto; max-height: 24rem; } .scroll table { border-collapse: collapse; font-size: .85rem; }
.scroll th, .scroll td { border-bottom: 1px solid #8886; padding: .25rem .6rem; text-align: left; }
</style>"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --soft: #f3f4f6; --line: #d0d4da; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e6e8eb; --paper: #14171b; --soft: #1f242a; --line: #3a414a; }} }}
body {{ margin: 0 auto; max-width: 60rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; }}
body {{ background: var(--paper); color: var(--ink); }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.2rem; margin-top: 2.2rem; }}
figure {{ margin: 0; overflow-x: auto; }} figcaption {{ font-size: .9rem; }}
code {{ overflow-wrap: anywhere; background: var(--soft); padding: .4rem; display: block; border-radius: .4rem; }}
svg {{ max-width: 100%; height: auto; }} summary {{ cursor: pointer; padding: .4rem 0; }}
</style></head>
<body><main><h1>{title}</h1>{body}<section><h2>Signature</h2><code>{signature}</code></section></main></body></html>
"""
