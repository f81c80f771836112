"""The prompts hold what their slots promise; the glossary names every relation in every language, in its own script."""

from __future__ import annotations

import unicodedata
from collections import Counter
from importlib.resources import files

import pytest

from rml_lama.builders.prompts import PROMPTS, local_name, prompt
from rml_lama.languages import ALL_CODES, LANGUAGES
from rml_lama.records import RELATIONS

GLOSSARY = {(relation, code): local_name(relation, code) for relation in RELATIONS for code in ALL_CODES}


def scripts_of(text: str) -> set[str]:
    """The Unicode scripts of the letters: the first word of their character names."""
    return {unicodedata.name(char).split()[0] for char in text if char.isalpha() and unicodedata.category(char) != "Lm"}


def test_the_table_has_every_relation_and_language_and_nothing_else() -> None:
    lines = (files("rml_lama.builders.prompts") / "glossary.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    assert rows[0] == ["relation", *ALL_CODES]
    assert [row[0] for row in rows[1:]] == list(RELATIONS)
    assert {len(row) for row in rows} == {1 + len(ALL_CODES)}
    assert [
        cell for row in rows for cell in row if not cell or cell != " ".join(cell.split()) or cell != unicodedata.normalize("NFC", cell)
    ] == []


@pytest.mark.parametrize("code", ALL_CODES)
def test_names_are_written_in_the_script_of_the_language(code: str) -> None:
    allowed = set(LANGUAGES[code].scripts)
    wrong = {relation: name for (relation, language), name in GLOSSARY.items() if language == code and not scripts_of(name) <= allowed}
    assert wrong == {}


@pytest.mark.parametrize("code", ALL_CODES)
def test_two_relations_never_share_a_name(code: str) -> None:
    names = Counter(name.casefold() for (_, language), name in GLOSSARY.items() if language == code)
    assert [name for name, count in names.items() if count > 1] == []


def test_names_are_short_noun_phrases_without_slots_or_marks() -> None:
    assert [name for name in GLOSSARY.values() if len(name) > 48 or set(name) & set('[].:;!?()/"')] == []


def test_only_german_writes_names_with_a_capital() -> None:
    capital = {code for (_, code), name in GLOSSARY.items() if name[0].isupper()}
    assert capital == {"de"}


@pytest.mark.parametrize(
    ("relation", "code", "name"), [("P36", "de", "Hauptstadt"), ("P36", "ja", "首都"), ("P36", "zh", "首都"), ("P36", "fr", "capitale")]
)
def test_a_capital_is_a_city_not_a_letter_nor_money(relation: str, code: str, name: str) -> None:
    assert local_name(relation, code) == name


def test_an_unknown_language_gets_the_english_name() -> None:
    assert local_name("P36", "xx") == RELATIONS["P36"].name


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_has_a_version_a_hash_and_two_turns(name: str) -> None:
    read = prompt(name)
    assert read.identity.startswith(f"{name}@{read.version}-")
    with pytest.raises(KeyError):
        read.messages()
