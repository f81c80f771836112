"""The template bank: its format, and the committed bank's form and coverage."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from rml_lama.builders.bank import BANK, read_bank
from rml_lama.builders.reviews import read_reviews
from rml_lama.errors import DataError
from rml_lama.languages import ALL_CODES
from rml_lama.records import RELATIONS, Template
from rml_lama.validation.runner import validate
from rml_lama.validation.structure import Structure


@pytest.fixture(scope="module")
def templates() -> list[Template]:
    return read_bank()


def test_every_language_and_relation_has_6_phrasings_5_of_them_causal(templates: list[Template]) -> None:
    everything = Counter((template.language, template.relation) for template in templates)
    causal = Counter((template.language, template.relation) for template in templates if template.causal)
    short = [
        (key, everything[key], causal[key])
        for code in ALL_CODES
        for key in ((code, r) for r in RELATIONS)
        if everything[key] < 6 or causal[key] < 5
    ]
    assert short == []


def test_the_bank_has_no_structural_fault(templates: list[Template]) -> None:
    accepted, rejects = validate(templates, [Structure()])
    assert [(reject.language, reject.item, reject.reason) for reject in rejects] == []
    assert len(accepted) == len(templates)


def test_template_ids_are_unique(templates: list[Template]) -> None:
    assert len({template.template_id for template in templates}) == len(templates)


def test_no_phrasing_that_a_second_reader_called_wrong_is_in_the_bank(templates: list[Template]) -> None:
    verdicts = read_reviews()
    assert [template.text for template in templates if verdicts.get(template.template_id) == "wrong"] == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"relation": "P36", "causal": true}', "field 'text' is missing"),
        ('{"relation": "P36", "text": "a", "causal": "yes"}', "field 'causal' is 'yes', not bool"),
        ('{"relation": "P0", "text": "a", "causal": true}', "unknown relation 'P0'"),
        ('{"relation": "P36", "text": "a", "causal": true, "colour": 1}', "unknown field 'colour'"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "en.jsonl").write_text('{"relation": "P36", "text": "[X] [Y]", "causal": true}\n' + line + "\n")
    with pytest.raises(DataError, match=message) as caught:
        read_bank(("en",), tmp_path)
    assert caught.value.line == 2


def test_invalid_utf8_and_no_bank(tmp_path: Path) -> None:
    (tmp_path / "en.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(DataError, match=r"invalid UTF-8.*:1"):
        read_bank(("en",), tmp_path)
    with pytest.raises(DataError, match="no phrasing of de"):
        read_bank(("de",), tmp_path)
    with pytest.raises(DataError, match="no such template folder"):
        read_bank(("de",), tmp_path / "none")


def test_reviews_are_checked(tmp_path: Path) -> None:
    row = {"relation": "P36", "text": "[X] [Y].", "verdict": "fine"}
    (tmp_path / "en.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match="verdict is 'fine'"):
        read_reviews(("en",), tmp_path)
    (tmp_path / "en.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match="not a reading"):
        read_reviews(("en",), tmp_path)
    (tmp_path / "en.jsonl").write_bytes(b"\n\xff\n")
    with pytest.raises(DataError, match=r"invalid UTF-8.*en.jsonl:2"):
        read_reviews(("en",), tmp_path)


def test_bank_files_are_the_27(templates: list[Template]) -> None:
    assert sorted(file.stem for file in BANK.glob("*.jsonl")) == sorted(ALL_CODES)
