"""The real model (Gemma 3 270M from PyPI) on real facts, and the same rankings as lm-pub-quiz."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import rml_lama
from rml_lama.eval.causal_lm import Ask, CausalScorer
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
    row = result.predictions.to_pylist()[0]
    assert row["candidates"] > 100
    assert (result.signature.get("model") or "").startswith("gemma-3-270m-q4_k_m@")


def test_tree_attention_equals_plain_rows_on_gemma(gemma: LoadedModel) -> None:
    fast, plain = CausalScorer(gemma), CausalScorer(gemma, tree=False)
    assert fast.tree
    asks = [
        Ask("The capital of France is the city of ", ".", ("Paris", "Buenos Aires", "Bandar Seri Begawan", "Port of Spain")),
        Ask("日本の首都は", "です。", ("東京", "ウランバートル", "パリ")),
    ]
    for (ours, _), (theirs, _) in zip(fast.score(asks), plain.score(asks), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_full_rankings_equal_lm_pub_quiz(gemma: LoadedModel, open_build: Path) -> None:
    """30 subjects x 30 candidates of P36; reduction sum, right padding; their score is the whole sentence's.

    A query's prompt has the same probability for all of its candidates, so the differences between candidates agree,
    and with them the ranking. Two candidates closer than 1e-3 nats may trade places.
    """
    from lm_pub_quiz import Evaluator

    gemma.tokenizer.padding_side = "right"
    theirs = Evaluator.from_model(gemma.model, model_type="CLM", tokenizer=gemma.tokenizer)
    table = pq.read_table(open_build / "data" / "en.parquet").to_pylist()
    template_id = next(row["template_id"] for row in table if row["relation"] == "P36" and row["causal"])
    rows = [row for row in table if row["template_id"] == template_id][:30]
    candidates = tuple(row["answer"] for row in rows)
    assert len(set(candidates)) == 30
    scorer = CausalScorer(gemma, with_suffix=True)
    for row, (ours, _) in zip(rows, scorer.score([Ask(row["prompt"], row["suffix"], candidates) for row in rows]), strict=True):
        expected = np.array(
            theirs.score_answers(template=row["cloze"], answers=list(candidates), reduction="sum", subject=row["subject"], batch_size=10)
        )
        np.testing.assert_allclose(ours - ours[0], expected - expected[0], atol=2e-3)
        order = np.argsort(-expected)
        assert (np.diff(ours[order]) < 1e-3).all(), row["cloze"]
