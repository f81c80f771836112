"""What was decided where the sources of the open facts differ, or where one word cannot be right: each with its reason."""

from __future__ import annotations

import unicodedata

__all__ = ["CITY_STATES", "CONTESTED", "DECISIONS", "DISPUTED_ZONES", "SAME_CITY", "TRANSCONTINENTAL", "same_city"]

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


def same_city(name: str) -> str:
    """A city's name folded to plain letters, one for all of its spellings."""
    spelled = unicodedata.normalize("NFKD", name).casefold().replace("st. ", "saint ").replace("st ", "saint ")
    folded = "".join(char for char in spelled if char.isalpha())
    return SAME_CITY.get(folded, folded)
