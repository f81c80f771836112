"""A whole run on a tiny model: selection, candidates, resuming, results, signature, picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

import rml_lama
from rml_lama.config import EvaluateConfig
from rml_lama.errors import ConfigError, DataError, OutputError
from rml_lama.eval.candidates import read_candidates
from rml_lama.eval.evaluate import evaluate, plan
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.results import Result

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

OPTIONS: dict[str, Any] = {
    "languages": ("en", "ja"),
    "relations": ("P36", "P30"),
    "limit_facts": 4,
    "limit_templates": 2,
    "max_candidates": 6,
    "resamples": 50,
}


@pytest.fixture(scope="module")
def tiny(word_tokenizer: Any) -> LoadedModel:
    import transformers as t

    torch.manual_seed(0)
    config = t.LlamaConfig(
        vocab_size=400, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=64
    )
    return LoadedModel("tiny", "local", "causal", "float32", t.LlamaForCausalLM(config).eval(), word_tokenizer)


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("result.json", "predictions.parquet", "SHA256SUMS")}


def test_a_run_in_one_call(tiny: LoadedModel, open_build: Path) -> None:
    result = rml_lama.evaluate(tiny, open_build, **OPTIONS)
    assert list(result.languages) == ["en", "ja"]
    assert sum(result.queries.values()) == len(result.predictions) == 2 * 2 * 4 * 2
    rows = result.predictions.to_pylist()
    assert all(row["candidates"] <= 6 and row["greater"] + row["ties"] < row["candidates"] for row in rows)
    hits = [row["greater"] == 0 for row in rows if row["language"] == "ja" and row["relation"] == "P36" and row["ties"] == 0]
    assert len(hits) == 8
    for estimates in result.languages.values():
        assert 0 <= estimates["P@1"].low <= estimates["P@1"].value <= estimates["P@1"].high <= 1
    assert "| Japanese (ja) | 16 |" in result.table()


def test_a_killed_run_goes_on_with_the_same_bytes(
    tiny: LoadedModel, open_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EvaluateConfig(**OPTIONS)
    evaluate(tiny, open_build, config, out=tmp_path / "whole")

    def stop(done: int, total: int, what: str) -> None:
        if done >= total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(tiny, open_build, config, out=tmp_path / "halves", progress=stop)
    assert not (tmp_path / "halves" / "result.json").exists()
    scored: list[str] = []
    evaluate(tiny, open_build, config, out=tmp_path / "halves", progress=lambda done, total, what: scored.append(what))
    assert len(scored) == 3, "two shards were left, and the end"
    assert files(tmp_path / "whole") == files(tmp_path / "halves")


def test_another_run_is_not_overwritten(tiny: LoadedModel, open_build: Path, tmp_path: Path) -> None:
    evaluate(tiny, open_build, EvaluateConfig(**OPTIONS), out=tmp_path / "run")
    with pytest.raises(OutputError, match="another config"):
        evaluate(tiny, open_build, EvaluateConfig(**{**OPTIONS, "seed": 1}), out=tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("x")
    with pytest.raises(OutputError, match="holds no run"):
        evaluate(tiny, open_build, EvaluateConfig(**OPTIONS), out=tmp_path / "mine")


def test_results_round_trip_and_notice_a_change(tiny: LoadedModel, open_build: Path, tmp_path: Path) -> None:
    result = evaluate(tiny, open_build, EvaluateConfig(**OPTIONS))
    result.save(tmp_path / "run")
    again = Result.load(tmp_path / "run")
    assert again.overall == result.overall
    assert again.languages == result.languages
    assert again.signature == result.signature
    assert again.predictions.equals(result.predictions)
    changed = json.loads((tmp_path / "run" / "result.json").read_text())
    changed["overall"]["P@1"]["value"] = 1.0
    (tmp_path / "run" / "result.json").write_text(json.dumps(changed))
    with pytest.raises(DataError, match="not the one that SHA256SUMS names"):
        Result.load(tmp_path / "run")
    with pytest.raises(DataError, match="not a result folder"):
        Result.load(tmp_path)


def test_every_option_that_changes_the_number_is_in_the_signature(tiny: LoadedModel, open_build: Path) -> None:
    base = evaluate(tiny, open_build, EvaluateConfig(**OPTIONS)).signature
    for change in (
        {"languages": ("en",)},
        {"relations": ("P36",)},
        {"limit_facts": 3},
        {"limit_templates": 1},
        {"max_candidates": 5},
        {"norm": "mean"},
        {"score": "answer+suffix"},
        {"seed": 3},
        {"resamples": 60},
    ):
        other = evaluate(tiny, open_build, EvaluateConfig(**{**OPTIONS, **change})).signature
        assert base.differences(other), change


def test_norms_and_scores_differ(tiny: LoadedModel, open_build: Path) -> None:
    first = evaluate(tiny, open_build, EvaluateConfig(**OPTIONS)).predictions
    mean = evaluate(tiny, open_build, EvaluateConfig(**{**OPTIONS, "norm": "mean"})).predictions
    row, other = first.to_pylist()[0], mean.to_pylist()[0]
    assert other["gold_log_probability"] == row["gold_log_probability"]
    place = other["top"].index(other["answer"])
    assert other["top_scores"][place] == pytest.approx(row["gold_log_probability"] / row["answer_tokens"], abs=1e-5)


def test_candidates_are_the_same_objects_in_every_language(open_build: Path) -> None:
    english = {
        row["object_id"]: label
        for row in pq.read_table(open_build / "data" / "facts.parquet").to_pylist()
        for code, label in zip(row["languages"], row["objects"], strict=True)
        if code == "en" and row["relation"] == "P36"
    }
    candidates = read_candidates(open_build, limit=10, seed=0)
    everything = read_candidates(open_build)
    assert set(everything.labels["P36", "en"]) == set(english.values())
    chosen = candidates.of("P36", "en", "Paris", ["Paris"])
    assert chosen[0] == "Paris"
    assert len(chosen) == 10
    assert read_candidates(open_build, limit=10, seed=1).of("P36", "en", "Paris", ["Paris"]) != chosen
    right = everything.of("P37", "en", "German", ["French", "German", "Italian"])
    assert {"French", "Italian"} & set(right) == set()


def test_wishes_that_cannot_be_met(tiny: LoadedModel, open_build: Path) -> None:
    for options, message in (
        ({"languages": ("fr",)}, "the build has no language fr"),
        ({"relations": ("P19",)}, "the build has no relation P19"),
        ({"templates": "all"}, "use --templates causal"),
    ):
        with pytest.raises(ConfigError, match=message):
            evaluate(tiny, open_build, **{**OPTIONS, **options})
    with pytest.raises(DataError, match="is not a build folder"):
        evaluate(tiny, open_build / "data", **OPTIONS)


def test_a_build_that_lost_a_file(tiny: LoadedModel, open_build: Path, tmp_path: Path) -> None:
    import shutil

    for lost in ("facts", "en"):
        folder = tmp_path / lost
        shutil.copytree(open_build, folder)
        (folder / "data" / f"{lost}.parquet").unlink()
        with pytest.raises(DataError, match=rf"cannot read.*{lost}.parquet"):
            evaluate(tiny, folder, **OPTIONS)


def test_the_plan_needs_no_model(open_build: Path) -> None:
    config = EvaluateConfig(**OPTIONS)
    assert plan(open_build, config) == "32 queries in 2 languages and 2 relations; 192 candidates to score"


@pytest.mark.parametrize("ending", [".png", ".svg", ".html", ".json"])
def test_the_picture(tiny: LoadedModel, open_build: Path, tmp_path: Path, ending: str) -> None:
    from rml_lama.eval.plots import language_chart, save_chart

    result = evaluate(tiny, open_build, EvaluateConfig(**OPTIONS))
    save_chart(language_chart(result), tmp_path / f"picture{ending}")
    content = (tmp_path / f"picture{ending}").read_bytes()
    assert content.startswith(b"\x89PNG") if ending == ".png" else b"Japanese (ja)" in content
    with pytest.raises(ConfigError, match="use one of"):
        save_chart(language_chart(result), tmp_path / "picture.gif")
