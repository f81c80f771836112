"""Source `mlama`: the official mLAMA layout (`<lang>/P*.jsonl`) from a zip file or a folder, one relation at a time.

Kassner, Dufter and Schütze (2021), "Multilingual LAMA". Data under CC-BY-NC-4.0. A fact exists in a language when both
of its labels do. What the archive has and the benchmark does not take is counted; what is damaged is an error with
file and line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rml_lama.builders.archive import Archive, open_archive
from rml_lama.builders.labels import read_overlays
from rml_lama.builders.triples import Labels, Tally, Triple, choose_relations, facts_of, read_labels, rows
from rml_lama.errors import DataError
from rml_lama.languages import ALL_CODES, FIRST_TIER
from rml_lama.records import RELATIONS, Fact, Reject

__all__ = ["MLamaSource"]

_MEMBER = re.compile(r"(?P<root>(?:.*/)?)(?P<language>[a-z][a-z-]*)/(?P<relation>[A-Za-z]\w*)\.jsonl")


class MLamaSource:
    """Facts of mLAMA with labels in the benchmark's languages; `labels` overlays the archive's own labels."""

    name = "mlama1.1"
    license = "CC-BY-NC-4.0"

    def __init__(self, path: Path, *, labels: Path | None = None, relations: Sequence[str] = ()) -> None:
        self._archive: Archive = open_archive(path)
        self._overlays, overlay_checksums = read_overlays(labels)
        self._members, self._ignored = _index(self._archive)
        self._relations = choose_relations((relation for _, relation in self._members), relations, path)
        self._tally = Tally()
        self._checksums = {"mlama": self._archive.checksum(), **{f"labels/{k}": v for k, v in overlay_checksums.items()}}

    @property
    def rejects(self) -> Sequence[Reject]:
        return self._tally.rejects

    @property
    def report(self) -> Mapping[str, object]:
        return {
            "parallel_languages": list(FIRST_TIER),
            "checksums": self._checksums,
            "ignored": dict(self._ignored),
            "counts": dict(sorted(self._tally.counts.items())),
        }

    def facts(self) -> Iterator[Fact]:
        for relation in self._relations:
            labels = {code: self._labels_of(relation, code) for code in ALL_CODES}
            yield from facts_of(relation, labels, self._overlays, self._tally, promised=FIRST_TIER, source=self.name, license=self.license)

    def _labels_of(self, relation: str, code: str) -> dict[Triple, Labels]:
        """Labels of one relation in one language; rejects are counted, damage raises `DataError`."""
        member = self._members.get((code, relation))
        if member is None:
            if code not in self._overlays:
                self._tally.reject("missing-file", code, relation, f"{code}/{relation}.jsonl", "the archive has no such label file")
            return {}
        return read_labels((row for _, row in rows(self._archive, member)), code, relation, self._tally)


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
