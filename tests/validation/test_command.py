"""`rml-lama validate`: the committed bank is green, faults are named, a sheet goes to people and comes back."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from rml_lama.builders.bank import read_bank
from rml_lama.builders.reviews import read_reviews
from rml_lama.errors import ConfigError, DataError
from rml_lama.validation.command import check_phrasings, exchange_sheet


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def fill(path: Path, changes: dict[int, dict[str, str]]) -> None:
    """Write values into the sheet as a person would."""
    rows = rows_of(path)
    for number, values in changes.items():
        rows[number].update(values)
    with path.open("w", encoding="utf-8", newline="") as stream:  # some programs drop the byte-order mark
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_the_committed_bank_passes_but_for_a_few(open_build: Path) -> None:
    checked = check_phrasings(None, None)
    assert len(checked.scored) == len(read_bank())
    assert len(checked.refused) <= 0.03 * len(checked.scored)  # false alarms are looked at: docs/validation.md
    broken = {"structure", "script"}
    assert not [verdict for one in checked.refused for verdict in one.judged.failed if verdict.filter in broken]
    assert {one.judged.template.text for one in check_phrasings(open_build, None).scored} <= {t.text for t in read_bank()}


def test_faults_are_named(tmp_path: Path) -> None:
    file = tmp_path / "en.jsonl"
    file.write_text('{"relation": "P36", "text": "The capital of [X] is here.", "causal": true}\n')
    checked = check_phrasings(None, file)
    assert len(checked.refused) == 1
    assert "[Y] occurs 0 times" in checked.report.text()
    (tmp_path / "phrasings.jsonl").write_text(file.read_text())
    with pytest.raises(DataError, match=r"need a file named <lang>.jsonl"):
        check_phrasings(None, tmp_path / "phrasings.jsonl")
    with pytest.raises(ConfigError, match="not both"):
        check_phrasings(tmp_path, file)


def test_rows_of_any_kind_are_judged_and_written(tmp_path: Path) -> None:
    rows = [
        {"language": "en", "relation": "P36", "template": "the capital of [X] is [Y]"},
        {"language": "en", "relation": "P36", "template": "the capital of [X] is not [Y]"},
        {"language": "xx", "relation": "P36", "template": "la kapitalo de [X] estas [Y]"},
        {"language": "de", "relation": "P9999", "template": "[X] schmeckt nach [Y]"},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    checked = check_phrasings(None, file, out=tmp_path / "out")
    written = [json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines()]
    assert [row["verdict"] for row in written] == ["accepted", "rejected", "accepted", "accepted"]
    assert written[1]["reasons"] == ["negation: negates: not"]
    assert all(0 < row["approve"] < 1 for row in written)
    assert written[2]["scores"]["script"] is None
    assert "no alphabet of 'xx'" in written[2]["told"]["script"]
    rejected = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    assert [(row["filter"], row["score"], row["threshold"]) for row in rejected] == [("negation", 1.0, 0.0)]
    assert (tmp_path / "out" / "report.txt").read_text() == checked.report.text()
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "The capital of [X] is not [Y]." in page


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"language": "en", "relation": "P36", "template": ""}', "'template' is missing or no text"),
        ('{"relation": "P36", "template": "a"}', "'language'"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(DataError, match=message + r".*rows.jsonl:1"):
        check_phrasings(None, file)


def test_a_sheet_goes_out_and_comes_back(open_build: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "de.csv"
    assert "phrasings written" in exchange_sheet(sheet, open_build, reader="Ada", out=None)
    rows = rows_of(sheet)
    assert len(rows) == len([t for t in read_bank(("de",)) if t.relation in {"P17", "P30", "P36", "P37", "P38", "P47", "P1376"}])
    for row in rows:
        assert "‹" in row["example_1"]
        assert row["example_1"] != row["example_2"]
        assert "[X]" not in row["example_1"]
    better = rows[2]["text"].replace("[X]", "das Gebiet [X]")
    fill(sheet, {0: {"verdict": "Natural"}, 2: {"verdict": "wrong", "reason": "so sagt man nicht", "better": better}})
    said = exchange_sheet(sheet, open_build, reader="Ada", out=None)
    assert said.startswith(f"2 of {len(rows)} phrasings read (1 natural, 1 wrong)")
    readings = [json.loads(line) for line in (tmp_path / "de.jsonl").read_text().splitlines()]
    assert [reading["verdict"] for reading in readings] == ["natural", "wrong"]
    assert readings[1] | {"reader": "Ada", "better": better, "reason": "so sagt man nicht"} == readings[1]
    assert set(read_reviews(("de",), tmp_path).values()) == {"natural", "wrong"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "fine"}, r"verdict is 'fine'.*de.csv:2"),
        ({"verdict": "wrong"}, "without a reason"),
        ({"verdict": "natural", "template_id": "de-P36-000000"}, "has no phrasing 'de-P36-000000'"),
    ],
)
def test_bad_sheets_are_named(open_build: Path, tmp_path: Path, change: dict[str, str], message: str) -> None:
    sheet = tmp_path / "de.csv"
    exchange_sheet(sheet, open_build, reader="Ada", out=None)
    fill(sheet, {0: change})
    with pytest.raises(DataError, match=message):
        exchange_sheet(sheet, open_build, reader="Ada", out=None)
    assert not (tmp_path / "de.jsonl").exists()


def test_sheets_that_cannot_be(open_build: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown language 'sheet'"):
        exchange_sheet(tmp_path / "sheet.csv", open_build, reader="Ada", out=None)
    with pytest.raises(ConfigError, match="takes its examples from a build"):
        exchange_sheet(tmp_path / "de.csv", None, reader="Ada", out=None)
    with pytest.raises(DataError, match="no queries in 'fr'"):
        exchange_sheet(tmp_path / "fr.csv", open_build, reader="Ada", out=None)
    (tmp_path / "de.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="column 'template_id' is missing"):
        exchange_sheet(tmp_path / "de.csv", open_build, reader="Ada", out=None)


def test_a_cell_is_never_a_formula(tmp_path: Path) -> None:
    from rml_lama.records import Template
    from rml_lama.validation.sheet import write_sheet

    write_sheet(tmp_path / "en.csv", [Template("en", "P36", "[X] has [Y].", True)], {"P36": [("=cmd()", "Paris")]})
    assert rows_of(tmp_path / "en.csv")[0]["example_1"].startswith("'=cmd()")
