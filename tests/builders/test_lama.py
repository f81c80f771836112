"""The reader of the original LAMA archive: what it yields, counts, compares and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rml_lama.builders.build import build, make_source
from rml_lama.builders.command import fetch
from rml_lama.builders.lama import LamaSource
from rml_lama.builders.mlama import MLamaSource
from rml_lama.config import BuildConfig
from rml_lama.errors import ConfigError, DataError, UnsafeArchiveError
from rml_lama.languages import FIRST_TIER
from rml_lama.records import RELATIONS
from tests.builders.lama_layout import LISTING, TREX, lama_line, relation_line, small_lama
from tests.builders.wikibase import wikibase
from tests.conftest import CAPITALS, mlama_line

MakeZip = Callable[..., Path]


@pytest.fixture
def lama_files() -> dict[str, str]:
    return small_lama()


def overlays(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.tsv").write_text(content, encoding="utf-8")
    return folder


def test_english_facts_with_answers_flags_and_counts(make_zip: MakeZip, lama_files: dict[str, str]) -> None:
    lama_files[TREX] += lama_line("Q38", "Q490", " Italy", "Milan", evidences=[])
    source = LamaSource(make_zip(lama_files))
    facts = list(source.facts())
    assert [(fact.relation, fact.subject_id, fact.object_id) for fact in facts] == [
        ("P36", "Q38", "Q220"),
        ("P36", "Q38", "Q490"),
        ("P36", "Q142", "Q90"),
        ("P36", "Q183", "Q64"),
        ("P37", "Q142", "Q150"),
    ]
    rome = facts[0]
    assert (rome.labels, rome.answers) == ({"en": ("Italy", "Rome")}, {"en": ("Milan", "Rome")})
    assert [fact.single_answer for fact in facts] == [False, False, True, True, True]
    assert all(fact.parallel for fact in facts), "with English alone, every fact is labelled wherever labels are at hand"
    assert {(fact.source, fact.license, fact.subject_qid == fact.subject_id) for fact in facts} == {("lama", "CC-BY-NC-4.0", True)}
    assert source.report["counts"] == {
        "evidences": 8,
        "labelled_facts": 5,
        "lines": 5,
        "parallel_facts": 5,
        "relation_differences": 2,
        "relations": 2,
        "triples": 5,
    }
    assert source.report["ignored"] == {"files of other relations": 1, "other files": 2, "other relations listed": 1}
    assert source.rejects == ()


def test_what_the_archive_says_of_relations_is_compared(make_zip: MakeZip, lama_files: dict[str, str]) -> None:
    differences = LamaSource(make_zip(lama_files)).report["differences"]
    assert differences == [
        {"relation": "P37", "field": "label", "archive": "official tongue", "package": "official language"},
        {"relation": "P37", "field": "type", "archive": "N-1", "package": "N-M"},
    ]
    lama_files[LISTING] = relation_line("P37", "official language", "N-M")
    differences = LamaSource(make_zip(lama_files)).report["differences"]
    assert differences == [{"relation": "P36", "field": "relation", "archive": "", "package": "P36"}]


def test_zip_folder_and_inner_folder_give_the_same(make_zip: MakeZip, lama_files: dict[str, str], tmp_path: Path) -> None:
    from rml_lama.builders.archive import unpack

    path = make_zip(lama_files)
    unpack(path, tmp_path / "folder")
    facts = list(LamaSource(path).facts())
    assert facts == list(LamaSource(tmp_path / "folder").facts())
    assert facts == list(LamaSource(tmp_path / "folder" / "data").facts())


def test_other_languages_come_by_item_id(make_zip: MakeZip, lama_files: dict[str, str], tmp_path: Path) -> None:
    labels = overlays(
        tmp_path / "labels",
        de="Q142\tFrankreich\nQ90\tParis\nQ183\tDeutschland\nQ64\tBerlin\nQ38\tItalien\n",
        sw="Q142\tUfaransa\nQ90\tParis\n",
        en="Q90\tCity of Light\n",
    )
    source = LamaSource(make_zip(lama_files), labels=labels)
    facts = {fact.object_id: fact for fact in source.facts()}
    assert facts["Q90"].labels == {"en": ("France", "City of Light"), "de": ("Frankreich", "Paris"), "sw": ("Ufaransa", "Paris")}
    assert list(facts["Q90"].labels) == ["en", "de", "sw"]
    assert set(facts["Q220"].labels) == {"en"}
    assert facts["Q64"].answers == {"en": ("Berlin",), "de": ("Berlin",)}
    assert list(source.report["checksums"]) == ["lama", "labels/de.tsv", "labels/en.tsv", "labels/sw.tsv"]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("files", "languages", "parallel"),
    [
        ({}, ["en"], {"Q90", "Q64", "Q220"}),
        ({"sw": "Q142\tUfaransa\n"}, ["en"], {"Q90", "Q64", "Q220"}),
        ({"de": "Q142\tFrankreich\nQ90\tParis\nQ64\tBerlin\n"}, ["en", "de"], {"Q90"}),
        ({"de": "Q142\tFrankreich\nQ90\tParis\n", "fr": "Q142\tFrance\n"}, ["en", "de", "fr"], set()),
        ({"de": "\n"}, ["en"], {"Q90", "Q64", "Q220"}),
        (dict.fromkeys(FIRST_TIER, "Q142\tF\nQ90\tP\n"), list(FIRST_TIER), {"Q90"}),
    ],
)
def test_parallel_means_wherever_first_tier_labels_are_at_hand(
    make_zip: MakeZip, lama_files: dict[str, str], tmp_path: Path, files: dict[str, str], languages: list[str], parallel: set[str]
) -> None:
    labels = overlays(tmp_path / "labels", **files) if files else None
    source = LamaSource(make_zip(lama_files), labels=labels, relations=("P36",))
    assert {fact.object_id for fact in source.facts() if fact.parallel} == parallel
    assert source.report["parallel_languages"] == languages


def test_bad_rows_are_counted_with_reasons(make_zip: MakeZip, lama_files: dict[str, str]) -> None:
    lama_files[TREX] += (
        lama_line("Q1", "Q2", " ", "Empty")
        + lama_line("Q3", "Q4", "a", "b", uuid="Q142-Q90")
        + lama_line(*CAPITALS[0], uuid="other")
        + lama_line("Q5", "Q6", "c", "d", relation="P37")
    )
    lama_files[LISTING] += relation_line("P36", "capital", "1-1") + relation_line("P38", "currency", "N-M")
    source = LamaSource(make_zip(lama_files))
    assert len(list(source.facts())) == 4
    rejects = {reject.filter: (reject.relation, reject.item, reject.count) for reject in source.rejects}
    assert rejects == {
        "empty-label": ("P36", "Q1 Q2", 1),
        "duplicate-uuid": ("P36", "Q142-Q90", 1),
        "duplicate-triple": ("P36", "Q142 Q90", 1),
        "other-relation": ("P36", "Q5 Q6", 1),
        "duplicate-relation": ("P36", "P36", 1),
        "missing-file": ("P38", "TREx/P38.jsonl", 1),
    }


def test_chosen_relations(make_zip: MakeZip, lama_files: dict[str, str]) -> None:
    lama_files[LISTING] += relation_line("P38", "currency", "N-M")
    source = LamaSource(make_zip(lama_files), relations=("P37",))
    assert {fact.relation for fact in source.facts()} == {"P37"}
    assert source.rejects == (), "a file that was not asked for is not missed"
    with pytest.raises(DataError, match="no file of P38"):
        LamaSource(make_zip(lama_files), relations=("P38",))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("{}", "field 'sub_uri' is missing"),
        (lama_line(*CAPITALS[0], sub_uri=1), "field 'sub_uri'"),
        (lama_line(*CAPITALS[0], obj_label=None), "field 'obj_label'"),
        (lama_line(*CAPITALS[0], predicate_id=36), "field 'predicate_id'"),
        (lama_line(*CAPITALS[0], evidences="none"), "'evidences' is not a list"),
        (lama_line(*CAPITALS[0], obj_label="\ud800"), "'obj_label' holds half of a surrogate pair"),
    ],
)
def test_damaged_lines_are_named(make_zip: MakeZip, lama_files: dict[str, str], line: str, message: str) -> None:
    lama_files[TREX] += line.rstrip("\n") + "\n"
    with pytest.raises(DataError, match=message) as caught:
        list(LamaSource(make_zip(lama_files)).facts())
    assert caught.value.line == 4
    assert str(caught.value.path).endswith(TREX)


@pytest.mark.parametrize(
    ("line", "message"), [("{", "not JSON"), ("{}", "field 'relation'"), ('{"relation": "P36", "label": "capital"}', "field 'type'")]
)
def test_damaged_listings_are_named(make_zip: MakeZip, lama_files: dict[str, str], line: str, message: str) -> None:
    lama_files[LISTING] += line + "\n"
    with pytest.raises(DataError, match=message) as caught:
        LamaSource(make_zip(lama_files))
    assert (caught.value.line, str(caught.value.path).endswith(LISTING)) == (4, True)


def test_invalid_utf8_is_named(make_zip: MakeZip, lama_files: dict[str, str]) -> None:
    files: dict[str, str | bytes] = {**lama_files, TREX: lama_files[TREX].encode() + b"\xff\xfe\n"}
    with pytest.raises(DataError, match=r"invalid UTF-8.*TREx/P36.jsonl:4"):
        list(LamaSource(make_zip(files)).facts())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({LISTING: None}, DataError, r"no data/relations\.jsonl beside data/TREx/"),
        ({TREX: None, "data/TREx/P37.jsonl": None}, DataError, "no LAMA data found"),
        ({"old/TREx/P36.jsonl": ""}, DataError, "two LAMA trees"),
        ({"../evil": "x"}, UnsafeArchiveError, "would leave the folder"),
        ({"data/TREx/P17.jsonl": "\0" * 30_000_000}, UnsafeArchiveError, "unpacks to 30000000 bytes"),
    ],
)
def test_archives_that_are_not_read(
    make_zip: MakeZip, lama_files: dict[str, str], change: dict[str, str | None], error: type[Exception], message: str
) -> None:
    files = {name: content for name, content in (lama_files | change).items() if content is not None}
    with pytest.raises(error, match=message):
        LamaSource(make_zip(files))


def test_an_mlama_archive_is_not_lama(make_zip: MakeZip, mlama_files: dict[str, str]) -> None:
    with pytest.raises(DataError, match="no LAMA data found"):
        LamaSource(make_zip(mlama_files))


def test_files_without_evidences_are_read(make_zip: MakeZip, lama_files: dict[str, str]) -> None:
    row = json.loads(lama_line(*CAPITALS[0]))
    del row["evidences"]
    lama_files[TREX] = json.dumps(row) + "\n"
    source = LamaSource(make_zip(lama_files), relations=("P36",))
    assert len(list(source.facts())) == 1
    assert source.report["counts"]["evidences"] == 0  # type: ignore[index]


def test_facts_are_those_of_mlama_in_english(make_zip: MakeZip, mlama_files: dict[str, str], lama_files: dict[str, str]) -> None:
    extra = ("Q38", "Q490", "Italy", "Milan")
    mlama_files["mlama1.1/en/P36.jsonl"] += mlama_line(*extra, "second")
    lama_files[TREX] = "".join(lama_line(*capital) for capital in [extra, *CAPITALS])
    theirs = list(MLamaSource(make_zip(mlama_files, "mlama.zip")).facts())
    ours = list(LamaSource(make_zip(lama_files, "lama.zip"), relations=("P36",)).facts())
    assert [(fact.fact_id, fact.labels["en"], fact.answers["en"], fact.single_answer) for fact in ours] == [
        (fact.fact_id, fact.labels["en"], fact.answers["en"], fact.single_answer) for fact in theirs
    ]


def test_a_build_says_where_its_facts_come_from(make_zip: MakeZip, lama_files: dict[str, str], bank: Path, tmp_path: Path) -> None:
    labels = overlays(tmp_path / "labels", de="Q142\tFrankreich\nQ90\tParis\n")
    config = BuildConfig(track="lama", languages=("en", "de"), relations=("P36",))
    path = make_zip(lama_files, "lama.zip")
    summary = build(tmp_path / "out", config, lama=path, labels=labels, bank=bank)
    assert (summary.rows["en"], summary.rows["de"], summary.rows["facts"]) == (2, 2, 1)
    source = json.loads((tmp_path / "out" / "MANIFEST.json").read_text())["source"]
    assert (source["name"], source["license"], source["parallel_languages"]) == ("lama", "CC-BY-NC-4.0", ["en", "de"])
    build(tmp_path / "again", config, lama=path, labels=labels, bank=bank)
    for file in (tmp_path / "out").rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / "again" / file.relative_to(tmp_path / "out")).read_bytes()
    everywhere = b"".join(file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file())
    assert b"An invented sentence" not in everywhere


def test_fetched_labels_make_it_multilingual(make_zip: MakeZip, lama_files: dict[str, str], bank: Path, tmp_path: Path) -> None:
    """The way of docs/data.md: an English build, labels for its items, a build in two languages."""
    path, labels = make_zip(lama_files, "lama.zip"), tmp_path / "labels"
    build(tmp_path / "english", BuildConfig(track="lama", languages=("en",)), lama=path, bank=bank)
    with wikibase() as server:
        server.items = dict.fromkeys(("Q142", "Q90", "Q183", "Q64", "Q38", "Q220", "Q150"))
        server.items |= {"Q142": {"de": "Frankreich"}, "Q90": {"mul": "Paris"}, "Q64": {"de": "Berlin"}}
        options = {"url": server.url, "ids": tmp_path / "english", "languages": "de"}
        report = fetch("labels", labels, **options, contact="bot@example.org", progress=lambda done, total: None)  # type: ignore[arg-type]
        assert server.requests == [(["Q38", "Q64", "Q90", "Q142", "Q150", "Q183", "Q220"], ["de", "mul"])]
    assert "de.tsv: 3 labels" in report
    summary = build(tmp_path / "out", BuildConfig(track="lama", languages=("en", "de")), lama=path, labels=labels, bank=bank)
    assert (summary.rows["facts"], summary.rows["de"]) == (1, 2)


@pytest.mark.parametrize(
    ("track", "options", "message"),
    [
        ("lama", {}, "needs --mlama ZIP_OR_DIR .* or --lama"),
        ("lama", {"mlama": Path("a"), "lama": Path("b")}, "choose --mlama or --lama"),
        ("open", {"lama": Path("b")}, "belong to the track 'lama'"),
    ],
)
def test_options_that_do_not_fit(track: Any, options: dict[str, Path], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_source(BuildConfig(track=track), **options)


@pytest.mark.shared
def test_a_large_archive_of_this_layout_gives_mlamas_english_facts(shared: Path, make_zip: MakeZip) -> None:
    """Invented evidences around facts of mLAMA, since tests do not have the original archive."""
    import zipfile

    files = {LISTING: "".join(relation_line(row.id, row.name, row.kind) for row in RELATIONS.values())}
    with zipfile.ZipFile(shared / "mlama1.1.zip") as archive:
        for relation in ("P36", "P47", "P1001"):
            rows = [json.loads(line) for line in archive.read(f"mlama1.1/en/{relation}.jsonl").decode().splitlines()]
            evidences = [{"masked_sentence": f"number {number} [MASK]"} for number in range(20)]
            files[f"data/TREx/{relation}.jsonl"] = "".join(
                json.dumps({**row, "predicate_id": relation, "evidences": evidences}) + "\n" for row in reversed(rows)
            )
    ours = [(fact.fact_id, fact.labels["en"], fact.answers["en"]) for fact in LamaSource(make_zip(files)).facts()]
    theirs = MLamaSource(shared / "mlama1.1.zip", relations=("P36", "P47", "P1001")).facts()
    assert ours == [(fact.fact_id, fact.labels["en"], fact.answers["en"]) for fact in theirs if "en" in fact.labels]
    assert len(ours) > 2000
