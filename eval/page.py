"""The shell of a report page: one HTML file without network, light and dark, readable on a phone; reports fill it with sections.

The look is in `page.css`, the frame in `page.html`, charts in `page_charts.py`. Nothing here knows what is reported.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from rml_lama.errors import OutputError

__all__ = ["Column", "Section", "Tile", "code_block", "details", "html_table", "render_page", "switched", "tiles", "write_page"]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page; `body` is HTML, the rest plain text. `anchor` is its address within the page."""

    anchor: str
    title: str
    note: str
    body: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its head (HTML when `plot`), and whether it holds numbers, a chart, or is left out on phones."""

    head: str
    number: bool = False
    plot: bool = False
    wide: bool = False
    wrap: bool = False

    @property
    def css(self) -> str:
        marks = {"n": self.number, "plot": self.plot, "wide": self.wide, "wrap": self.wrap}
        names = " ".join(name for name, on in marks.items() if on)
        return f' class="{names}"' if names else ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the numbers at the head of the page."""

    name: str
    value: str
    below: str = ""
    main: bool = False


def render_page(*, title: str, kicker: str, lead: str, sections: Sequence[Section], footer: Iterable[str]) -> str:
    """The whole page; everything but the sections' bodies is plain text and is escaped here."""
    parts = [
        f'<section id="{part.anchor}" aria-labelledby="{part.anchor}-title"><h2 id="{part.anchor}-title">{html.escape(part.title)}</h2>'
        + (f'<p class="note">{html.escape(part.note)}</p>' if part.note else "")
        + f"{part.body}</section>"
        for part in sections
    ]
    folder = files("rml_lama.eval")
    return Template(folder.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        css=folder.joinpath("page.css").read_text(encoding="utf-8"),
        kicker=html.escape(kicker),
        lead=html.escape(lead),
        links="".join(f'<li><a href="#{part.anchor}">{html.escape(part.title)}</a></li>' for part in sections),
        sections="\n".join(parts),
        footer="".join(f"<p>{html.escape(line)}</p>" for line in footer),
    )


def write_page(page: str, path: Path | str) -> Path:
    """Write the page. Raises `OutputError` when it cannot be written."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    return path


def html_table(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, caption: str, means: int = 0) -> str:
    """A table whose first column names the rows; cells are HTML. The last `means` rows stand out.

    It scrolls sideways on its own where it is too wide, by keyboard too.
    """
    lines = list(rows)
    head = "".join(f'<th scope="col"{column.css}>{column.head}</th>' for column in columns)
    body = []
    for number, line in enumerate(lines):
        first, *rest = zip(columns, line, strict=True)
        mean = ' class="mean"' if number >= len(lines) - means else ""
        cells = "".join(f"<td{column.css}>{cell}</td>" for column, cell in rest)
        body.append(f'<tr{mean}><th scope="row"{first[0].css}>{first[1]}</th>{cells}</tr>')
    label = html.escape(caption, quote=True)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def tiles(numbers: Iterable[Tile]) -> str:
    """The numbers at the head of a page."""
    cells = []
    for tile in numbers:
        below = f'<dd class="sub">{html.escape(tile.below)}</dd>' if tile.below else ""
        big = ' class="big"' if tile.main else ""
        kind = "tile main" if tile.main else "tile"
        cells.append(f'<div class="{kind}"><dt>{html.escape(tile.name)}</dt><dd{big}>{html.escape(tile.value)}</dd>{below}</div>')
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def switched(name: str, question: str, panels: Sequence[tuple[str, str]]) -> str:
    """Panels of which radio buttons show one, without a script; `name` is unique in the page."""
    rules = ",".join(f'#{name}:has(input[value="{number}"]:checked) .panel-{number}' for number in range(len(panels)))
    inputs = "".join(
        f'<label><input type="radio" name="{name}" value="{number}"{" checked" if number == 0 else ""}> {html.escape(title)}</label>'
        for number, (title, _) in enumerate(panels)
    )
    shown = "".join(f'<div class="panel panel-{number}">{body}</div>' for number, (_, body) in enumerate(panels))
    legend = f"<legend>{html.escape(question)}</legend>"
    return f'<style>{rules}{{display:block}}</style><div id="{name}"><fieldset class="switch">{legend}{inputs}</fieldset>{shown}</div>'


def details(summary: str, body: str) -> str:
    """What opens on demand."""
    return f"<details><summary>{html.escape(summary)}</summary>{body}</details>"


def code_block(name: str, text: str) -> str:
    """Text to copy, which breaks after bars and commas; the button appears where scripts run."""
    shown = html.escape(text).replace("|", "|<wbr>").replace(",", ",<wbr>")
    button = f'<button type="button" data-copy="{name}" hidden aria-live="polite">Copy</button>'
    return f'<div class="code" id="{name}">{shown}</div>{button}'
