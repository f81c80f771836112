"""A whole localization on a tiny model: resuming, results, signature, classes; interventions and planted truth."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from rml_lama.config import EvaluateConfig, LocalizeConfig
from rml_lama.errors import ConfigError, DataError, OutputError
from rml_lama.eval.attribute import attribute
from rml_lama.eval.engine import Engine
from rml_lama.eval.localization import Localization
from rml_lama.eval.localize import localize, plan_localization
from rml_lama.eval.locate import recipe_of
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.rivals import PRESETS
from rml_lama.eval.selection import select
from rml_lama.hub.folder import read_manifest
from tests.eval.families import tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

OPTIONS: dict[str, Any] = {
    "languages": ("en", "de", "ja"),
    "relations": ("P36", "P30"),
    "limit_facts": 2,
    "limit_templates": 2,
    "max_candidates": 2,
    "background": 4,
    "top": 10,
    "draws": 10,
    "steps": "first",
    "quadrature": "gauss-kronrod-cubic-7",
}


@pytest.fixture(scope="module")
def small(word_tokenizer: Any) -> LoadedModel:
    return LoadedModel("tiny", "local", "causal", "float32", tiny("llama"), word_tokenizer)


@pytest.fixture(scope="module")
def run(small: LoadedModel, open_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    localize(small, open_build, LocalizeConfig(**OPTIONS), out=out)
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("localization.parquet", "facts.parquet", "localization.json", "SHA256SUMS")}


def test_a_run_says_where_and_how_sure(run: Path) -> None:
    found = Localization.load(run)
    facts, neurons = found.facts.to_pylist(), found.neurons.to_pylist()
    assert len(facts) == 4
    assert all(fact["queries"] == 6 for fact in facts)
    localized = [fact for fact in facts if fact["status"] == "localized"]
    assert localized, "two candidates: about half of the queries are known"
    assert {row["fact_id"] for row in neurons} == {fact["fact_id"] for fact in localized}
    assert len(neurons) == 10 * len(localized)
    for row in neurons:
        assert 0 <= row["layer"] < 3
        assert 0 <= row["index"] < 64
        assert 0 <= row["inclusion"] <= 1
        assert row["low"] is None or row["low"] <= row["high"]
        kept = next(fact for fact in localized if fact["fact_id"] == row["fact_id"])["kept_languages"]
        assert row["support"] == pytest.approx(len(row["languages"]) / len(kept))
        assert len(row["words"]) == 5
    by_fact = [[row["score"] for row in neurons if row["fact_id"] == fact["fact_id"]] for fact in localized]
    assert all(scores == sorted(scores, reverse=True) for scores in by_fact)
    assert sum(found.summary["classes"].values()) == len(neurons)
    assert "| facts localized / asked |" in found.table()


def test_a_killed_run_goes_on_with_the_same_bytes(small: LoadedModel, open_build: Path, run: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int, what: str) -> None:
        if total == 4 and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        localize(small, open_build, LocalizeConfig(**OPTIONS), out=tmp_path / "halves", progress=stop)
    assert not (tmp_path / "halves" / "localization.json").exists()
    assert len(list((tmp_path / "halves" / "parts").glob("*.json"))) == 2
    again: list[str] = []
    localize(small, open_build, LocalizeConfig(**OPTIONS), out=tmp_path / "halves", progress=lambda done, total, what: again.append(what))
    assert sum(what.startswith(("P36", "P30")) for what in again) == 2
    assert files(tmp_path / "halves") == files(run)


def test_another_run_is_not_overwritten_and_damage_is_noticed(small: LoadedModel, open_build: Path, run: Path, tmp_path: Path) -> None:
    import shutil

    with pytest.raises(OutputError, match="another config"):
        localize(small, open_build, LocalizeConfig(**{**OPTIONS, "seed": 1}), out=run)
    shutil.copytree(run, tmp_path / "copy")
    part = next((tmp_path / "copy" / "parts").glob("*.json"))
    part.write_text("{")
    with pytest.raises(DataError, match="damaged part"):
        localize(small, open_build, LocalizeConfig(**OPTIONS), out=tmp_path / "copy")
    changed = json.loads((tmp_path / "copy" / "localization.json").read_text())
    changed["summary"]["facts"] = 5
    (tmp_path / "copy" / "localization.json").write_text(json.dumps(changed))
    with pytest.raises(DataError, match="not the one that SHA256SUMS names"):
        Localization.load(tmp_path / "copy")
    with pytest.raises(DataError, match="not a localization folder"):
        Localization.load(tmp_path)


def test_every_option_that_changes_the_number_is_in_the_signature(small: LoadedModel, open_build: Path) -> None:
    quick = {**OPTIONS, "relations": ("P36",), "limit_facts": 1, "transfer": False}
    base = localize(small, open_build, **quick).signature
    for change in (
        {"languages": ("en",)},
        {"limit_templates": 1},
        {"method": "mean-contrast"},
        {"quadrature": "left-4"},
        {"objective": "log-probability"},
        {"steps": "stepwise"},
        {"tolerance": 0.5},
        {"background": 0},
        {"top": 5},
        {"select": "fdr"},
        {"draws": 11},
        {"max_candidates": 3},
        {"support_share": 0.5},
        {"transfer": True},
        {"gate": "none"},
        {"normalise": "l2"},
        {"contrast": 0.5},
        {"contrast_part": "positive"},
        {"query_penalty": 0.0},
        {"exponent": 1.0},
        {"family_balanced": True},
        {"seed": 2},
    ):
        assert base.differences(localize(small, open_build, **{**quick, **change}).signature), change


def test_a_method_has_its_own_choices_and_a_config_changes_them() -> None:
    assert recipe_of(LocalizeConfig()) == PRESETS["matrice"]
    assert recipe_of(LocalizeConfig(method="dai2022")) == PRESETS["dai2022"]
    changed = recipe_of(LocalizeConfig(method="dai2022", contrast=1.0, gate="first"))
    assert changed == dataclasses.replace(PRESETS["dai2022"], contrast=1.0, gate="first")
    balanced = recipe_of(LocalizeConfig(exponent=0.75, query_penalty=0.0, family_balanced=True, normalise="rank"))
    assert (balanced.exponent, balanced.query_penalty, balanced.family_balanced, balanced.normalise) == (0.75, 0.0, True, "rank")


@pytest.mark.parametrize(
    ("method", "change"),
    [("dai2022", {"exponent": 0.5}), ("matrice-se", {"exponent": 0.5}), ("mean-contrast", {"family_balanced": True})],
)
def test_a_choice_that_the_method_has_no_use_for_is_an_error(method: str, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{method} has no use for {next(iter(change))}.*take a method that has: matrice"):
        recipe_of(LocalizeConfig(method=method, **change))
    assert recipe_of(LocalizeConfig(method="random-matched", **change)).exponent == change.get("exponent", 0.25)


def test_a_part_of_no_contrast_is_an_error() -> None:
    for config in (LocalizeConfig(method="dai2022", contrast_part="positive"), LocalizeConfig(contrast=0.0, contrast_part="positive")):
        with pytest.raises(ConfigError, match="subtracts no background, so contrast_part says nothing"):
            recipe_of(config)
    assert recipe_of(LocalizeConfig(method="dai2022", contrast=1.0, contrast_part="positive")).contrast_part == "positive"


@pytest.mark.parametrize("method", ["dai2022", "amig", "neurgrad", "activation", "random", "random-matched", "random-effects"])
def test_rivals_run_behind_the_same_command(small: LoadedModel, open_build: Path, method: str) -> None:
    found = localize(small, open_build, **{**OPTIONS, "method": method, "transfer": False})
    assert found.signature.get("loc") == method
    assert [row["status"] for row in found.facts.to_pylist()].count("localized") > 0
    assert len(found.facts) == 4


def test_what_is_not_integrated_needs_no_certificate(small: LoadedModel, open_build: Path) -> None:
    config = EvaluateConfig(languages=("en",), relations=("P36",), limit_facts=1, limit_templates=1)
    (shard,) = select(open_build, read_manifest(open_build), config)
    for source in ("gradient", "activation"):
        for found in attribute(Engine(small), small, shard.queries, source=source):
            assert found.certified
            assert np.isnan(found.residual)


def test_a_masked_model(word_tokenizer: Any, open_build: Path) -> None:
    loaded = LoadedModel("tiny", "local", "masked", "float32", tiny("bert"), word_tokenizer)
    found = localize(loaded, open_build, **{**OPTIONS, "templates": "all", "relations": ("P36",)})
    assert found.summary["certified_share"] > 0.9


def test_the_plan_and_wishes_that_cannot_be_met(small: LoadedModel, open_build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_localization(small, open_build, LocalizeConfig(**OPTIONS))
    assert plan.startswith("4 facts in 3 languages: 24 queries and 12 of background; about 864 gradients of one token")
    with pytest.raises(ConfigError, match="unknown method 'best'"):
        localize(small, open_build, **{**OPTIONS, "method": "best"})
    with pytest.raises(ConfigError, match="unknown quadrature"):
        localize(small, open_build, **{**OPTIONS, "quadrature": "simpson"})
    with pytest.raises(ConfigError, match="use --templates causal"):
        localize(small, open_build, **{**OPTIONS, "templates": "all"})


def test_tables_have_the_promised_columns(run: Path) -> None:
    assert {"layer", "index", "score", "low", "high", "inclusion", "support", "class"} <= set(
        pq.read_table(run / "localization.parquet").column_names
    )
    assert {"localizability", "residual", "certified", "known"} <= set(pq.read_table(run / "facts.parquet").column_names)


def test_nothing_known_is_reported_not_invented(small: LoadedModel, open_build: Path) -> None:
    from rml_lama.eval.engine import Engine
    from rml_lama.eval.localize import _facts
    from rml_lama.eval.locate import locate_fact
    from rml_lama.hub.folder import read_manifest

    config = LocalizeConfig(**OPTIONS)
    queries = next(iter(_facts(open_build, read_manifest(open_build), config).values()))
    found = locate_fact(Engine(small), small, queries, {query.query_id: False for query in queries}, {}, config=config)
    assert found["status"] == "the model names the answer in no query"
    assert found["neurons"] == []
    assert np.isfinite(found["residual"])
    assert torch.is_grad_enabled()
