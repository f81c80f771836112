"""Planted truth: average precision of every method, over phrasings, languages and strengths, in tiny models (Gemma: `planting_gemma.py`).

Roles, all of one strength: three agnostic neurons a fact; decoys, two for each fact and language, two for each fact and family,
two for each fact that fire in one phrasing; and six hubs that fire for everything.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rml_lama.eval.attribute import layer_offsets
from rml_lama.eval.engine import Engine, Rows
from rml_lama.eval.evidence import Evidence, normalised
from rml_lama.eval.gradients import integrate
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.planted import Plan, average_precision, plant
from rml_lama.eval.rivals import PRESETS, Recipe
from rml_lama.eval.uncertainty import resample
from rml_lama.eval.unit import Unit

FAMILIES = ("A", "A", "A", "B", "B", "C", "C", "D", "D", "E", "E", "F")  # of the languages in turn
PHRASINGS, LANGUAGES, STRENGTHS = (2, 3, 4, 6, 8), (3, 4, 6, 8, 12), (1.0, 2.0, 4.0, 8.0)
MAIN = {"phrasings": 4, "languages": 8, "strength": 4.0}


@dataclass(frozen=True)
class World:
    """Units with their fact, language and phrasing (numbers), and a neutral unit for each."""

    units: list[Unit]
    neutral: list[Unit]
    keys: list[tuple[int, int, int]]

    def find(self, fact: int, language: int | None = None, phrasing: int | None = None) -> tuple[int, ...]:
        return tuple(
            n
            for n, (f, code, m) in enumerate(self.keys)
            if (fact < 0 or f == fact) and (language is None or code == language) and (phrasing is None or m == phrasing)
        )


def tiny_world(seed: int, *, facts: int = 4, languages: int = 12, phrasings: int = 8) -> World:
    """Random tokens: three of the phrasing, two of the subject in that language; answers differ by language."""
    generator = np.random.default_rng(seed)
    phrase = generator.integers(10, 300, (languages, phrasings, 3))
    subject = generator.integers(10, 300, (facts, languages, 2))
    answer = 300 + generator.permutation(facts * languages).reshape(facts, languages)
    units, neutral, keys = [], [], []
    for f in range(facts):
        for code in range(languages):
            for m in range(phrasings):
                tokens = (1, *phrase[code, m].tolist(), *subject[f, code].tolist())
                units.append(Unit(tokens, 5, ((5, int(answer[f, code])),)))
                neutral.append(Unit((1, 2, 2, 2, 2, 2), 5, units[-1].targets))
                keys.append((f, code, m))
    return World(units, neutral, keys)


def plans_of(world: World, *, languages: int, phrasings: int) -> list[Plan]:
    """What is planted."""
    facts = sorted({f for f, _, _ in world.keys})
    words = {f: tuple(sorted({world.units[n].targets[0][1] for n in world.find(f)})) for f in facts}
    plans = []
    for f in facts:
        plans += [Plan("agnostic", str(f), world.find(f), words[f])] * 3
        for code in range(languages):
            own = tuple(sorted({world.units[n].targets[0][1] for n in world.find(f, code)}))
            plans += [Plan("language", str(f), world.find(f, code), own)] * 2
        for family in ("A", "B"):
            members = [code for code in range(languages) if FAMILIES[code] == family]
            plans += [Plan("family", str(f), tuple(n for code in members for n in world.find(f, code)), words[f])] * 2
        plans += [Plan("phrasing", str(f), world.find(f, None, f % phrasings), words[f])] * 2
    everything = tuple(sorted({word for f in facts for word in words[f]}))
    return [*plans, *[Plan("hub", "", tuple(range(len(world.units))), everything)] * 6]


def vectors(engine: Engine, world: World, source: str) -> np.ndarray:
    """Attributions of all units, (units, neurons), float32."""
    rows = []
    for start in range(0, len(world.units), 16):
        units = world.units[start : start + 16]
        if source == "activation":
            rows += [torch.cat(list(parts)).float() for parts in zip(*engine.open(units).activations, strict=True)]
            continue
        if source == "gradient":
            opened = engine.open(units)
            owner = torch.arange(len(units))
            found = engine.evaluate(opened, {n: Rows(owner, output) for n, output in enumerate(opened.outputs)})
            parts = [
                slope * value.exp()[:, None] @ engine.sites[layer].weight.float() * opened.activations[layer]
                for layer, (value, slope) in found.items()
            ]
            rows += list(torch.cat(parts, dim=1))
            continue
        low = None
        if source == "replaced":
            opened = engine.open(world.neutral[start : start + 16])
            low = [[layer[n] for layer in opened.activations] for n in range(len(units))]
        rule = "linspace-20" if low else "gauss-kronrod-sinh"  # AMIG's path as published
        rows += [torch.cat(one.values).float() for one in integrate(engine, units, baselines=low, rule=rule, floor=1e-3)]
    return torch.stack(rows).numpy()


def precisions(
    world: World,
    by_source: dict[str, np.ndarray],
    truth: dict[int, list[int]],
    *,
    languages: int,
    phrasings: int,
    among: np.ndarray | None = None,
    recipes: Mapping[str, Recipe] = PRESETS,
) -> dict[str, float]:
    """Mean average precision over facts of every method, from the first languages and phrasings; of all neurons, or `among` some."""
    result: dict[str, list[float]] = {name: [] for name in recipes}
    for f in truth:
        for name, recipe in recipes.items():
            scores = recipe.score(evidence(world, by_source[recipe.source], f, recipe, languages, phrasings))
            if among is not None:
                scores[np.setdiff1d(np.arange(len(scores)), among)] = -np.inf
            result[name].append(average_precision(scores, truth[f]))
    return {name: float(np.mean(values)) for name, values in result.items()}


def evidence(world: World, values: np.ndarray, fact: int, recipe: Recipe, languages: int, phrasings: int) -> Evidence:
    chosen = [n for n, (f, code, m) in enumerate(world.keys) if f == fact and code < languages and m < phrasings]
    background = {}
    for code in range(languages):  # the other facts, one phrasing each
        others = [n for n, (f, c, m) in enumerate(world.keys) if f != fact and c == code and m == 0]
        background[str(code)] = normalised(values[others], recipe.normalise).mean(axis=0)
    names = np.array([str(world.keys[n][1]) for n in chosen], dtype=object)
    return Evidence(values[chosen], names, np.ones(len(chosen), dtype=bool), np.ones(len(chosen)), background=background)


def measure(
    engine: Engine,
    world: World,
    seed: int,
    strength: float,
    *,
    layers: Sequence[int],
    languages: int,
    phrasings: int,
    own: int | None = None,
) -> tuple[dict[str, np.ndarray], dict[int, list[int]], Any, float]:
    """Plant, attribute with every source, restore: attributions, the truth by fact, what fired, and the mean log P.

    `own` is a layer that the agnostic neurons have to themselves.
    """
    offsets = layer_offsets(engine)
    plans = plans_of(world, languages=languages, phrasings=phrasings)
    if own is not None:
        layers = [own if plan.role == "agnostic" else layers[number % len(layers)] for number, plan in enumerate(plans)]
    with plant(engine, world.units, plans, layers=layers, strength=strength, seed=seed) as planted:
        by_source = {source: vectors(engine, world, source) for source in ("integrated", "replaced", "gradient", "activation")}
        after = mean_log_probability(engine, world.units)
        truth: dict[int, list[int]] = {}
        for one in planted:
            if one.plan.role == "agnostic":
                truth.setdefault(int(one.plan.fact), []).append(int(offsets[one.layer]) + one.index)
        fired = [(one.plan.role, round(one.wanted, 3), round(one.other, 3)) for one in planted]
    return by_source, truth, fired, after


def tiny_model(seed: int) -> LoadedModel:
    import transformers as t

    torch.manual_seed(seed)
    config = t.LlamaConfig(
        vocab_size=400, hidden_size=128, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, intermediate_size=512
    )
    model = t.LlamaForCausalLM(config).eval().requires_grad_(False)
    return LoadedModel("tiny", "local", "causal", "float32", model, None)


def planted(arguments: argparse.Namespace) -> dict[str, Any]:
    """The sweeps on tiny models (three seeds), or the main setting on Gemma; resumable by seed and strength."""
    folder = arguments.out / ("planted-gemma" if arguments.gemma else "planted")
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.gemma:
        from planting_gemma import gemma_rows

        return {"rows": gemma_rows(arguments, folder)}
    rows: list[dict[str, Any]] = []
    for seed in range(3):
        for strength in STRENGTHS:
            path = folder / f"{seed}-{strength:g}.json"
            if not path.exists():
                path.write_text(json.dumps(_tiny_rows(seed, strength)), encoding="utf-8")
            rows += json.loads(path.read_text(encoding="utf-8"))
            print(seed, strength, rows[-1]["precision"], flush=True)
    _plot(rows, folder)
    return {"rows": rows, "main": _mean_of(rows, MAIN), "calibration": [row["calibration"] for row in rows if row.get("calibration")]}


def _tiny_rows(seed: int, strength: float) -> list[dict[str, Any]]:
    engine = Engine(tiny_model(seed), tolerance=0.0)
    world = tiny_world(seed)
    by_source, truth, _, _ = measure(engine, world, seed, strength, layers=[1, 2], languages=12, phrasings=8)
    settings = [(MAIN["languages"], m) for m in PHRASINGS] + [(count, MAIN["phrasings"]) for count in LANGUAGES]
    rows = []
    for languages, phrasings in dict.fromkeys(settings):
        found = precisions(world, by_source, truth, languages=languages, phrasings=phrasings)
        rows.append({"seed": seed, "strength": strength, "languages": languages, "phrasings": phrasings, "precision": found})
    recipe = PRESETS["matrice"]
    pairs = []
    for f, neurons in truth.items():
        ready = recipe.prepare(evidence(world, by_source["integrated"], f, recipe, MAIN["languages"], MAIN["phrasings"]))
        inclusion = resample(recipe, ready, k=len(neurons), draws=200, seed=0).inclusion
        pairs += [(round(float(p), 3), n in neurons) for n, p in enumerate(inclusion) if p > 0]
    rows[0]["calibration"] = pairs
    return rows


def _mean_of(rows: Sequence[dict[str, Any]], setting: dict[str, float]) -> dict[str, float]:
    here = [row["precision"] for row in rows if all(row[name] == value for name, value in setting.items())]
    return {name: float(np.mean([row[name] for row in here])) for name in here[0]} if here else {}


def mean_log_probability(engine: Engine, units: Sequence[Unit]) -> float:
    values = [engine.open(units[start : start + 8]).log_probability for start in range(0, len(units), 8)]
    return float(torch.cat(values).mean())


def _plot(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """Curves of the mean average precision, one panel an axis."""
    import altair as alt

    from rml_lama.eval.plots import save_chart

    panels = []
    for axis, others in (
        ("phrasings", ("languages", "strength")),
        ("languages", ("phrasings", "strength")),
        ("strength", ("phrasings", "languages")),
    ):
        here = [row for row in rows if all(row[name] == MAIN[name] for name in others)]
        flat = [{axis: row[axis], "method": name, "AP": value} for row in here for name, value in row["precision"].items()]
        panels.append(
            alt.Chart(alt.InlineData(values=flat))
            .mark_line(point=True)
            .encode(
                x=alt.X(f"{axis}:Q"),
                y=alt.Y("mean(AP):Q", title="average precision", scale=alt.Scale(domain=[0, 1])),
                color=alt.Color("method:N", scale=alt.Scale(scheme="tableau10")),
            )
            .properties(width=240, height=220)
        )
    save_chart(alt.hconcat(*panels), folder / "planted.png")
