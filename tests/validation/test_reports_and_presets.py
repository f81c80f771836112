"""Presets, tables of a run, parity, fact checks, agreement and back-translation: by hand, and on bad files."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest
from sacrebleu.metrics import BLEU

from rml_lama.errors import ConfigError, DataError
from rml_lama.languages import ALL_CODES
from rml_lama.records import Fact, Template, Verdict
from rml_lama.validation.agreement import Agreement, read_translations
from rml_lama.validation.back_translation import BackTranslation, round_trip
from rml_lama.validation.base import Context
from rml_lama.validation.facts import check_facts
from rml_lama.validation.labels import build_facts, build_labels, default_answers
from rml_lama.validation.parity import unequal_sets
from rml_lama.validation.presets import PRESETS, REGISTRY, Resources, make_filters, read_preset
from rml_lama.validation.report import Table, make_report
from rml_lama.validation.runner import Judged
from rml_lama.validation.scores import Scored

NOTHING = Context()


def template(text: str, relation: str = "P36", language: str = "en", causal: bool = True) -> Template:
    return Template(language, relation, text, causal)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_known_filters_with_their_options(name: str) -> None:
    filters = read_preset(name)
    assert set(filters) <= set(REGISTRY)
    assert {"structure", "script", "language"} <= set(filters)
    made = make_filters("light", Resources())
    assert [check.name for check in made] == list(read_preset("light"))
    assert set(read_preset("light")) < set(read_preset("full"))


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("[filters.polish]\n", ConfigError, "unknown filter 'polish'"),
        ("[filters.slots]\n", ConfigError, "options of the filter 'slots'"),
        ("[filters.slots]\nthreshold = 1\nlimit = 2\n", ConfigError, "options of the filter 'slots'"),
        ("[filter.slots]\n", ConfigError, "nothing else"),
        ("[filters", DataError, "not a TOML file"),
    ],
)
def test_bad_presets_are_named(tmp_path: Path, content: str, error: type[Exception], message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(content)
    with pytest.raises(error, match=message):
        make_filters(file, Resources())
    with pytest.raises(DataError, match="no preset"):
        read_preset("strict")


def scored(*outcomes: tuple[str, str, tuple[str, ...]]) -> list[Scored]:
    """Language, relation, and the filters (of a and b) that refuse."""
    rows = []
    for language, relation, refused in outcomes:
        verdicts = tuple(Verdict(name not in refused, name, float(name not in refused), 0.5, f"because {name}") for name in "ab")
        rows.append(Scored(Judged(template("[X] <is> [Y].", relation, language), verdicts), 0.25))
    return rows


def test_what_each_filter_alone_removes() -> None:
    report = make_report(scored(("en", "P36", ()), ("en", "P36", ("a",)), ("de", "P19", ("a", "b")), ("de", "P36", ())), preset="mine")
    by_filter, by_language, by_relation, examples = report.tables
    assert by_filter.rows == (("a", "4", "2", "1", "50.0%"), ("b", "4", "1", "0", "75.0%"))
    assert by_language.rows == (("de", "2", "1", "50.0%", "0.25"), ("en", "2", "1", "50.0%", "0.25"))
    assert [row[0] for row in by_relation.rows] == ["P19", "P36"]
    assert examples.rows[0] == ("a", "de", "P19", "[X] <is> [Y].", "because a")
    assert report.heading == "2 of 4 phrasings pass the filters of the preset mine"
    assert "&lt;is&gt;" in report.html()
    assert "<is>" not in report.html()
    assert "by it alone" in report.text()


def test_a_table_lines_up_its_columns() -> None:
    assert Table("t", ("name", "n"), (("a", "1,000"), ("bbbbb", "2"))).text() == "t\nname       n\na      1,000\nbbbbb      2"


def test_an_empty_run_has_a_report() -> None:
    assert make_report([], preset="light").text().startswith("0 of 0")


def test_thin_sets_are_found() -> None:
    full = [template(f"[X] {number} [Y]", language=code) for code in ("en", "de", "fr") for number in range(4)]
    thin = [template("[X] 1 [Y]", language="it")]
    (found,) = unequal_sets([*full, *thin])
    assert (found.language, found.relation, found.score, found.threshold) == ("it", "P36", 1, 2.0)
    mute = [template(f"[Y] {number} [X]", language="it", causal=False) for number in range(4)]
    (found,) = unequal_sets([*full, *mute])
    assert found.filter == "causal"
    assert unequal_sets(full) == []


def fact(subject: str, obj: str, labels: dict[str, tuple[str, str]]) -> Fact:
    return Fact("P36", subject, obj, labels, {}, True, True, "test", "")


def test_fact_checks() -> None:
    facts = [
        fact("Q1", "Q2", {"en": ("France", "Paris"), "ru": ("France", "Париж"), "de": ("Frankreich", "Paris")}),
        fact("Q1", "Q3", {"en": ("France", "Lyon"), "ru": ("Франция", "Лион"), "de": ("Frankenreich", "Lyon")}),
        fact("Q1", "Q3", {"en": ("France", "Lyon")}),
        fact("Q4", "Q5", {"en": ("Parisian suburbs", "Paris")}),
    ]
    found = {(reject.filter, reject.language): reject for reject in check_facts(facts)}
    assert found["duplicate", ""].reason == "the triple occurs 2 times"
    assert found["several-answers", ""].score == 0.5
    assert found["answer-in-subject", "en"].reason == "1 of 4 subjects give the answer away, Parisian suburbs (Paris) among them"
    assert found["label-script", "ru"].reason == "1 of 4 labels hold no letter of Russian"
    assert "Frankenreich (CLDR: Frankreich)" in found["label-cldr", "de"].reason
    assert check_facts([fact("Q1", "Q2", {"en": ("France", "Paris")})]) == []


def test_labels_of_a_build(open_build: Path) -> None:
    labels = build_labels(open_build, ("de",))
    assert ("Frankreich", "Paris") in labels["de", "P36"]
    assert len(build_facts(open_build)) >= len(labels["de", "P36"])
    assert "Frankreich" in default_answers()["de", "P17"]
    assert {code for code, _ in default_answers()} == set(ALL_CODES)


def translations_file(path: Path) -> Path:
    rows = ["lang\trelation\tpararel_idx\tsystem\toutput"]
    rows += [f"de\tP36\t0\t{name}\tDie Hauptstadt von [X] ist [Y]." for name in ("a", "b", "c")]
    rows += ["de\tP36\t0\td\tDas Kapital von [X] ist [Y].", "de\tP36\t1\ta\t[Y] regiert.", "zh-hans\tP36\t0\ta\t[X]的首都是[Y]。"]
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.write("\n".join(rows) + "\n")
    return path


def test_agreement_of_systems(tmp_path: Path) -> None:
    check = Agreement(read_translations(translations_file(tmp_path / "mt.tsv.gz")), 0.0)
    common = check.check(template("Die Hauptstadt von [X] ist [Y].", language="de"), NOTHING)
    rare = check.check(template("Das Kapital von [X] ist [Y].", language="de"), NOTHING)
    assert common.reason == "3 of 4 systems say exactly this"
    assert 75 < common.score < 100
    assert rare.score < common.score
    assert check.check(template("[X]的首都是[Y]。", language="zh"), NOTHING).score == 100
    assert math.isnan(check.check(template("[X] [Y]", language="fr"), NOTHING).score)


def test_tables_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("lang\toutput\n")
    with pytest.raises(DataError, match="'relation' is missing"):
        read_translations(tmp_path / "a.tsv")
    (tmp_path / "b.tsv.gz").write_text("no")
    with pytest.raises(DataError, match="cannot read"):
        read_translations(tmp_path / "b.tsv.gz")


def test_back_translation() -> None:
    check = BackTranslation(40.0)
    good = Template("de", "P36", "[X] [Y]", True, parent="en-P36-1", scores={"back_translation": 41.0})
    assert check.check(good, NOTHING).passed
    assert not BackTranslation(42.0).check(good, NOTHING).passed
    assert "en-P36-1" in check.check(good, NOTHING).reason
    assert math.isnan(check.check(template("[X] [Y]"), NOTHING).score)
    same = round_trip("[X]の首都は[Y]です。", "[X]の首都は[Y]です。", "ja")
    assert (same.chrf, same.bleu) == (100.0, 100.0)
    near = round_trip("The capital of [X] is [Y].", "The capital city of [X] is [Y].", "en")
    expected = BLEU(effective_order=True).sentence_score("The capital city of [X] is [Y].", ["The capital of [X] is [Y]."]).score
    assert near.bleu == pytest.approx(expected, abs=0.01)
