"""The charts of a localization, as Vega-Lite through altair: plain data in, chart out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rml_lama.errors import MissingExtraError
from rml_lama.eval.localization import CLASSES, Localization
from rml_lama.languages import LANGUAGES

__all__ = ["agreement_chart", "calibration_chart", "layer_chart", "reliability_chart", "transfer_chart", "uncertainty_chart"]

_WIDTH = 460
COLORS = ("#4c78a8", "#f58518", "#e45756", "#9d9da1")  # one a class


def layer_chart(found: Localization) -> Any:
    """How many of the reported neurons lie in each layer, by class."""
    alt = _altair()
    order = {name: place for place, name in enumerate(CLASSES)}
    rows = [{**row, "order": order[row["class"]]} for row in found.summary["layers"]]
    return (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("layer:O", title="Layer", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("count:Q", title="Neurons"),
            color=alt.Color("class:N", title="Class", scale=alt.Scale(domain=list(CLASSES), range=list(COLORS))),
            order=alt.Order("order:Q"),
            tooltip=["layer:O", "class:N", "count:Q"],
        )
        .properties(width=_WIDTH, height=220)
    )


def agreement_chart(found: Localization) -> Any:
    """The share of neurons that two languages have in common, less what unrelated facts have in common."""
    rows = [{**row, "excess": row["overlap"] - (row["null"] or 0.0)} for row in found.summary["agreement"] if row["overlap"] is not None]
    return _heat(rows, "first", "second", "excess", "Shared beyond chance", ".2f")


def transfer_chart(found: Localization) -> Any:
    """Neurons found in one language are suppressed; the change of log P in another, less that of matched random neurons."""
    return _heat(found.summary["transfer"], "source", "target", "effect", "Δ log P (nats)", ".2f", diverging=True)


def calibration_chart(found: Localization) -> Any:
    """How often neurons of like inclusion probability are found again in phrasings held out one a language."""
    alt = _altair()
    rows = [{**row, "middle": (row["low"] + row["high"]) / 2} for row in found.summary["calibration"]]
    scale = alt.Scale(domain=[0, 1])
    line = alt.Chart(alt.InlineData(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}])).mark_line(strokeDash=[4, 4], color="gray")
    points = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_point(filled=True, opacity=1, size=90, color=COLORS[0])
        .encode(
            x=alt.X("middle:Q", title="Inclusion probability", scale=scale),
            y=alt.Y("reproduced:Q", title="Found again", scale=scale),
            tooltip=["low:Q", "high:Q", "reproduced:Q", "neurons:Q"],
        )
    )
    return alt.layer(line.encode(x="x:Q", y="y:Q"), points).properties(width=300, height=260)


def reliability_chart(found: Localization) -> Any:
    """The reliability of an average over so many languages and phrasings, with the mark of 0.8."""
    alt = _altair()
    rows = found.summary["reliability"]
    rule = alt.Chart(alt.InlineData(values=[{"y": 0.8}])).mark_rule(strokeDash=[4, 4], color="gray").encode(y="y:Q")
    lines = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(point=True)
        .encode(
            x=alt.X("languages:Q", title="Languages"),
            y=alt.Y("reliability:Q", title="Reliability", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("phrasings:O", title="Phrasings", scale=alt.Scale(scheme="viridis")),
        )
    )
    return alt.layer(rule, lines).properties(width=_WIDTH, height=240)


def uncertainty_chart(found: Localization) -> Any:
    """Each fact: how far two halves of its phrasings agree, by how many languages were kept."""
    alt = _altair()
    rows = [
        {
            "relation": row["relation"],
            "subject": row["subject"],
            "kept": len(row["kept_languages"]),
            "localizability": row["localizability"],
        }
        for row in found.facts.to_pylist()
        if row["localizability"] is not None
    ]
    return (
        alt.Chart(alt.InlineData(values=rows))
        .mark_point(filled=True, opacity=0.8, size=60)
        .encode(
            x=alt.X("kept:Q", title="Languages in which the model knows the fact", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("localizability:Q", title="Localizability", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("relation:N", title="Relation", scale=alt.Scale(scheme="tableau20")),
            tooltip=["subject:N", "relation:N", "localizability:Q"],
        )
        .properties(width=_WIDTH, height=240)
    )


def _heat(rows: Sequence[dict[str, Any]], x: str, y: str, value: str, title: str, form: str, *, diverging: bool = False) -> Any:
    alt = _altair()
    codes = [code for code in LANGUAGES if code in {row[x] for row in rows} | {row[y] for row in rows}]
    limit = max((abs(row[value]) for row in rows), default=1.0) or 1.0
    scale = alt.Scale(scheme="redblue", domain=[-limit, limit]) if diverging else alt.Scale(scheme="blues", domain=[0, limit])
    base = alt.Chart(alt.InlineData(values=list(rows))).encode(
        x=alt.X(f"{x}:N", title=x, sort=codes, axis=alt.Axis(labelAngle=0)), y=alt.Y(f"{y}:N", title=y, sort=codes)
    )
    cells = base.mark_rect().encode(color=alt.Color(f"{value}:Q", title=title, scale=scale), tooltip=[f"{x}:N", f"{y}:N", f"{value}:Q"])
    strong = f"abs(datum['{value}']) > {0.6 * limit}"
    marks = base.mark_text(fontSize=9).encode(
        text=alt.Text(f"{value}:Q", format=form), color=alt.condition(strong, alt.value("white"), alt.value("black"))
    )
    step = max(26, min(44, 520 // max(1, len(codes))))
    return alt.layer(cells, marks).properties(width=alt.Step(step), height=alt.Step(step))


def _altair() -> Any:
    try:
        import altair
    except ImportError as error:
        raise MissingExtraError("altair", "report") from error
    return altair
