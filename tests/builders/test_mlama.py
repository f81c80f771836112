"""The mLAMA reader: what it yields, what it counts, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rml_lama.builders.mlama import MLamaSource
from rml_lama.errors import ConfigError, DataError
from rml_lama.languages import FIRST_TIER
from tests.conftest import CAPITALS, mlama_line

MakeZip = Callable[..., Path]


def test_facts_with_labels_answers_and_flags(make_zip: MakeZip, mlama_files: dict[str, str]) -> None:
    mlama_files["mlama1.1/en/P36.jsonl"] += mlama_line("Q38", "Q490", "Italy", "Milan", "second")
    source = MLamaSource(make_zip(mlama_files))
    facts = {(fact.subject_id, fact.object_id): fact for fact in source.facts()}
    rome, milan, berlin = facts["Q38", "Q220"], facts["Q38", "Q490"], facts["Q183", "Q64"]
    assert rome.labels["de"] == ("Italien", "Rom")
    assert rome.answers["en"] == ("Milan", "Rome")
    assert (rome.single_answer, berlin.single_answer) == (False, True)
    assert (rome.parallel, milan.parallel) == (True, False)
    assert source.report["counts"] == {"labelled_facts": 73, "lines": 73, "parallel_facts": 3, "relations": 1, "triples": 4}


def test_zip_and_folder_give_the_same(make_zip: MakeZip, mlama_files: dict[str, str], tmp_path: Path) -> None:
    from rml_lama.builders.archive import unpack

    path = make_zip(mlama_files)
    unpack(path, tmp_path / "folder")
    assert list(MLamaSource(path).facts()) == list(MLamaSource(tmp_path / "folder").facts())


def test_chinese_becomes_simplified_and_overlays_win(make_zip: MakeZip, mlama_files: dict[str, str], tmp_path: Path) -> None:
    mlama_files["mlama1.1/zh/P36.jsonl"] = mlama_line("Q142", "Q90", "法國", "巴黎", "u")
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "sw.tsv").write_text("Q142\tUfaransa\nQ90\tParis\n")
    (labels / "zh-hans.tsv").write_text("Q90\t花都\n")
    facts = {fact.object_id: fact for fact in MLamaSource(make_zip(mlama_files), labels=labels).facts()}
    assert facts["Q90"].labels["zh"] == ("法国", "花都")
    assert facts["Q90"].labels["sw"] == ("Ufaransa", "Paris")
    assert "sw" not in facts["Q64"].labels


def test_bad_rows_are_counted_with_reasons(make_zip: MakeZip, mlama_files: dict[str, str]) -> None:
    mlama_files["mlama1.1/en/P36.jsonl"] += (
        mlama_line("Q1", "Q2", " ", "Empty", "e")
        + mlama_line("Q3", "Q4", "a", "b", "Q142-Q90")  # a repeated uuid
        + mlama_line(*CAPITALS[0], "other-uuid")  # a repeated triple
    )
    source = MLamaSource(make_zip(mlama_files))
    list(source.facts())
    counts = {reject.filter: reject.count for reject in source.rejects if reject.language == "en"}
    assert counts == {"empty-label": 1, "duplicate-uuid": 1, "duplicate-triple": 1}
    missing = {reject.language for reject in source.rejects if reject.filter == "missing-file"}
    assert missing == {"bn", "th", "sw"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"sub_uri": "Q1"}', "field 'obj_uri' is missing"),
        ('{"sub_uri": 1, "obj_uri": "Q2", "sub_label": "a", "obj_label": "b", "uuid": "u"}', "field 'sub_uri'"),
    ],
)
def test_damaged_lines_are_named(make_zip: MakeZip, mlama_files: dict[str, str], line: str, message: str) -> None:
    mlama_files["mlama1.1/fr/P36.jsonl"] += line + "\n"
    with pytest.raises(DataError, match=message) as caught:
        list(MLamaSource(make_zip(mlama_files)).facts())
    assert caught.value.line == 4
    assert str(caught.value.path).endswith("fr/P36.jsonl")


def test_invalid_utf8_is_named(make_zip: MakeZip, mlama_files: dict[str, str]) -> None:
    files: dict[str, str | bytes] = {**mlama_files, "mlama1.1/fr/P36.jsonl": mlama_files["mlama1.1/fr/P36.jsonl"].encode() + b"\xff\xfe\n"}
    with pytest.raises(DataError, match=r"invalid UTF-8.*fr/P36.jsonl:4"):
        list(MLamaSource(make_zip(files)).facts())


def test_archives_without_mlama_and_unknown_relations(make_zip: MakeZip, mlama_files: dict[str, str]) -> None:
    with pytest.raises(DataError, match="no mLAMA data found"):
        MLamaSource(make_zip({"readme.txt": "x"}))
    with pytest.raises(DataError, match="no file of P37"):
        MLamaSource(make_zip(mlama_files), relations=("P37",))
    with pytest.raises(DataError, match="two mLAMA trees"):
        MLamaSource(make_zip({**mlama_files, "other/en/P36.jsonl": ""}))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sw.tsv", "Q1\ta\tb\n", r"3 columns.*sw.tsv:1"),
        ("sw.tsv", "Q1\ta\nfoo\tb\n", r"'foo' is not an item id.*:2"),
        ("sw.tsv", "Q1\t \n", "empty label"),
        ("sw.tsv", "Q1\ta\nQ1\tb\n", "second, different label"),
        ("xx.tsv", "Q1\ta\n", "unknown language 'xx'"),
    ],
)
def test_bad_label_files(make_zip: MakeZip, mlama_files: dict[str, str], tmp_path: Path, name: str, content: str, message: str) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / name).write_text(content)
    with pytest.raises(DataError, match=message):
        MLamaSource(make_zip(mlama_files), labels=labels)


def test_labels_are_no_folder(make_zip: MakeZip, mlama_files: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder"):
        MLamaSource(make_zip(mlama_files), labels=tmp_path / "none")


def test_the_lama_track_needs_its_archive() -> None:
    from rml_lama.builders.build import make_source
    from rml_lama.config import BuildConfig

    with pytest.raises(ConfigError, match="needs --mlama"):
        make_source(BuildConfig(track="lama"))
    with pytest.raises(ConfigError, match="belong to the track 'lama'"):
        make_source(BuildConfig(), mlama=Path("x.zip"))


@pytest.mark.shared
def test_the_real_archive_holds_what_its_paper_says(shared: Path) -> None:
    source = MLamaSource(shared / "mlama1.1.zip", labels=shared / "labels")
    per_language = dict.fromkeys(FIRST_TIER, 0)
    for fact in source.facts():
        if fact.parallel:
            for code in FIRST_TIER:
                per_language[code] += code in fact.labels
    counts = source.report["counts"]
    assert isinstance(counts, dict)
    assert (counts["triples"], counts["relations"], counts["parallel_facts"]) == (33_982, 41, 6_313)
    assert set(per_language.values()) == {6_313}
    assert [reject for reject in source.rejects if reject.filter != "missing-file"] == []
