"""Planted truth in Gemma. The agnostic neurons have a layer to themselves: behind Gemma's FFN stands a norm, so that neurons of one layer
take from each other, and beside decoys of every language an agnostic one is a loss.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from planting import World, mean_log_probability, measure, precisions

from rml_lama.config import EvaluateConfig
from rml_lama.eval.attribute import layer_offsets
from rml_lama.eval.engine import Engine
from rml_lama.eval.models import load_model
from rml_lama.eval.rivals import PRESETS
from rml_lama.eval.selection import select
from rml_lama.eval.steps import neutral_unit, units_of
from rml_lama.hub.folder import read_manifest

GEMMA: dict[str, Any] = {"facts": 4, "phrasings": 2, "layer_of_others": 12, "strength": 4.0}
GEMMA_LAYERS = (15, 17)  # of the agnostic neurons: a late one, and the last one, behind which no neuron passes on their push
RECIPES = {**PRESETS, "matrice, positive contrast": replace(PRESETS["matrice"], contrast_part="positive")}


def gemma_rows(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Real prompts of the open track's P36 in six languages, each with the next fact's answer: what the model does not know by itself.

    With the true answers its own neurons would be as right as the planted ones, and count as mistakes. Those behind the planted ones, that
    pass their push on, still do: so the precision among the neurons of the planted layers is given too.
    """
    languages = ("en", "de", "ru", "tr", "ja", "id")
    config = EvaluateConfig(languages=languages, relations=("P36",), limit_facts=GEMMA["facts"], limit_templates=GEMMA["phrasings"])
    loaded = load_model("demo")
    engine = Engine(loaded)
    queries = [query for shard in select(arguments.data, read_manifest(arguments.data), config) for query in shard.queries]
    facts = list(dict.fromkeys(query.fact_id for query in queries))
    templates = {code: list(dict.fromkeys(q.template_id for q in queries if q.language == code)) for code in languages}
    units = [units_of(loaded, query, steps="first")[0] for query in queries]
    keys = [(facts.index(q.fact_id), languages.index(q.language), templates[q.language].index(q.template_id)) for q in queries]
    words = {(fact, code): unit.targets[0][1] for (fact, code, _), unit in zip(keys, units, strict=True)}
    units = [
        replace(unit, targets=((unit.site, words[(fact + 1) % len(facts), code]),))
        for (fact, code, _), unit in zip(keys, units, strict=True)
    ]
    world = World(units, [neutral_unit(loaded, one) for one in units], keys)
    rows = []
    for layer in GEMMA_LAYERS:
        path = folder / f"layer-{layer}.json"
        if not path.exists():
            path.write_text(json.dumps(_gemma_row(engine, world, layer, languages=len(languages))), encoding="utf-8")
        rows.append(json.loads(path.read_text(encoding="utf-8")))
        print({name: value for name, value in rows[-1].items() if name != "fired"}, flush=True)
    return rows


def _gemma_row(engine: Engine, world: World, own: int, *, languages: int) -> dict[str, Any]:
    """Plant with the agnostic neurons in layer `own`; precisions among all neurons, and among those of the planted layers."""
    before = mean_log_probability(engine, world.units)
    options: dict[str, Any] = {"languages": languages, "phrasings": GEMMA["phrasings"]}
    layers = [GEMMA["layer_of_others"]]
    by_source, truth, fired, after = measure(engine, world, 0, GEMMA["strength"], layers=layers, own=own, **options)
    options["recipes"] = RECIPES
    offsets = layer_offsets(engine)
    among = np.concatenate([np.arange(offsets[layer], offsets[layer + 1]) for layer in (*layers, own)])
    row = {**GEMMA, "layer": own, "languages": languages, "precision": precisions(world, by_source, truth, **options)}
    row["precision_in_planted_layers"] = precisions(world, by_source, truth, among=among, **options)
    return {**row, "truth": truth, "fired": fired, "log_probability": [before, after]}
