"""Source `mlama`: the official mLAMA layout (`<lang>/P*.jsonl`) from a zip file or a folder, one relation at a time.

Kassner, Dufter and Schütze (2021), "Multilingual LAMA". Data under CC-BY-NC-4.0. A fact exists in a language when both
of its labels do. What the archive has and the benchmark does not take is counted; what is damaged is an error with
file and line.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rml_lama.builders.archive import Archive, lines, open_archive
from rml_lama.builders.labels import clean_label, read_overlays, to_simplified
from rml_lama.errors import DataError
from rml_lama.languages import ALL_CODES, FIRST_TIER
from rml_lama.records import RELATIONS, Fact, Reject, relation_order

__all__ = ["MLamaSource"]

Triple = tuple[str, str]  # subject and object id
Labels = tuple[str, str]  # subject and object label

_MEMBER = re.compile(r"(?P<root>(?:.*/)?)(?P<language>[a-z][a-z-]*)/(?P<relation>[A-Za-z]\w*)\.jsonl")
_FIELDS = ("sub_uri", "obj_uri", "sub_label", "obj_label", "uuid")


class MLamaSource:
    """Facts of mLAMA with labels in the benchmark's languages; `labels` overlays the archive's own labels."""

    name = "mlama1.1"
    license = "CC-BY-NC-4.0"

    def __init__(self, path: Path, *, labels: Path | None = None, relations: Sequence[str] = ()) -> None:
        self._archive: Archive = open_archive(path)
        self._overlays, overlay_checksums = read_overlays(labels)
        self._members, self._ignored = _index(self._archive)
        self._relations = _choose(self._members, relations, path)
        self._rejects: dict[tuple[str, str, str, str], Reject] = {}
        self._counts: Counter[str] = Counter()
        self._checksums = {"mlama": self._archive.checksum(), **{f"labels/{k}": v for k, v in overlay_checksums.items()}}

    @property
    def rejects(self) -> Sequence[Reject]:
        return tuple(self._rejects[key] for key in sorted(self._rejects))

    @property
    def report(self) -> Mapping[str, object]:
        return {"checksums": self._checksums, "ignored": dict(self._ignored), "counts": dict(sorted(self._counts.items()))}

    def facts(self) -> Iterator[Fact]:
        for relation in self._relations:
            yield from self._facts_of(relation)

    def _facts_of(self, relation: str) -> Iterator[Fact]:
        labels = {code: self._labels_of(relation, code) for code in ALL_CODES}
        triples = sorted(set().union(*labels.values()), key=_triple_order)
        for code, overlay in self._overlays.items():
            labels[code] = {triple: both for triple in triples if (both := _overlaid(triple, labels[code], overlay))}
        objects: dict[str, list[str]] = {}
        for subject, obj in triples:
            objects.setdefault(subject, []).append(obj)
        self._counts["triples"] += len(triples)
        self._counts["labelled_facts"] += sum(map(len, labels.values()))
        self._counts["relations"] += 1
        for subject, obj in triples:
            here = {code: labels[code][subject, obj] for code in ALL_CODES if (subject, obj) in labels[code]}
            parallel = all(code in here for code in FIRST_TIER)
            self._counts["parallel_facts"] += parallel
            answers = {
                code: tuple(sorted({labels[code][subject, other][1] for other in objects[subject] if (subject, other) in labels[code]}))
                for code in here
            }
            single = len(objects[subject]) == 1
            yield Fact(relation, subject, obj, here, answers, parallel, single, self.name, self.license, subject, obj)

    def _labels_of(self, relation: str, code: str) -> dict[Triple, Labels]:
        """Labels of one relation in one language; rejects are counted, damage raises `DataError`."""
        member = self._members.get((code, relation))
        if member is None:
            if code not in self._overlays:
                self._reject("missing-file", code, relation, f"{code}/{relation}.jsonl", "the archive has no such label file")
            return {}
        found: dict[Triple, Labels] = {}
        uuids: set[str] = set()
        for number, line in lines(self._archive, member):
            row = _parse(line, self._archive.place(member), number)
            subject_label, object_label = clean_label(row["sub_label"]), clean_label(row["obj_label"])
            triple = (row["sub_uri"], row["obj_uri"])
            self._counts["lines"] += 1
            if not subject_label or not object_label:
                self._reject("empty-label", code, relation, f"{triple[0]} {triple[1]}", "an empty label", once=False)
            elif row["uuid"] in uuids:
                self._reject("duplicate-uuid", code, relation, row["uuid"], "a second line with this uuid", once=False)
            elif triple in found:
                self._reject("duplicate-triple", code, relation, f"{triple[0]} {triple[1]}", "a second line with this triple", once=False)
            else:
                if code == "zh":
                    subject_label, object_label = to_simplified(subject_label), to_simplified(object_label)
                found[triple] = (subject_label, object_label)
            uuids.add(row["uuid"])
        return found

    def _reject(self, filter: str, code: str, relation: str, item: str, reason: str, *, once: bool = True) -> None:
        key = (code, relation, filter, item)
        count = self._rejects[key].count + 1 if key in self._rejects and not once else 1
        self._rejects[key] = Reject("source", filter, code, relation, item, reason, count=count)


def _index(archive: Archive) -> tuple[dict[tuple[str, str], str], Counter[str]]:
    """Members by (language, relation), and counts of what the benchmark does not read."""
    members: dict[tuple[str, str], str] = {}
    ignored: Counter[str] = Counter()
    roots: set[str] = set()
    for name in archive.names():
        match = _MEMBER.fullmatch(name)
        if match is None:
            ignored["other files"] += 1
        elif match["language"] not in ALL_CODES:
            ignored["files of other languages"] += 1
        elif match["relation"] not in RELATIONS:
            ignored["templates and other relations"] += 1
        else:
            roots.add(match["root"])
            members[match["language"], match["relation"]] = name
    if not members:
        raise DataError("no mLAMA data found: expected members such as mlama1.1/en/P36.jsonl", archive.path)
    if len(roots) > 1:
        raise DataError(f"two mLAMA trees in one archive: {', '.join(sorted(roots))}", archive.path)
    return members, ignored


def _choose(members: Mapping[tuple[str, str], str], wanted: Sequence[str], path: Path) -> list[str]:
    there = {relation for _, relation in members}
    if missing := sorted(set(wanted) - there, key=relation_order):
        raise DataError(f"the archive has no file of {', '.join(missing)}", path)
    return sorted(wanted or there, key=relation_order)


def _parse(line: str, place: str, number: int) -> dict[str, str]:
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise DataError(f"not JSON: {error}", place, number) from error
    if not isinstance(row, dict):
        raise DataError("not a JSON object", place, number)
    for name in _FIELDS:
        if not isinstance(row.get(name), str):
            raise DataError(f"the field {name!r} is missing or not text", place, number)
    return row


def _overlaid(triple: Triple, labels: Mapping[Triple, Labels], overlay: Mapping[str, str]) -> Labels | None:
    own = labels.get(triple, ("", ""))
    subject, obj = overlay.get(triple[0], own[0]), overlay.get(triple[1], own[1])
    return (subject, obj) if subject and obj else None


def _triple_order(triple: Triple) -> tuple[int, int, Triple]:
    """Numeric order of item ids where they are Q-numbers."""
    first, second = (int(item[1:]) if item[1:].isdigit() else 0 for item in triple)
    return first, second, triple
