"""Held-out splits, selectivity by hand, and the paired bootstrap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rml_lama.eval.causal import Intervention, effects
from rml_lama.eval.engine import Engine
from rml_lama.eval.heldout import paired_difference, selectivity, split_queries
from rml_lama.eval.models import LoadedModel
from tests.eval.families import tiny
from tests.eval.test_causal import query

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


def test_the_split_holds_out_phrasings_and_languages() -> None:
    queries = [query(f"{code} {number} ", "Paris", code) for code in ("en", "ja", "tr") for number in range(3)]
    split = split_queries([*queries, query("de ", "Paris", "de")], ("tr",))
    assert [q.prompt for q in split.locate] == ["en 0 ", "en 2 ", "ja 0 ", "ja 2 ", "de "]
    assert [q.prompt for q in split.phrasing] == ["en 1 ", "ja 1 "]
    assert {q.language for q in split.language} == {"tr"}
    assert len(split.language) == 3


def test_selectivity_by_hand(word_tokenizer: Any) -> None:
    loaded = LoadedModel("tiny", "local", "causal", "float32", tiny("gpt2"), word_tokenizer)
    engine = Engine(loaded)
    queries = [query(f"The capital of {name} is ", "Paris", code) for name, code in (("France", "en"), ("Italy", "en"), ("Rome", "tr"))]
    split = split_queries(queries, ("tr",))
    controls = {"same_relation": [query("Italy: ", "Rome")], "same_object": []}
    sets = {"matrice": [3, 200, 5], "random": [9, 10, 11]}
    rows = selectivity(engine, loaded, split, controls, sets, dict.fromkeys(sets, (1, 2)))
    assert [(row["method"], row["k"]) for row in rows] == [("matrice", 1), ("matrice", 2), ("random", 1), ("random", 2)]
    change = effects(engine, loaded, [*split.phrasing, *split.language, *controls["same_relation"]], [Intervention((3, 200))])[:, 0]
    assert rows[1]["selectivity_phrasing"] == pytest.approx(change[2] - change[0], abs=1e-6)
    assert rows[1]["selectivity_language"] == pytest.approx(change[2] - change[1], abs=1e-6)
    assert rows[1]["change_same_relation"] == pytest.approx(change[2], abs=1e-6)
    assert "change_same_object" not in rows[1]


def test_the_paired_interval_covers_and_is_wide_when_relations_differ() -> None:
    generator = np.random.default_rng(0)
    relations = [f"P{number // 10}" for number in range(80)]
    noise = generator.normal(0, 0.1, 80)
    mean, low, high = paired_difference(1 + noise, np.zeros(80), relations, resamples=400, seed=0)
    assert low < 1 < high
    assert low < mean < high
    by_relation = np.repeat(generator.normal(1, 1, 8), 10)
    _, wide_low, wide_high = paired_difference(by_relation, np.zeros(80), relations, resamples=400, seed=0)
    assert wide_high - wide_low > 5 * (high - low)
    assert paired_difference(noise, noise, relations, resamples=20, seed=1) == (0.0, 0.0, 0.0)
