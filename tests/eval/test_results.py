"""Results: the numbers from hand-made predictions, round trips, tables in every format, pictures."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rml_lama.errors import ConfigError, DataError
from rml_lama.eval.formulas import FORMULAS
from rml_lama.eval.frame import PREDICTIONS, SCORES, Frame
from rml_lama.eval.metrics import rank
from rml_lama.eval.plots import CHARTS, chart, save_chart
from rml_lama.eval.results import Result, summarize
from rml_lama.eval.tables import FORMATS, GROUPINGS, render_table
from rml_lama.signature import Signature

Line = tuple[str, str, str, int, list[float]]  # fact, language, phrasing, gold's number among a b c, scores of a b c
LABELS = ("a", "b", "c")


def made(lines: list[Line], **columns: list[Any]) -> tuple[pa.Table, pa.Table]:
    """Tables of a run, from scores written by hand; the relation is the first letter of the fact."""
    rows, scores = [], []
    for fact, language, phrasing, gold, values in lines:
        order = [gold, *(place for place in range(len(values)) if place != gold)]
        ranking = rank(np.array(values)[order])
        names = ("greater", "ties", "candidates", "rank", "margin", "normalized", "confidence", "entropy", "brier")
        query = f"{language}-{fact}-{phrasing}"
        template = f"{language}-{fact[0]}-{phrasing}"
        labels = [LABELS[order[place]] for place in ranking.order]
        rows.append(
            {
                **{name: getattr(ranking, name) for name in names},
                "query_id": query,
                "fact_id": fact,
                "relation": {"x": "P36", "y": "P37"}[fact[0]],
                "language": language,
                "template_id": template,
                "answer": LABELS[gold],
                "single_answer": True,
                "answer_in_subject": fact == "x1",
                "gold_score": ranking.gold,
                "answer_tokens": 1,
                "answer_ids": [gold],
                "top": labels,
                "top_objects": labels,
                "top_scores": sorted(values, reverse=True),
            }
        )
        scores.append({"query_id": query, "objects": [LABELS[place] for place in order], "scores": [values[place] for place in order]})
    return pa.Table.from_pylist(rows, schema=PREDICTIONS), pa.Table.from_pylist(scores, schema=SCORES)


# Two relations (x, y), three facts, two phrasings, two languages. Right answers (x1: a, x2: b, y1: c) get the largest score or not.
LINES: list[Line] = [
    ("x1", "en", "p", 0, [3.0, 2.0, 1.0]),  # right
    ("x1", "en", "q", 0, [2.0, 3.0, 1.0]),  # second
    ("x2", "en", "p", 1, [1.0, 3.0, 2.0]),  # right
    ("x2", "en", "q", 1, [1.0, 3.0, 2.0]),  # right
    ("y1", "en", "p", 2, [3.0, 2.0, 1.0]),  # third
    ("y1", "en", "q", 2, [3.0, 2.0, 1.0]),  # third
    ("x1", "de", "p", 0, [3.0, 2.0, 1.0]),  # right
    ("x1", "de", "q", 0, [3.0, 2.0, 1.0]),  # right
    ("x2", "de", "p", 1, [3.0, 2.0, 1.0]),  # second
    ("x2", "de", "q", 1, [3.0, 2.0, 1.0]),  # second
    ("y1", "de", "p", 2, [1.0, 2.0, 3.0]),  # right
    ("y1", "de", "q", 2, [1.0, 3.0, 2.0]),  # second
]
SIGNATURE = Signature((("v", "1.0.0"), ("ci", "cluster-50-seed0"), ("model", "hand@local")))


@pytest.fixture(scope="module")
def result() -> Result:
    return summarize(*made(LINES), SIGNATURE, resamples=50, seed=0)


def test_means_by_hand(result: Result) -> None:
    #            en: P36 (1 + 0 + 1 + 1)/4 = 3/4, P37 0 -> 3/8      de: P36 2/4, P37 1/2 -> 1/2
    assert result.languages["en"]["P@1"].value == pytest.approx(3 / 8)
    assert result.languages["de"]["P@1"].value == pytest.approx(1 / 2)
    assert result.overall["P@1"].value == pytest.approx(7 / 16)
    assert result.relations["P36"]["P@1"].value == pytest.approx((3 / 4 + 1 / 2) / 2)
    #            MRR en: P36 (1 + 1/2 + 1 + 1)/4, P37 1/3           de: P36 (1 + 1 + 1/2 + 1/2)/4, P37 (1 + 1/2)/2
    assert result.languages["en"]["MRR"].value == pytest.approx((3.5 / 4 + 1 / 3) / 2)
    assert result.languages["de"]["MRR"].value == pytest.approx((3 / 4 + 3 / 4) / 2)
    #            margins en: P36 (1 - 1 + 1 + 1)/4, P37 -2
    assert result.languages["en"]["margin"].value == pytest.approx((1 / 2 - 2) / 2)
    assert result.sums.families["Indo-European"]["P@1"] == result.overall["P@1"]
    assert result.sums.balanced["P@1"] == result.overall["P@1"]
    assert result.queries == {"en": 6, "de": 6}
    assert result.overall["P@1"].facts == 3


def test_strata_by_hand(result: Result) -> None:
    inside = result.sums.strata["answer inside the subject"]
    assert inside["yes"]["P@1"].value == pytest.approx((1 / 2 + 1) / 2)  # x1 only
    assert inside["yes"]["P@1"].facts == 1
    assert set(result.sums.strata["right answers of the subject"]) == {"one"}
    assert set(result.sums.strata["answer's tokens in another language"]) == {"all"}
    assert set(result.sums.strata["tokens of the answer"]) == {"1"}


def test_families_weigh_alike() -> None:
    lines = [(*line[:1], {"en": "ja"}.get(line[1], line[1]), *line[2:]) for line in LINES]  # type: ignore[misc]
    both = summarize(*made([*LINES, *(line for line in lines if line[1] == "ja")]), SIGNATURE, resamples=50, seed=0)
    # en 3/8, de 1/2 (one family), ja 3/8
    assert both.overall["P@1"].value == pytest.approx((3 / 8 + 1 / 2 + 3 / 8) / 3)
    assert both.sums.balanced["P@1"].value == pytest.approx(((3 / 8 + 1 / 2) / 2 + 3 / 8) / 2)
    assert both.sums.scripts["Latin"]["P@1"].value == pytest.approx((3 / 8 + 1 / 2) / 2)


def test_phrasings_by_hand(result: Result) -> None:
    english, german = result.phrasing.languages["en"], result.phrasing.languages["de"]
    assert english["consistency"].value == pytest.approx((1 / 2 + 1) / 2)  # x1 differs, x2 agrees; y1 agrees
    assert english["all right"].value == pytest.approx((1 / 2 + 0) / 2)
    assert english["any right"].value == pytest.approx((1 + 0) / 2)
    assert german["consistency"].value == pytest.approx((1 + 0) / 2)
    # the phrasing p is right twice in English P36, q once
    assert result.phrasing.templates["en-x-p"] == 1.0
    assert result.phrasing.templates["en-x-q"] == 0.5
    assert english["best phrasing"].value == pytest.approx((1 + 0) / 2)
    assert english["worst phrasing"].value == pytest.approx((1 / 2 + 0) / 2)
    total = english["disagreement"].value + english["unsure"].value
    assert english["uncertainty"].value == pytest.approx(total)


def test_agreement_by_hand(result: Result) -> None:
    assert result.agreement is not None
    assert result.agreement.languages == ("en", "de")
    # mean_q p_q: x1 en: a and b tie, c last (a first by order), de a b c -> the same order; x2 en b c a, de a b c; y1 en a b c, de b c a
    # same top: x1 yes, x2 no, y1 no
    assert result.agreement.overall["same answer"].value == pytest.approx((1 / 2 + 0) / 2)
    # right by majority: en x1 1/2 no, x2 yes, y1 no; de x1 yes, x2 no, y1 1/2 no
    assert result.agreement.matrices["Jaccard"][0][1] == 0
    e = np.exp([2.0, 1.0, 0.0])
    w = e / e.sum()
    # x2: b c a against a b c: tops {b}{a}, {b,c}{a,b}: 1/2, all: 1.   y1: a b c against b c a: 0, 1/2, 1
    different = w[1] / 2 + w[2]
    assert result.agreement.matrices["RankC"][0][1] == pytest.approx(((1 + different) / 2 + different) / 2)
    assert result.agreement.matrices["RankC"][1][1] == 1


def test_trust_by_hand(result: Result) -> None:
    e = np.exp([2.0, 1.0, 0.0])
    confidence = float(e[0] / e.sum())  # of every query
    assert sum(count for count, _, _ in result.trust.bins) == 12
    # twelve queries, fifteen bins: one query a bin, each right or wrong; five are wrong ... six right
    assert result.trust.overall["ECE"].value == pytest.approx((6 * (1 - confidence) + 6 * confidence) / 12)
    assert result.trust.overall["AURC"].value == pytest.approx(1 / 2)  # all equally sure: the error rate
    assert result.trust.languages["en"]["AURC"].value == pytest.approx(1 / 2)
    assert result.trust.curves["AURC"][-1] == pytest.approx((1.0, 1 / 2))


def test_everything_reported_has_a_formula(result: Result) -> None:
    reported = {*result.overall, *result.phrasing.overall, *result.trust.overall}
    assert result.agreement is not None
    assert reported | set(result.agreement.overall) == set(FORMULAS)
    assert len({formula.id for formula in FORMULAS.values()}) == len(FORMULAS)
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for formula in FORMULAS.values():
        assert f"`{formula.id}`" in page, formula.id


def test_results_round_trip_and_notice_a_change(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "run")
    again = Result.load(tmp_path / "run")
    for name in ("sums", "phrasing", "agreement", "trust", "signature", "queries"):
        assert getattr(again, name) == getattr(result, name), name
    assert again.predictions.equals(result.predictions)
    assert again.scores.equals(result.scores)
    changed = json.loads((tmp_path / "run" / "result.json").read_text())
    changed["sums"]["overall"]["P@1"]["value"] = 1.0
    (tmp_path / "run" / "result.json").write_text(json.dumps(changed))
    with pytest.raises(DataError, match="not the one that SHA256SUMS names"):
        Result.load(tmp_path / "run")
    with pytest.raises(DataError, match="not a result folder"):
        Result.load(tmp_path)
    (tmp_path / "run" / "result.json").write_text(json.dumps({**changed, "schema": 1}))
    with pytest.raises(DataError, match="schema 1; this version reads 2"):
        Result.load(tmp_path / "run")


def test_tables_of_other_queries_are_refused() -> None:
    predictions, scores = made(LINES)
    with pytest.raises(DataError, match="not of the same queries"):
        Frame(predictions, scores.slice(1))
    other = [*LINES[:1], ("x1", "en", "q", 0, [2.0, 3.0]), *LINES[2:]]
    with pytest.raises(DataError, match="phrasings of fact x1 rank different candidates"):
        list(Frame(*made(other)).groups())


@pytest.mark.parametrize("by", GROUPINGS)
@pytest.mark.parametrize("format", FORMATS)
def test_tables(result: Result, by: str, format: str) -> None:
    text = result.table(by, format=format)
    if format == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {row[by] for row in rows} >= {"language": {"English (en)"}, "relation": {"capital (P36)"}}.get(by, set())
        assert all(0 <= float(row["P@1 low"]) <= float(row["P@1"]) <= float(row["P@1 high"]) <= 1 for row in rows)
    elif format == "json":
        assert {"value", "low", "high", "facts"} == set(json.loads(text)[0]["P@1"])
    elif format == "latex":
        assert text.count("\\\\") == len(json.loads(result.table(by, format="json"))) + 1
        assert "_" not in text.replace("\\_", "")
    else:
        assert len({line.count("|") for line in text.splitlines()}) == 1
    if by == "language" and format == "markdown":
        assert "| English (en) | 3 | 0.375 [" in text
        assert "| mean of languages | 3 | 0.438 [" in text


def test_tables_that_are_not_there(result: Result) -> None:
    with pytest.raises(ConfigError, match="no table by 'colour'"):
        render_table(result, "colour")
    with pytest.raises(ConfigError, match="no format 'xml'"):
        render_table(result, format="xml")


@pytest.mark.parametrize("kind", sorted(CHARTS))
@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_pictures(result: Result, tmp_path: Path, kind: str, ending: str) -> None:
    save_chart(result.plot(kind), tmp_path / f"picture{ending}")
    content = (tmp_path / f"picture{ending}").read_bytes()
    assert content.startswith(b"\x89PNG") if ending == ".png" else b"hand" in content


def test_pictures_that_are_not_there(result: Result, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="use one of"):
        save_chart(result.plot(), tmp_path / "picture.gif")
    with pytest.raises(ConfigError, match="no chart 'pie'"):
        chart(result, "pie")
    with pytest.raises(ConfigError, match="no metric 'luck'"):
        result.plot(metric="luck")
    alone = summarize(*made([line for line in LINES if line[1] == "en"]), SIGNATURE, resamples=20, seed=0)
    assert alone.agreement is None
    with pytest.raises(ConfigError, match="evaluate at least two"):
        alone.plot("agreement")
