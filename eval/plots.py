"""Pictures of a result, each one Vega-Lite chart, drawn without a browser: PNG, SVG, HTML or JSON.

languages    a metric by language with 95% intervals, coloured by family
agreement    RankC between languages as a heat map
phrasings    P@1 of every phrasing, by language
calibration  accuracy against confidence in bins of equal mass
risk         share of wrong answers against share of queries answered
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rml_lama.errors import ConfigError, MissingExtraError, OutputError
from rml_lama.eval.tables import language_name
from rml_lama.languages import LANGUAGES

if TYPE_CHECKING:
    from rml_lama.eval.results import Result

__all__ = ["CHARTS", "chart", "save_chart"]

FORMATS = (".png", ".svg", ".html", ".json")


def chart(result: Result, kind: str = "languages", *, metric: str = "P@1") -> Any:
    """A chart of a kind that the module's first lines list.

    Raises `ConfigError` for another kind or metric, or for agreement of a single language, `MissingExtraError` without altair.
    """
    if kind not in CHARTS:
        raise ConfigError(f"no chart {kind!r}; use {', '.join(CHARTS)}")
    try:
        import altair as alt
    except ImportError as error:
        raise MissingExtraError("altair", "report") from error
    return CHARTS[kind](alt, result, metric)


def save_chart(chart: Any, path: Path | str) -> None:
    """Write a chart as PNG, SVG, HTML or JSON, by the file's ending."""
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ConfigError(f"cannot write {path.name}: use one of {' '.join(FORMATS)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        chart.save(str(path), scale_factor=2) if path.suffix == ".png" else chart.save(str(path))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _languages(alt: Any, result: Result, metric: str) -> Any:
    """Points with intervals, a language a row, best first; the dotted rule is the mean of languages."""
    if metric not in result.overall:
        raise ConfigError(f"no metric {metric!r}; use {', '.join(result.overall)}")
    rows: list[dict[str, Any]] = [
        {
            "language": language_name(code),
            "family": LANGUAGES[code].family,
            "value": scores[metric].value,
            "low": scores[metric].low,
            "high": scores[metric].high,
        }
        for code, scores in result.languages.items()
    ]
    rows.sort(key=lambda row: -row["value"])
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("language:N", sort=[row["language"] for row in rows], title=None),
        color=alt.Color("family:N", title="Family", scale=alt.Scale(scheme="tableau20")),
    )
    scale = alt.Scale(domain=[0, 1]) if metric in ("P@1", "P@5", "MRR") else alt.Scale(zero=False)
    intervals = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", scale=scale, title=f"{metric}, 95% interval"), x2="high:Q")
    points = base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X("value:Q", scale=scale))
    mean = alt.Chart(alt.InlineData(values=[{"mean": result.overall[metric].value}]))
    rule = mean.mark_rule(strokeDash=[3, 3], color="gray").encode(x="mean:Q")
    subtitle = f"{sum(result.queries.values()):,} queries"
    title = alt.TitleParams(f"{result.model}: facts named first, by language", subtitle=subtitle, anchor="start")
    return alt.layer(rule, intervals, points).properties(width=520, height=alt.Step(22), title=title)


def _agreement(alt: Any, result: Result, metric: str) -> Any:
    if result.agreement is None:
        raise ConfigError("one language agrees with no other: evaluate at least two")
    codes = list(result.agreement.languages)
    matrix = result.agreement.matrices["RankC"]
    rows = [
        {"first": codes[a], "second": codes[b], "RankC": value} for a, line in enumerate(matrix) for b, value in enumerate(line) if a != b
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("first:N", sort=codes, title=None, axis=alt.Axis(labelAngle=0)), y=alt.Y("second:N", sort=codes, title=None)
    )
    colour = alt.Color("RankC:Q", scale=alt.Scale(scheme="viridis"))
    title = alt.TitleParams(f"{result.model}: how alike languages rank", subtitle="RankC, softmax weights", anchor="start")
    return base.mark_rect().encode(color=colour).properties(width=alt.Step(22), height=alt.Step(22), title=title)


def _phrasings(alt: Any, result: Result, metric: str) -> Any:
    rows = [
        {"language": language_name(template.partition("-")[0]), "P@1": value, "phrasing": template}
        for template, value in result.phrasing.templates.items()
    ]
    order = [language_name(code) for code in result.languages]
    ticks = alt.Chart(alt.InlineData(values=rows)).mark_tick(thickness=2, opacity=0.5)
    title = alt.TitleParams(f"{result.model}: every phrasing", subtitle="P@1 of each phrasing over its facts", anchor="start")
    encoded = ticks.encode(x=alt.X("P@1:Q", scale=alt.Scale(domain=[0, 1])), y=alt.Y("language:N", sort=order, title=None))
    return encoded.properties(width=520, height=alt.Step(22), title=title)


def _calibration(alt: Any, result: Result, metric: str) -> Any:
    rows = [{"confidence": confidence, "accuracy": accuracy, "queries": count} for count, confidence, accuracy in result.trust.bins]
    base = alt.Chart(alt.InlineData(values=rows))
    axis = alt.Scale(domain=[0, 1])
    line = base.mark_line(point=True).encode(
        x=alt.X("confidence:Q", scale=axis, title="share of the top candidate"),
        y=alt.Y("accuracy:Q", scale=axis, title="share of right answers"),
    )
    ideal = alt.Chart(alt.InlineData(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}])).mark_line(strokeDash=[3, 3], color="gray")
    title = alt.TitleParams(f"{result.model}: calibration", subtitle=f"ECE {result.trust.overall['ECE']}", anchor="start")
    return alt.layer(ideal.encode(x="x:Q", y="y:Q"), line).properties(width=360, height=360, title=title)


def _risk(alt: Any, result: Result, metric: str) -> Any:
    rows = [
        {"coverage": coverage, "risk": risk, "abstains by": name.partition(" ")[2] or "confidence"}
        for name, curve in result.trust.curves.items()
        for coverage, risk in curve
    ]
    encoding = {
        "x": alt.X("coverage:Q", title="share of queries answered", scale=alt.Scale(domain=[0, 1])),
        "y": alt.Y("risk:Q", title="share of wrong answers", scale=alt.Scale(domain=[0, 1])),
        "color": alt.Color("abstains by:N", title="Abstains by"),
    }
    title = alt.TitleParams(f"{result.model}: risk against coverage", anchor="start")
    return alt.Chart(alt.InlineData(values=rows)).mark_line().encode(**encoding).properties(width=420, height=300, title=title)


CHARTS: Mapping[str, Callable[[Any, Result, str], Any]] = {
    "languages": _languages,
    "agreement": _agreement,
    "phrasings": _phrasings,
    "calibration": _calibration,
    "risk": _risk,
}
