"""Source `lama`: the original LAMA archive (`relations.jsonl` and `TREx/P*.jsonl`) from a zip file or a folder.

Petroni et al. (2019), "Language Models as Knowledge Bases?", its T-REx part. Data under CC-BY-NC-4.0. The archive is
English; labels in other languages come by item id from overlays (`<lang>.tsv`). A fact is `parallel` when it is labelled
in every first-tier language for which labels are at hand: English, and the overlays' (docs/decisions/0006). Its evidence
sentences are text of Wikipedia: they are counted, never carried on. Phrasings of the archive are not used.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rml_lama.builders.archive import Archive, open_archive
from rml_lama.builders.labels import read_overlays
from rml_lama.builders.triples import FIELDS, Tally, choose_relations, facts_of, read_labels, rows
from rml_lama.errors import DataError
from rml_lama.languages import FIRST_TIER
from rml_lama.records import RELATIONS, Fact, Reject, relation_order

__all__ = ["LamaSource"]

LISTING = "relations.jsonl"
_MEMBER = re.compile(r"(?P<root>(?:.*/)?)(?:TREx/(?P<relation>\w+)\.jsonl|relations\.jsonl)")


class LamaSource:
    """Facts of LAMA, English from the archive, other languages from the overlays in the folder `labels`."""

    name = "lama"
    license = "CC-BY-NC-4.0"

    def __init__(self, path: Path, *, labels: Path | None = None, relations: Sequence[str] = ()) -> None:
        self._archive: Archive = open_archive(path)
        self._overlays, overlay_checksums = read_overlays(labels)
        self._tally = Tally()
        listing, self._members, self._ignored = _index(self._archive)
        self._relations = choose_relations(self._members, relations, path)
        self._listed = self._read_listing(listing)
        for relation in sorted(set(self._listed) & set(relations or RELATIONS) - set(self._members), key=relation_order):
            self._tally.reject(
                "missing-file", "en", relation, f"TREx/{relation}.jsonl", f"{LISTING} names it, the archive has no such file"
            )
        self._promised = tuple(code for code in FIRST_TIER if code == "en" or self._overlays.get(code))
        self._checksums = {"lama": self._archive.checksum(), **{f"labels/{k}": v for k, v in overlay_checksums.items()}}

    @property
    def rejects(self) -> Sequence[Reject]:
        return self._tally.rejects

    @property
    def report(self) -> Mapping[str, object]:
        differences = list(_differences(self._listed, self._relations))
        return {
            "checksums": self._checksums,
            "ignored": dict(self._ignored),
            "parallel_languages": list(self._promised),
            "differences": differences,
            "counts": dict(sorted({**self._tally.counts, "relation_differences": len(differences)}.items())),
        }

    def facts(self) -> Iterator[Fact]:
        for relation in self._relations:
            labels = {"en": read_labels(self._rows_of(relation), "en", relation, self._tally)}
            yield from facts_of(
                relation, labels, self._overlays, self._tally, promised=self._promised, source=self.name, license=self.license
            )

    def _rows_of(self, relation: str) -> Iterator[dict[str, Any]]:
        """Lines of one relation's file that are its own; their evidences are counted and dropped."""
        member = self._members[relation]
        for number, row in rows(self._archive, member, (*FIELDS, "predicate_id")):
            evidences = row.pop("evidences", [])
            if not isinstance(evidences, list):
                raise DataError("the field 'evidences' is not a list", self._archive.place(member), number)
            self._tally.counts["evidences"] += len(evidences)
            if row["predicate_id"] == relation:
                yield row
            else:
                item, reason = f"{row['sub_uri']} {row['obj_uri']}", f"the line is of {row['predicate_id']}"
                self._tally.reject("other-relation", "en", relation, item, reason, once=False)

    def _read_listing(self, member: str) -> dict[str, tuple[str, str]]:
        """Label and type of each relation that the archive lists."""
        listed: dict[str, tuple[str, str]] = {}
        for _, row in rows(self._archive, member, ("relation", "label", "type")):
            relation = row["relation"]
            if relation in listed:
                self._tally.reject("duplicate-relation", "en", relation, relation, f"a second line in {LISTING}", once=False)
            else:
                listed[relation] = (row["label"], row["type"])
        self._ignored["other relations listed"] = len(set(listed) - set(RELATIONS))
        return listed


def _index(archive: Archive) -> tuple[str, dict[str, str], Counter[str]]:
    """The listing, the members by relation, and counts of what the benchmark does not read."""
    listings: list[str] = []
    members: dict[str, str] = {}
    ignored: Counter[str] = Counter()
    roots: set[str] = set()
    for name in archive.names():
        match = _MEMBER.fullmatch(name)
        if match is None:
            ignored["other files"] += 1
        elif (relation := match["relation"]) is None:
            listings.append(name)
        elif relation not in RELATIONS:
            ignored["files of other relations"] += 1
        else:
            roots.add(match["root"])
            members[relation] = name
    if not members:
        raise DataError("no LAMA data found: expected members such as data/relations.jsonl and data/TREx/P36.jsonl", archive.path)
    if len(roots) > 1:
        raise DataError(f"two LAMA trees in one archive: {', '.join(sorted(roots))}", archive.path)
    (root,) = roots
    if root + LISTING not in listings:
        raise DataError(f"no {root}{LISTING} beside {root}TREx/; take the whole archive", archive.path)
    ignored["other files"] += len(listings) - 1
    return root + LISTING, members, +ignored


def _differences(listed: Mapping[str, tuple[str, str]], relations: Sequence[str]) -> Iterator[dict[str, str]]:
    """Where the archive's label or type of a relation is not the one of this package, which is the one that counts."""
    for relation in relations:
        if relation not in listed:
            yield {"relation": relation, "field": "relation", "archive": "", "package": relation}
            continue
        ours = RELATIONS[relation]
        for field, theirs, own in zip(("label", "type"), listed[relation], (ours.name, ours.kind)):
            if theirs != own:
                yield {"relation": relation, "field": field, "archive": theirs, "package": own}
