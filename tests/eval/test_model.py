"""The real model (Gemma 3 270M from PyPI) on real facts, and the same rankings as lm-pub-quiz."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import rml_lama
from rml_lama.eval.base import Ask
from rml_lama.eval.candidates import read_candidates
from rml_lama.eval.causal_lm import CausalScorer
from rml_lama.eval.models import LoadedModel, load_model

pytestmark = [
    pytest.mark.model,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def gemma() -> LoadedModel:
    return load_model("demo")


def test_gemma_names_capitals(gemma: LoadedModel, open_build: Path) -> None:
    result = rml_lama.evaluate(gemma, open_build, languages=("en", "ja"), relations=("P36",), limit_facts=20, limit_templates=2)
    assert result.languages["en"]["P@1"].value > 0.5
    chance = 1 / result.predictions["candidates"][0].as_py()
    assert result.languages["ja"]["P@1"].low > chance
    assert result.agreement is not None
    rankc = result.agreement.overall["RankC"]
    assert rankc.value > 0.1
    assert rankc.low > 2 * chance, "rankings at random have 1.58 / candidates, the mean of j under w_j"
    row = result.predictions.to_pylist()[0]
    assert row["candidates"] > 100
    assert (result.signature.get("model") or "").startswith("gemma-3-270m-q4_k_m@")


@pytest.mark.parametrize("scope", ["answer", "answer+suffix", "sentence"])
def test_tree_attention_equals_plain_rows_on_gemma(gemma: LoadedModel, scope: str) -> None:
    fast, plain = CausalScorer(gemma, scope=scope), CausalScorer(gemma, scope=scope, tree=False)  # type: ignore[arg-type]
    assert fast.tree
    assert fast._head.exact
    asks = [
        Ask("The capital of France is the city of ", ".", ("Paris", "Buenos Aires", "Bandar Seri Begawan", "Port of Spain")),
        Ask("日本の首都は", "です。", ("東京", "ウランバートル", "パリ")),
    ]
    for ours, theirs in zip(fast.score(asks), plain.score(asks), strict=True):
        np.testing.assert_allclose(ours.log_probabilities, theirs.log_probabilities, atol=1e-3)


@pytest.mark.parametrize("relation", ["P36", "P17", "P30", "P37", "P47"])
@pytest.mark.parametrize("language", ["en", "de", "ja"])
def test_full_rankings_equal_lm_pub_quiz(gemma: LoadedModel, open_build: Path, relation: str, language: str) -> None:
    """Two subjects, 20 candidates; reduction sum, right padding; their score is the whole sentence's.

    A query's prompt has the same probability for all of its candidates, so the differences between candidates agree,
    and with them the ranking. Two candidates closer than 1e-3 nats may trade places. Capitals are of several tokens.
    """
    from lm_pub_quiz import Evaluator

    tokenizer = copy.deepcopy(gemma.tokenizer)  # it takes the start token out of the one that it is given
    tokenizer.padding_side = "right"
    theirs = Evaluator.from_model(gemma.model, model_type="CLM", tokenizer=tokenizer)
    rows = pq.read_table(open_build / "data" / f"{language}.parquet").to_pylist()
    template_id = next(row["template_id"] for row in rows if row["relation"] == relation and row["causal"] and row["suffix"])
    chosen = [row for row in rows if row["template_id"] == template_id][:2]
    candidates = read_candidates(open_build, limit=20, seed=0)
    asks = [
        Ask(row["prompt"], row["suffix"], candidates.of(relation, language, row["fact_id"], row["answer"], row["answers"]).labels)
        for row in chosen
    ]
    scored = CausalScorer(gemma, scope="answer+suffix").score(asks)
    if relation == "P36":
        assert max(one.lengths.max() for one in scored) > 3, "answers of several tokens, and the suffix"
    for row, ask, one in zip(chosen, asks, scored, strict=True):
        found = theirs.score_answers(
            template=row["cloze"], answers=list(ask.candidates), reduction="sum", subject=row["subject"], batch_size=10
        )
        ours, expected = one.log_probabilities, np.array(found)
        np.testing.assert_allclose(ours - ours[0], expected - expected[0], atol=2e-3)
        assert (np.diff(ours[np.argsort(-expected)]) < 1e-3).all(), row["cloze"]
