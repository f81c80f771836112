"""A whole run on a tiny model: selection, candidates, priors, resuming, signature."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import rml_lama
from rml_lama.config import EvaluateConfig
from rml_lama.errors import ConfigError, DataError, OutputError
from rml_lama.eval.base import Ask
from rml_lama.eval.candidates import read_candidates
from rml_lama.eval.causal_lm import CausalScorer
from rml_lama.eval.evaluate import estimate, evaluate, plan, scorer_for
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.results import Result
from tests.eval.tiny_models import loaded, make_tokenizer, masked_models, mt5, seeded

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

FILES = ("result.json", "predictions.parquet", "scores.parquet", "SHA256SUMS")


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def test_a_run_in_one_call(small_result: Result) -> None:
    assert list(small_result.languages) == ["en", "ja"]
    assert sum(small_result.queries.values()) == len(small_result.predictions) == 2 * 2 * 4 * 2
    rows = small_result.predictions.to_pylist()
    scores = small_result.scores.to_pylist()
    for row, line in zip(rows, scores, strict=True):
        assert row["query_id"] == line["query_id"]
        assert row["candidates"] == len(line["objects"]) == len(line["scores"]) <= 6
        assert row["greater"] == sum(score > line["scores"][0] for score in line["scores"])
        assert row["top_objects"][0] == line["objects"][int(np.argmax(line["scores"]))]
        assert row["answer_tokens"] == len(row["answer_ids"])
    assert small_result.model == "tiny"


def test_lists_will_do_and_paths_may_be_text(tiny: LoadedModel, open_build: Path, options: dict[str, Any], tmp_path: Path) -> None:
    result = rml_lama.evaluate(tiny, str(open_build), **{**options, "languages": ["ja"], "relations": ["P36"]}, out=str(tmp_path / "run"))
    assert result.agreement is None
    assert Result.load(str(tmp_path / "run")).overall == result.overall


def test_a_killed_run_goes_on_with_the_same_bytes(tiny: LoadedModel, open_build: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    config = EvaluateConfig(**options)
    evaluate(tiny, open_build, config, out=tmp_path / "whole")

    def stop(done: int, total: int, what: str) -> None:
        if done >= total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(tiny, open_build, config, out=tmp_path / "halves", progress=stop)
    assert not (tmp_path / "halves" / "result.json").exists()
    (tmp_path / "halves" / "parts" / "tmp1.tmp").write_bytes(b"torn")
    scored: list[str] = []
    evaluate(tiny, open_build, config, out=tmp_path / "halves", progress=lambda done, total, what: scored.append(what))
    assert len(scored) == 3, "two shards were left, and the end"
    assert files(tmp_path / "whole") == files(tmp_path / "halves")
    assert not list((tmp_path / "halves" / "parts").glob("*.tmp"))
    costs = [json.loads(line) for line in (tmp_path / "halves" / "cost.jsonl").read_text().splitlines()]
    assert sum(line["queries"] for line in costs) == 32
    assert sum(line["candidates"] for line in costs) == 32 * 6


def test_another_run_is_not_overwritten(tiny: LoadedModel, open_build: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    evaluate(tiny, open_build, EvaluateConfig(**options), out=tmp_path / "run")
    with pytest.raises(OutputError, match="another config"):
        evaluate(tiny, open_build, EvaluateConfig(**{**options, "seed": 1}), out=tmp_path / "run")
    with pytest.raises(OutputError, match="another revision"):
        evaluate(tiny, open_build, EvaluateConfig(**options), out=tmp_path / "run", load={"revision": "abc"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("x")
    with pytest.raises(OutputError, match="holds no run"):
        evaluate(tiny, open_build, EvaluateConfig(**options), out=tmp_path / "mine")
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(OutputError, match=r"run\.json is damaged"):
        evaluate(tiny, open_build, EvaluateConfig(**options), out=tmp_path / "run")


def test_a_damaged_part_is_named(tiny: LoadedModel, open_build: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    config = EvaluateConfig(**options)
    evaluate(tiny, open_build, config, out=tmp_path / "run")
    (tmp_path / "run" / "parts" / "ja-P36.parquet").write_bytes(b"x")
    with pytest.raises(DataError, match=r"damaged part.*ja-P36\.parquet"):
        evaluate(tiny, open_build, config, out=tmp_path / "run")


def test_every_option_that_changes_the_number_is_in_the_signature(tiny: LoadedModel, open_build: Path, options: dict[str, Any]) -> None:
    base = evaluate(tiny, open_build, EvaluateConfig(**options)).signature
    for change in (
        {"languages": ("en",)},
        {"relations": ("P36",)},
        {"limit_facts": 3},
        {"limit_templates": 1},
        {"max_candidates": 5},
        {"norm": "mean"},
        {"prior": "pmi"},
        {"score": "answer+suffix"},
        {"score": "sentence"},
        {"seed": 3},
        {"resamples": 60},
    ):
        other = evaluate(tiny, open_build, EvaluateConfig(**{**options, **change})).signature
        assert base.differences(other), change


def test_norms_priors_and_scopes_by_hand(tiny: LoadedModel, open_build: Path, options: dict[str, Any]) -> None:
    """The score of one query, worked out from the scorer alone."""
    wanted = {**options, "languages": ("en",), "relations": ("P36",), "limit_templates": 1}
    plain = evaluate(tiny, open_build, EvaluateConfig(**wanted))
    row, line = plain.predictions.to_pylist()[0], plain.scores.to_pylist()[0]
    query = next(q for q in pq.read_table(open_build / "data" / "en.parquet").to_pylist() if q["query_id"] == row["query_id"])
    candidates = read_candidates(open_build, limit=6, seed=0)
    choice = candidates.of("P36", "en", query["fact_id"], query["answer"], query["answers"])
    assert list(choice.objects) == line["objects"]
    scorer = CausalScorer(tiny)
    (scored,) = scorer.score([Ask(query["prompt"], query["suffix"], choice.labels)])
    np.testing.assert_allclose(line["scores"], scored.log_probabilities, rtol=1e-5)
    (neutral,) = scorer.score([Ask(query["prompt"].replace(query["subject"], "…"), query["suffix"], choice.labels)])
    expected = scored.log_probabilities - neutral.log_probabilities
    with_prior = evaluate(tiny, open_build, EvaluateConfig(**{**wanted, "prior": "pmi"}))
    np.testing.assert_allclose(with_prior.scores.to_pylist()[0]["scores"], expected, atol=1e-3)
    mean = evaluate(tiny, open_build, EvaluateConfig(**{**wanted, "prior": "pmi", "norm": "mean"}))
    np.testing.assert_allclose(mean.scores.to_pylist()[0]["scores"], expected / scored.lengths, atol=1e-3)
    (longer,) = CausalScorer(tiny, scope="answer+suffix").score([Ask(query["prompt"], query["suffix"], choice.labels)])
    suffix = evaluate(tiny, open_build, EvaluateConfig(**{**wanted, "score": "answer+suffix"}))
    np.testing.assert_allclose(suffix.scores.to_pylist()[0]["scores"], longer.log_probabilities, rtol=1e-5)


def test_candidates_are_the_same_objects_in_every_language(open_build: Path) -> None:
    facts = pq.read_table(open_build / "data" / "facts.parquet").to_pylist()
    english = {
        row["object_id"]: label
        for row in facts
        for code, label in zip(row["languages"], row["objects"], strict=True)
        if code == "en" and row["relation"] == "P36"
    }
    everything = read_candidates(open_build)
    assert set(everything.labels("P36", "en")) == set(english.values())
    paris = next(row for row in facts if english.get(row["object_id"]) == "Paris" and row["relation"] == "P36")
    candidates = read_candidates(open_build, limit=10, seed=0)
    chosen = candidates.of("P36", "en", paris["fact_id"], "Paris", ["Paris"])
    assert chosen.labels[0] == "Paris"
    assert chosen.objects[0] == paris["object_id"]
    assert len(chosen.labels) == 10
    assert [english[name] for name in chosen.objects] == list(chosen.labels)
    japanese = candidates.of("P36", "ja", paris["fact_id"], "パリ", ["パリ"])
    assert len(set(japanese.objects) & set(chosen.objects)) >= 9
    assert read_candidates(open_build, limit=10, seed=1).of("P36", "en", paris["fact_id"], "Paris", ["Paris"]) != chosen
    fact = next(row for row in facts if row["relation"] == "P37")
    right = everything.of("P37", "en", fact["fact_id"], "German", ["French", "German", "Italian"])
    assert {"French", "Italian"} & set(right.labels) == set()


def test_wishes_that_cannot_be_met(tiny: LoadedModel, open_build: Path, options: dict[str, Any]) -> None:
    for change, message in (
        ({"languages": ("fr",)}, "the build has no language fr"),
        ({"relations": ("P19",)}, "the build has no relation P19"),
        ({"templates": "all"}, "use --templates causal"),
        ({"prior": "bayes"}, "config key 'prior'"),
    ):
        with pytest.raises(ConfigError, match=message):
            evaluate(tiny, open_build, **{**options, **change})
    with pytest.raises(DataError, match="is not a build folder"):
        evaluate(tiny, open_build / "data", **options)
    masked = loaded(seeded(masked_models()["bert"]), make_tokenizer("byte-level"), "masked")
    with pytest.raises(ConfigError, match="reads the suffix anyway"):
        scorer_for(masked, EvaluateConfig(score="answer+suffix"))
    with pytest.raises(ConfigError, match="is asked for the answer"):
        scorer_for(loaded(seeded(mt5), make_tokenizer("byte-level"), "encoder-decoder"), EvaluateConfig(score="sentence"))


@pytest.mark.parametrize("kind", ["masked", "encoder-decoder"])
def test_models_that_see_both_sides_take_every_phrasing(open_build: Path, options: dict[str, Any], kind: str) -> None:
    model = seeded(masked_models()["bert"] if kind == "masked" else mt5)
    one = loaded(model, make_tokenizer("byte-level"), kind)
    wanted = {**options, "languages": ("en",), "templates": "all", "limit_templates": 0, "limit_facts": 1}
    result = evaluate(one, open_build, **wanted)
    assert result.signature.get("score") == ("mask-joint" if kind == "masked" else "sentinel")
    causal = evaluate(one, open_build, **{**wanted, "templates": "causal"})
    assert len(result.predictions) > len(causal.predictions)


def test_a_causal_model_scores_whole_sentences_of_every_phrasing(tiny: LoadedModel, open_build: Path, options: dict[str, Any]) -> None:
    result = evaluate(tiny, open_build, **{**options, "templates": "all", "score": "sentence", "limit_templates": 0, "limit_facts": 1})
    assert result.signature.get("score") == "sentence"
    assert result.signature.get("tmpl") == "all"


def test_a_build_that_lost_a_file(tiny: LoadedModel, open_build: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    for lost, change in (("facts", {}), ("en", {}), ("templates", {"prior": "pmi"})):
        folder = tmp_path / lost
        shutil.copytree(open_build, folder)
        (folder / "data" / f"{lost}.parquet").unlink()
        with pytest.raises(DataError, match=rf"cannot read.*{lost}\.parquet"):
            evaluate(tiny, folder, **{**options, **change})


def test_the_plan_needs_no_model(open_build: Path, options: dict[str, Any]) -> None:
    assert plan(open_build, EvaluateConfig(**options)) == "32 queries in 2 languages and 2 relations; 192 candidates to score"


def test_an_estimate_scores_a_few_queries(tiny: LoadedModel, open_build: Path, options: dict[str, Any]) -> None:
    wanted = EvaluateConfig(**{**options, "limit_facts": 0})
    assert "about 0 minutes on this machine" in estimate(tiny, open_build, EvaluateConfig(**options))
    text = estimate(tiny, open_build, wanted)
    scored = int(text.partition("(")[2].split()[0].replace(",", ""))
    assert 0 < scored <= 8 * 8 * 6
