"""The report of a run: what was accepted by filter, language and relation, what each filter alone removes, and examples.

One set of tables, written as text and as a single HTML page without scripts or outside files.
"""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rml_lama.records import Reject, relation_order
from rml_lama.validation.scores import Scored

__all__ = ["Report", "Table", "make_report"]

EXAMPLES = 5  # rejected phrasings shown for each filter
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; margin: .5rem 0 2rem } caption { text-align: left; font-weight: 600; padding: .3rem 0 }
th, td { padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A title, the names of the columns, and rows of text; columns whose cells are all numbers are set to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Columns side by side, two spaces apart."""
        lines = [self.columns, *self.rows]
        widths = [max(len(row[place]) for row in lines) for place in range(len(self.columns))]
        numeric = [self._numeric(place) for place in range(len(self.columns))]
        shown = [
            "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(row, widths, numeric)).rstrip()
            for row in lines
        ]
        return "\n".join([self.title, *shown])

    def html(self) -> str:
        """An HTML table; everything is escaped."""
        numeric = [' class="n"' if self._numeric(place) else "" for place in range(len(self.columns))]
        head = "".join(f"<th{right}>{html.escape(cell)}</th>" for cell, right in zip(self.columns, numeric))
        body = "\n".join(
            "<tr>" + "".join(f'<td{right} dir="auto">{html.escape(cell)}</td>' for cell, right in zip(row, numeric)) + "</tr>"
            for row in self.rows
        )
        return f"<table><caption>{html.escape(self.title)}</caption>\n<tr>{head}</tr>\n{body}\n</table>"

    def _numeric(self, place: int) -> bool:
        cells = [row[place] for row in self.rows]
        return bool(cells) and all(cell.replace(",", "").replace(".", "").strip("-% ").isdigit() or not cell for cell in cells)


@dataclass(frozen=True, slots=True)
class Report:
    """Tables under a heading."""

    heading: str
    tables: tuple[Table, ...]

    def text(self) -> str:
        return "\n\n".join([self.heading, *(table.text() for table in self.tables)]) + "\n"

    def html(self) -> str:
        tables = "\n".join(table.html() for table in self.tables)
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>RML-LAMA validation</title>'
            f"<style>{_STYLE}</style></head>\n<body><h1>Validation</h1><p>{html.escape(self.heading)}</p>\n{tables}\n</body></html>\n"
        )


def make_report(scored: Sequence[Scored], *, preset: str, parity: Sequence[Reject] = (), facts: Sequence[Reject] = ()) -> Report:
    """The tables of a run."""
    passed = sum(one.judged.passed for one in scored)
    noted = sum(verdict.reason.startswith("noted: ") for one in scored for verdict in one.judged.verdicts)
    heading = f"{passed:,} of {len(scored):,} phrasings pass the filters of the preset {preset}"
    heading += f"; {noted:,} refusals are noted as false alarms" if noted else ""
    tables = [
        _by_filter(scored),
        _by("language", scored, lambda one: one.judged.template.language, key=lambda name: (0, name)),
        _by("relation", scored, lambda one: one.judged.template.relation, key=_relation_key),
        _examples(scored),
        _found("Sets that fall short of other languages", parity),
        _found("Facts", facts),
    ]
    return Report(heading, tuple(table for table in tables if table.rows))


def _by_filter(scored: Sequence[Scored]) -> Table:
    """For each filter: how many it judged, how many it refused, how many only it refused."""
    judged, failed, alone = Counter[str](), Counter[str](), Counter[str]()
    for one in scored:
        judged.update(verdict.filter for verdict in one.judged.verdicts if not math.isnan(verdict.score))
        refused = [verdict.filter for verdict in one.judged.failed]
        failed.update(refused)
        alone.update(refused if len(refused) == 1 else [])
    names = dict.fromkeys(verdict.filter for one in scored for verdict in one.judged.verdicts)
    rows = [
        (name, f"{judged[name]:,}", f"{failed[name]:,}", f"{alone[name]:,}", _share(judged[name] - failed[name], judged[name]))
        for name in names
    ]
    return Table("By filter", ("filter", "judged", "refused", "refused by it alone", "passed"), tuple(rows))


def _by(name: str, scored: Sequence[Scored], group: Callable[[Scored], str], *, key: Callable[[str], tuple[int, str]]) -> Table:
    total, passed = Counter[str](), Counter[str]()
    chances: dict[str, list[float]] = {}
    for one in scored:
        total[group(one)] += 1
        passed[group(one)] += one.judged.passed
        if not math.isnan(one.approve):
            chances.setdefault(group(one), []).append(one.approve)
    rows = [
        (value, f"{total[value]:,}", f"{passed[value]:,}", _share(passed[value], total[value]), _mean(chances.get(value, ())))
        for value in sorted(total, key=key)
    ]
    return Table(f"By {name}", (name, "phrasings", "passed", "share", "mean approve"), tuple(rows))


def _examples(scored: Iterable[Scored]) -> Table:
    """The worst few of each filter, by how far they miss the threshold."""
    refused: dict[str, list[tuple[float, Scored, str]]] = {}
    for one in scored:
        for verdict in one.judged.failed:
            refused.setdefault(verdict.filter, []).append((-abs(verdict.score - verdict.threshold), one, verdict.reason))
    rows = []
    for name, found in refused.items():
        for _, one, reason in sorted(found, key=lambda item: (item[0], item[1].judged.template.language, item[1].judged.template.text))[
            :EXAMPLES
        ]:
            template = one.judged.template
            rows.append((name, template.language, template.relation, template.text, reason))
    return Table("Examples of what was refused", ("filter", "language", "relation", "phrasing", "reason"), tuple(rows))


def _found(title: str, rejects: Iterable[Reject]) -> Table:
    rows = tuple((reject.filter, reject.language, reject.relation, reject.reason) for reject in rejects)
    return Table(title, ("check", "language", "relation", "finding"), rows)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""


def _mean(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.2f}" if values else ""


def _relation_key(relation: str) -> tuple[int, str]:
    return (relation_order(relation), "") if relation[1:].isdigit() else (1 << 30, relation)
