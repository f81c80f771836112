"""Labelled triples of one relation: read from JSON lines, overlaid by item id, made into facts in a fixed order.

What the sources of Wikidata triples (mLAMA, LAMA) share: fields, rejects, order. What is damaged is an error with file
and line; what is whole but cannot be used is a reject with a count.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rml_lama.builders.archive import Archive, lines
from rml_lama.builders.labels import clean_label, to_simplified
from rml_lama.errors import DataError
from rml_lama.languages import ALL_CODES
from rml_lama.records import Fact, Reject, relation_order

__all__ = ["FIELDS", "Labels", "Tally", "Triple", "choose_relations", "facts_of", "read_labels", "rows"]

Triple = tuple[str, str]  # subject and object id
Labels = tuple[str, str]  # subject and object label

FIELDS = ("sub_uri", "obj_uri", "sub_label", "obj_label", "uuid")
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON escapes can spell one, UTF-8 cannot


class Tally:
    """What a source has counted and turned away so far."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._rejects: dict[tuple[str, str, str, str], Reject] = {}

    @property
    def rejects(self) -> tuple[Reject, ...]:
        return tuple(self._rejects[key] for key in sorted(self._rejects))

    def reject(self, filter: str, code: str, relation: str, item: str, reason: str, *, once: bool = True) -> None:
        """Turn `item` away; `once`: its count stays 1 however often it is met."""
        key = (code, relation, filter, item)
        count = self._rejects[key].count + 1 if key in self._rejects and not once else 1
        self._rejects[key] = Reject("source", filter, code, relation, item, reason, count=count)


def rows(archive: Archive, member: str, fields: Sequence[str] = FIELDS) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a member with their line numbers.

    Raises `DataError` with file and line for what is not JSON, not an object, or lacks one of the text `fields`.
    """
    place = archive.place(member)
    for number, line in lines(archive, member):
        try:
            row: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"not JSON: {error}", place, number) from error
        if not isinstance(row, dict):
            raise DataError("not a JSON object", place, number)
        for name in fields:
            value = row.get(name)
            if not isinstance(value, str):
                raise DataError(f"the field {name!r} is missing or not text", place, number)
            if not value.isascii() and _SURROGATE.search(value):
                raise DataError(f"the field {name!r} holds half of a surrogate pair", place, number)
        yield number, row


def read_labels(rows: Iterable[Mapping[str, str]], code: str, relation: str, tally: Tally) -> dict[Triple, Labels]:
    """Clean labels by triple; lines with an empty label, a repeated uuid or a repeated triple are rejects."""
    found: dict[Triple, Labels] = {}
    uuids: set[str] = set()
    for row in rows:
        subject_label, object_label = clean_label(row["sub_label"]), clean_label(row["obj_label"])
        triple = (row["sub_uri"], row["obj_uri"])
        tally.counts["lines"] += 1
        if not subject_label or not object_label:
            tally.reject("empty-label", code, relation, f"{triple[0]} {triple[1]}", "an empty label", once=False)
        elif row["uuid"] in uuids:
            tally.reject("duplicate-uuid", code, relation, row["uuid"], "a second line with this uuid", once=False)
        elif triple in found:
            tally.reject("duplicate-triple", code, relation, f"{triple[0]} {triple[1]}", "a second line with this triple", once=False)
        else:
            if code == "zh":
                subject_label, object_label = to_simplified(subject_label), to_simplified(object_label)
            found[triple] = (subject_label, object_label)
        uuids.add(row["uuid"])
    return found


def facts_of(
    relation: str,
    labels: dict[str, dict[Triple, Labels]],
    overlays: Mapping[str, Mapping[str, str]],
    tally: Tally,
    *,
    promised: Sequence[str],
    source: str,
    license: str,
) -> Iterator[Fact]:
    """Facts of one relation from the labels of each language, sorted by the numbers of their items.

    An overlay's label wins, and `parallel` means: labelled in every language that is `promised`.
    """
    triples = sorted(set().union(*labels.values()), key=_triple_order)
    labels = {code: _overlaid(triples, labels.get(code, {}), overlays.get(code)) for code in ALL_CODES}
    objects: dict[str, list[str]] = {}
    for subject, obj in triples:
        objects.setdefault(subject, []).append(obj)
    tally.counts["triples"] += len(triples)
    tally.counts["labelled_facts"] += sum(map(len, labels.values()))
    tally.counts["relations"] += 1
    for subject, obj in triples:
        here = {code: labels[code][subject, obj] for code in ALL_CODES if (subject, obj) in labels[code]}
        parallel = all(code in here for code in promised)
        tally.counts["parallel_facts"] += parallel
        answers = {
            code: tuple(sorted({labels[code][subject, other][1] for other in objects[subject] if (subject, other) in labels[code]}))
            for code in here
        }
        single = len(objects[subject]) == 1
        yield Fact(relation, subject, obj, here, answers, parallel, single, source, license, subject, obj)


def choose_relations(there: Iterable[str], wanted: Sequence[str], path: Path) -> list[str]:
    """The relations to read, in relation order: the wanted ones, or all that are there.

    Raises `DataError` for a wanted one that is not there.
    """
    there = set(there)
    if missing := sorted(set(wanted) - there, key=relation_order):
        raise DataError(f"the archive has no file of {', '.join(missing)}", path)
    return sorted(wanted or there, key=relation_order)


def _overlaid(triples: Iterable[Triple], own: dict[Triple, Labels], overlay: Mapping[str, str] | None) -> dict[Triple, Labels]:
    """Labels of one language with those of an overlay on top; a triple is in when both of its items have one."""
    if overlay is None:
        return own
    found: dict[Triple, Labels] = {}
    for triple in triples:
        subject, obj = own.get(triple, ("", ""))
        subject, obj = overlay.get(triple[0], subject), overlay.get(triple[1], obj)
        if subject and obj:
            found[triple] = (subject, obj)
    return found


def _triple_order(triple: Triple) -> tuple[int, int, Triple]:
    """Numeric order of item ids where they are Q-numbers."""
    first, second = (int(item[1:19]) if item[1:19].isdecimal() else 0 for item in triple)
    return first, second, triple
