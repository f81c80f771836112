"""Charts of a report page, as HTML and SVG that take their colours from the page: intervals in cells, heat maps, curves.

Every chart says its numbers in words too, as a label or as the table that it stands in.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

import numpy as np

from rml_lama.eval.bootstrap import Estimate

__all__ = ["axis", "axis_end", "curve_chart", "heat_map", "interval", "percent", "reliability_chart", "span", "stacked"]

Point = tuple[float, float]
_SIDE, _LEFT, _TOP = 300, 46, 10  # of the square in which curves are drawn


def percent(value: float, digits: int = 1) -> str:
    """
    >>> percent(0.1234), percent(float("nan"))
    ('12.3', '–')
    """
    return "–" if math.isnan(value) else f"{100 * value:.{digits}f}"


def axis_end(values: Sequence[float]) -> float:
    """Where an axis from 0 ends: the next tenth (or twentieth, for small values) above the largest value, 1 at most.

    >>> axis_end([0.12, 0.43]), axis_end([0.07]), axis_end([0.99])
    (0.5, 0.1, 1.0)
    """
    largest = max((value for value in values if not math.isnan(value)), default=1.0)
    step = 0.1 if largest > 0.2 else 0.05
    return min(1.0, round(math.ceil(largest / step + 1e-9) * step, 2))


def axis(end: float) -> str:
    """The head of a column of intervals: five steps from 0 to `end`, in percent."""
    ends = (0, end / 2, end)
    return '<span class="axis" aria-hidden="true">' + "".join(f"<span>{100 * value:g}%</span>" for value in ends) + "</span>"


def interval(estimate: Estimate, *, end: float = 1.0, reference: float = math.nan) -> str:
    """A dot with its 95% interval on an axis from 0 to `end`, with a dotted rule at `reference`."""
    if math.isnan(estimate.value):
        return "–"
    low, value, high = (min(number / end, 1.0) for number in (estimate.low, estimate.value, estimate.high))
    label = f"{percent(estimate.value)}%, 95% interval {percent(estimate.low)} to {percent(estimate.high)}"
    rule = "" if math.isnan(reference) else f'<u style="--r:{reference / end:.4f}"></u>'
    style = f"--l:{low:.4f};--v:{value:.4f};--h:{high:.4f}"
    return f'<span class="ci" role="img" aria-label="{label}" title="{label}" style="{style}">{rule}<i></i><b></b></span>'


def span(low: float, value: float, high: float, *, end: float, label: str) -> str:
    """A dot on a bar from `low` to `high`."""
    style = f"--l:{low / end:.4f};--v:{value / end:.4f};--h:{high / end:.4f}"
    said = html.escape(label, quote=True)
    return f'<span class="ci" role="img" aria-label="{said}" title="{said}" style="{style}"><i class="bar"></i><b></b></span>'


def stacked(first: float, second: float, *, end: float, label: str) -> str:
    """Two parts of a whole, on an axis from 0 to `end`."""
    said = html.escape(label, quote=True)
    style = f"--w:{(first + second) / end:.4f};--a:{first:.4f};--b:{second:.4f}"
    return f'<span class="stack" role="img" aria-label="{said}" title="{said}" style="{style}"><i></i><b></b></span>'


def heat_map(names: Sequence[str], titles: Sequence[str], matrix: Sequence[Sequence[float]], *, caption: str) -> str:
    """A square table of shares, coloured from the smallest to the largest; the diagonal is left out."""
    values = np.array(matrix, dtype=float)
    off = values[~np.eye(len(values), dtype=bool)]
    low, high = (float(np.nanmin(off)), float(np.nanmax(off))) if np.isfinite(off).any() else (0.0, 1.0)
    lines = []
    for a, line in enumerate(values):
        cells = []
        for b, value in enumerate(line):
            if a == b:
                cells.append('<td class="self"></td>')
                continue
            shade = 0.0 if math.isnan(value) or high == low else (value - low) / (high - low)
            said = f"{titles[a]}, {titles[b]}: {percent(value)}"
            cells.append(f'<td{_ink(shade)} style="--t:{shade:.3f}" title="{html.escape(said, quote=True)}">{percent(value, 0)}</td>')
        lines.append(f'<tr><th scope="row" title="{html.escape(titles[a], quote=True)}">{names[a]}</th>{"".join(cells)}</tr>')
    head = "".join(
        f'<th scope="col" title="{html.escape(title, quote=True)}">{name}</th>' for name, title in zip(names, titles, strict=True)
    )
    label = html.escape(caption, quote=True)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<table class="heat" style="--n:{len(names)}"><caption>{html.escape(caption)}</caption>'
        f'<thead><tr><td class="self"></td>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
        f'<p class="legend"><span>{percent(low)}%</span><i aria-hidden="true"></i><span>{percent(high)}%</span></p>'
    )


def _ink(shade: float) -> str:
    """Black or white, whichever reads better: on a light page the scale darkens, on a dark one it brightens."""
    kind = "" if shade < 0.547 else "middle" if shade < 0.665 else "deep"
    return f' class="{kind}"' if kind else ""


def reliability_chart(bins: Sequence[tuple[int, float, float]]) -> str:
    """Accuracy against confidence, a point a bin, with the line of a calibrated model."""
    points = "".join(
        f'<circle cx="{_x(confidence):.1f}" cy="{_y(accuracy):.1f}" r="5"><title>{count} queries: share {percent(confidence)}%, '
        f"right {percent(accuracy)}%</title></circle>"
        for count, confidence, accuracy in bins
    )
    path = _path([(confidence, accuracy) for _, confidence, accuracy in bins])
    ideal = f'<path class="ideal" d="{_path([(0, 0), (1, 1)])}"/>'
    words = "; ".join(f"{percent(confidence, 0)}% sure: {percent(accuracy, 0)}% right" for _, confidence, accuracy in bins)
    return _square(f"Calibration. {words}", "share of the top candidate", "right", f'{ideal}<path class="s0" d="{path}"/>{points}')


def curve_chart(curves: Mapping[str, Sequence[Point]], *, label: str, x: str, y: str) -> str:
    """Up to four curves in the unit square, with their names below."""
    drawn = "".join(f'<path class="s{number}" d="{_path(points)}"/>' for number, points in enumerate(curves.values()))
    names = "".join(
        f'<li><svg viewBox="0 0 30 10" aria-hidden="true"><path class="s{number}" d="M0 5H30"/></svg>{html.escape(name)}</li>'
        for number, name in enumerate(curves)
    )
    return _square(label, x, y, drawn) + f'<ul class="series">{names}</ul>'


def _square(label: str, x: str, y: str, content: str) -> str:
    ticks = (0, 0.25, 0.5, 0.75, 1)
    grid = "".join(
        f'<path class="grid" d="M{_x(tick):.1f} {_TOP}V{_TOP + _SIDE}M{_LEFT} {_y(tick):.1f}H{_LEFT + _SIDE}"/>'
        f'<text x="{_x(tick):.1f}" y="{_TOP + _SIDE + 16}" text-anchor="middle">{100 * tick:g}%</text>'
        f'<text x="{_LEFT - 6}" y="{_y(tick) + 4:.1f}" text-anchor="end">{100 * tick:g}%</text>'
        for tick in ticks
    )
    names = (
        f'<text x="{_LEFT + _SIDE / 2}" y="{_TOP + _SIDE + 34}" text-anchor="middle">{html.escape(x)}</text>'
        f'<text transform="translate(11 {_TOP + _SIDE / 2}) rotate(-90)" text-anchor="middle">{html.escape(y)}</text>'
    )
    size = f"0 0 {_LEFT + _SIDE + 20} {_TOP + _SIDE + 40}"
    frame = f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"/>'
    return (
        f'<svg class="chart" viewBox="{size}" role="img" aria-label="{html.escape(label, quote=True)}">{grid}{frame}{names}{content}</svg>'
    )


def _x(share: float) -> float:
    return _LEFT + share * _SIDE


def _y(share: float) -> float:
    return _TOP + (1 - share) * _SIDE


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{_x(x):.1f} {_y(y):.1f}" for x, y in points)
