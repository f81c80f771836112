"""The judge: its regression against an independent fit, its honesty on planted noise, its file, and what it does with gaps."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rml_lama.errors import DataError
from rml_lama.records import Verdict
from rml_lama.validation.calibrate import calibrate, leave_one_language_out, read_labels, relation_offsets, write_judge
from rml_lama.validation.judge import RELATION, Judge, Variant, load_judge
from rml_lama.validation.logistic import auc, fit_logistic
from rml_lama.validation.runner import Judged


def test_auc_by_hand_and_against_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    assert auc(np.array([3.0, 2.0, 1.0]), np.array([1, 0, 1])) == 0.5
    assert math.isnan(auc(np.array([1.0]), np.array([1])))
    draw = np.random.default_rng(0)
    scores, labels = draw.integers(0, 9, 200).astype(float), draw.integers(0, 2, 200)
    assert auc(scores, labels) == pytest.approx(metrics.roc_auc_score(labels, scores))


def test_the_regression_is_that_of_scikit_learn() -> None:
    """One group only, whose offset scikit-learn leaves free."""
    linear = pytest.importorskip("sklearn.linear_model")
    draw = np.random.default_rng(1)
    features = draw.normal(size=(400, 3)) * [1.0, 5.0, 0.1] + [0.0, 2.0, -1.0]
    chance = 1 / (1 + np.exp(-(features[:, 0] - 0.3 * (features[:, 1] - 2))))
    approved = (draw.random(400) < chance).astype(int)
    ours = fit_logistic(features, approved, ["en"] * 400, penalty=2.0)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    theirs = linear.LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(standard, approved)
    assert ours.weights == pytest.approx(theirs.coef_[0], abs=2e-3)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=2e-3)


def test_a_strict_language_does_not_turn_the_weights() -> None:
    """Two languages with opposite strictness and means: pooled, the feature looks harmful; within each it helps."""
    draw = np.random.default_rng(2)
    strict = np.repeat([0, 1], 500)
    quality = draw.normal(size=1000)
    approved = (draw.random(1000) < 1 / (1 + np.exp(-(quality + 2 - 4 * strict)))).astype(int)
    fit = fit_logistic((quality + 3 * strict)[:, None], approved, [str(one) for one in strict], penalty=1.0)
    assert fit.weights[0] > 0.5


def test_missing_scores_count_as_the_mean() -> None:
    fit = fit_logistic(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1]), ["en"] * 4, penalty=1.0)
    assert fit.logits(np.array([[math.nan]]))[0] == pytest.approx(fit.logits(np.array([[1.5]]))[0])
    empty = fit_logistic(np.array([[math.nan]] * 4), np.array([0, 0, 1, 1]), ["en"] * 4, penalty=1.0)
    assert empty.weights[0] == 0


def test_noise_earns_no_auc() -> None:
    """Features and relations without any bearing on the labels: nested leave-one-out stays near one half."""
    draw = np.random.default_rng(3)
    languages = np.repeat(["a", "b", "c", "d", "e"], 80)
    relations = np.array([f"P{number}" for number in draw.integers(1, 30, 400)])
    found = leave_one_language_out(draw.normal(size=(400, 6)), draw.integers(0, 2, 400), languages, relations)
    assert 0.42 < np.mean(list(found.values())) < 0.58


def test_relation_offsets_by_hand() -> None:
    offsets = relation_offsets(np.array([1, 0, 1, 1]), np.array(["de", "de", "fr", "fr"]), np.array(["P1", "P2", "P1", "P1"]))
    assert offsets == {"P1": round((0.5 + 0 + 0) / (3 + 4), 4), "P2": round(-0.5 / (1 + 4), 4)}


def verdict(name: str, score: float) -> Verdict:
    return Verdict(True, name, score, 0.0, "")


RICH = Variant("rich", ("wording", "agreement", RELATION), (0.5, 50.0, 0.0), (0.1, 10.0, 0.1), (1.0, 2.0, 0.5), 0.0)
POOR = Variant("poor", ("wording", RELATION), (0.5, 0.0), (0.1, 0.1), (1.0, 0.5), 1.0)
JUDGE = Judge((RICH, POOR), {"P36": 0.2})


def test_the_richest_variant_that_fits_is_used() -> None:
    both = [verdict("wording", 0.6), verdict("agreement", 60.0)]
    assert JUDGE.approve(both, "P36") == round(1 / (1 + math.exp(-(1 + 2 + 1))), 4)
    assert JUDGE.approve(both[:1], "P36") == round(1 / (1 + math.exp(-(1 + 1 + 1))), 4)
    assert JUDGE.approve([both[0], verdict("agreement", math.nan)], "P36") == JUDGE.approve(both[:1], "P36")
    assert JUDGE.approve(both[:1], "P9999") == round(1 / (1 + math.exp(-2)), 4)
    assert JUDGE.approve([verdict("wording", math.nan)], "P9999") == round(1 / (1 + math.exp(-1)), 4)
    assert math.isnan(JUDGE.approve([], "P36"))


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_it_is_a_probability_whatever_the_scores(first: float, second: float) -> None:
    assert 0 <= JUDGE.approve([verdict("wording", first), verdict("agreement", second)], "P36") <= 1


def labels_file(path: Path) -> Path:
    draw = np.random.default_rng(4)
    lines = ["lang\trelation\tpattern\tproposed_by\tlabel"]
    for number in range(240):
        label = "approved" if draw.random() < 0.6 else "rejected"
        lines.append(f"{('de', 'fr', 'zh-hans')[number % 3]}\tP{36 + number % 2}\t[X] {number} ist [Y]\tx\t{label}")
    lines.append("de\tP36\t[X] [Y]\t\tunreviewed")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_labels_become_a_judge_that_is_read_back(tmp_path: Path) -> None:
    labelled, sha256 = read_labels(labels_file(tmp_path / "labels.tsv"))
    assert len(labelled) == 240
    assert {one.template.language for one in labelled} == {"de", "fr", "zh"}
    judged = [
        Judged(one.template, (verdict("wording", one.approved + 0.01 * place), verdict("reference", 1.0), verdict("agreement", math.nan)))
        for place, one in enumerate(labelled)
    ]
    found = calibrate(labelled, judged)
    assert [one.name for one in found] == ["light", "relation alone"]
    assert found[0].mean > found[1].mean
    write_judge(tmp_path / "judge.toml", found, labelled, sha256)
    text = (tmp_path / "judge.toml").read_text()
    assert "ist" not in text
    judge = load_judge(tmp_path / "judge.toml")
    assert judge.data == sha256
    direct = found[0].fit.logits(np.array([[1.0, 1.0, judge.relations["P36"]]]))[0]
    assert judge.approve([verdict("wording", 1.0), verdict("reference", 1.0)], "P36") == pytest.approx(
        1 / (1 + math.exp(-direct)), abs=2e-4
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("lang\trelation\tpattern\n", "'label' is missing"),
        ("lang\trelation\tpattern\tlabel\nde\tP36\t[X] [Y]\tapproved\n", "three languages"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "labels.tsv"
    file.write_text(content)
    with pytest.raises(DataError, match=message):
        read_labels(file)
    with pytest.raises(DataError, match="cannot read"):
        read_labels(tmp_path / "none.tsv")


def test_the_committed_judge(tmp_path: Path) -> None:
    judge = load_judge()
    assert len(judge.data) == 64
    assert {"light", "light with agreement"} <= {variant.name for variant in judge.variants}
    (tmp_path / "judge.toml").write_text("[[variant]]\nname = 1\n")
    with pytest.raises(DataError, match="not a judge"):
        load_judge(tmp_path / "judge.toml")
