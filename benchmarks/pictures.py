"""The pictures of docs/matrice.md, made from the model: `python benchmarks/pictures.py [--out docs/images]`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import torch

from rml_lama.eval.engine import Engine, Rows
from rml_lama.eval.models import load_model
from rml_lama.eval.plots import save_chart
from rml_lama.eval.quadrature import quadrature
from rml_lama.eval.unit import Unit


def dial(engine: Engine, unit: Unit, layers: list[int]) -> Any:
    """F along α in some layers, and below it where the rules have their nodes."""
    opened = engine.open([unit])
    alphas = np.unique(np.concatenate([np.linspace(0, 1, 60) ** 3, np.linspace(0, 1, 20)]))
    rows = []
    for layer in layers:
        outputs = torch.as_tensor(alphas, dtype=opened.outputs[layer].dtype)[:, None] * opened.outputs[layer]
        value = engine.evaluate(opened, {layer: Rows(torch.zeros(len(alphas), dtype=torch.long), outputs)}, gradient=False)[layer][0]
        rows += [{"α": float(a), "F": float(f), "layer": f"layer {layer}"} for a, f in zip(alphas, value.exp(), strict=True)]
    curves = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line()
        .encode(x=alt.X("α:Q"), y=alt.Y("F:Q", title="P(answer)"), color=alt.Color("layer:N", title=None))
        .properties(width=520, height=240)
    )
    nodes = [{"α": float(alpha), "rule": "20 equal steps"} for alpha in quadrature("linspace-20").nodes]
    for layer in layers:
        output = opened.outputs[layer]
        onset = engine.onset(opened, layer, torch.zeros(1, dtype=torch.long), torch.zeros_like(output), output)
        fitted, _, _ = quadrature("gauss-kronrod-sinh").at(onset.numpy())
        nodes += [{"α": float(alpha), "rule": f"15 fitted nodes, layer {layer}"} for alpha in fitted[:, 0]]
    ticks = (
        alt.Chart(alt.InlineData(values=nodes))
        .mark_tick()
        .encode(x=alt.X("α:Q", title=None), y=alt.Y("rule:N", title=None))
        .properties(width=520)
    )
    return alt.vconcat(curves, ticks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    out = parser.parse_args().out
    loaded = load_model("demo")
    ids = tuple(loaded.tokenizer("The capital of France is the city of")["input_ids"])
    (answer, *_) = loaded.tokenizer(" Paris", add_special_tokens=False)["input_ids"]
    unit = Unit(ids, len(ids) - 1, ((len(ids) - 1, answer),))
    save_chart(dial(Engine(loaded), unit, [0, 11, 17]), out / "dial.png")


if __name__ == "__main__":
    main()
