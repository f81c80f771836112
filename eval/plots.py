"""The picture of a result: P@1 by language with 95% intervals, coloured by family. Vega-Lite, drawn without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rml_lama.errors import ConfigError, MissingExtraError, OutputError
from rml_lama.languages import LANGUAGES

if TYPE_CHECKING:
    from rml_lama.eval.results import Result

__all__ = ["language_chart", "save_chart"]

FORMATS = (".png", ".svg", ".html", ".json")


def language_chart(result: Result, metric: str = "P@1") -> Any:
    """Points with intervals, a language a row, best first; the dotted rule is the mean of languages."""
    try:
        import altair as alt
    except ImportError as error:
        raise MissingExtraError("altair", "report") from error
    rows = [
        {
            "language": f"{LANGUAGES[code].name} ({code})",
            "family": LANGUAGES[code].family,
            "value": estimates[metric].value,
            "low": estimates[metric].low,
            "high": estimates[metric].high,
        }
        for code, estimates in result.languages.items()
    ]
    rows.sort(key=lambda row: -float(str(row["value"])))
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("language:N", sort=[str(row["language"]) for row in rows], title=None),
        color=alt.Color("family:N", title="Family", scale=alt.Scale(scheme="tableau20")),
    )
    scale = alt.Scale(domain=[0, 1])
    intervals = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", scale=scale, title=f"{metric}, 95% interval"), x2="high:Q")
    points = base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X("value:Q", scale=scale))
    mean = (
        alt.Chart(alt.InlineData(values=[{"mean": result.overall[metric].value}]))
        .mark_rule(strokeDash=[3, 3], color="gray")
        .encode(x="mean:Q")
    )
    model = (result.signature.get("model") or "").partition("@")[0]
    title = alt.TitleParams(
        f"{model}: facts named first, by language", subtitle=f"{sum(result.queries.values()):,} queries", anchor="start"
    )
    chart: Any = alt.layer(mean, intervals, points).properties(width=520, height=alt.Step(22), title=title)
    return chart


def save_chart(chart: Any, path: Path) -> None:
    """Write a chart as PNG, SVG, HTML or JSON, by the file's ending."""
    if path.suffix not in FORMATS:
        raise ConfigError(f"cannot write {path.name}: use one of {' '.join(FORMATS)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        chart.save(str(path), scale_factor=2) if path.suffix == ".png" else chart.save(str(path))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
