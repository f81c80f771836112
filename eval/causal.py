"""Is it those neurons? Suppress them where the answer is predicted and measure what happens to log P (METHODS 4 and 5).

Rows of one token on the cached prefix, as in the engine; each row may have its own neurons. Effects are differences of
log P in nats, never the mean of relative changes of P.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rml_lama.eval.attribute import layer_offsets
from rml_lama.eval.change import Change, changed
from rml_lama.eval.engine import Engine, Opened
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.rows import Growth
from rml_lama.eval.steps import units_of
from rml_lama.records import Query

__all__ = ["Intervention", "effects", "intervene", "transfer"]

_ROWS = 128  # changed rows of one pass


@dataclass(frozen=True, slots=True)
class Intervention:
    """Neurons (flat numbers over all layers) and what they are multiplied by: 0 suppresses, 2 doubles."""

    neurons: tuple[int, ...]
    factor: float = 0.0


@torch.no_grad()
def intervene(engine: Engine, opened: Opened, owner: Sequence[int], interventions: Sequence[Intervention]) -> torch.Tensor:
    """log F (rows,) of opened units with neurons changed at the site; row i is unit `owner[i]` under `interventions[i]`."""
    rows = torch.tensor(list(owner), device=engine.device)
    values = []
    for start in range(0, len(owner), _ROWS):
        part = rows[start : start + _ROWS]
        changes = _changes(engine, interventions[start : start + _ROWS])
        base = len(opened.units)
        growth = Growth(torch.arange(base, device=engine.device))
        with changed(engine.sites, changes, columns=opened.layout.site[part], first_row=base):
            hidden = engine.forward(opened.layout, growth, lambda layer, output: None, entering=part)
        values.append(engine.objective(opened.units, opened.layout, hidden[base:], part, gradient=False)[0])
    return torch.cat(values)


def _changes(engine: Engine, interventions: Sequence[Intervention]) -> dict[int, Change]:
    offsets = layer_offsets(engine)
    changes: dict[int, Change] = {}
    for row, intervention in enumerate(interventions):
        for neuron in intervention.neurons:
            layer = int(np.searchsorted(offsets, neuron, side="right")) - 1
            if layer not in changes:
                shape = (len(interventions), engine.sites[layer].neurons)
                changes[layer] = Change(torch.ones(shape, device=engine.device), torch.zeros(1, device=engine.device))
            changes[layer].factor[row, neuron - offsets[layer]] = intervention.factor
    return changes


def effects(engine: Engine, loaded: LoadedModel, queries: Sequence[Query], interventions: Sequence[Intervention]) -> np.ndarray:
    """The change of log P(answer) in nats, (queries, interventions): each intervention on each query.

    Answers of several tokens are teacher-forced; each token is predicted with the neurons changed where it is predicted.
    """
    result = np.zeros((len(queries), len(interventions)))
    wanted = [(number, unit) for number, query in enumerate(queries) for unit in units_of(loaded, query)]
    wanted.sort(key=lambda item: (len(item[1].tokens), len(item[1].source)))
    for start in range(0, len(wanted), 8):
        group = wanted[start : start + 8]
        opened = engine.open([unit for _, unit in group])
        owner = [row for row in range(len(group)) for _ in interventions]
        values = intervene(engine, opened, owner, list(interventions) * len(group)).view(len(group), -1)
        change = (values - opened.log_probability[:, None]).double().cpu().numpy()
        for (number, _), row in zip(group, change, strict=True):
            result[number] += row
    return result


def transfer(
    engine: Engine,
    loaded: LoadedModel,
    queries: Sequence[Query],
    neurons: Mapping[str, tuple[int, ...]],
    controls: Mapping[str, tuple[int, ...]],
) -> dict[tuple[str, str], float]:
    """The effect in language B of suppressing what was found in language A, less that of its controls: (A, B) -> mean nats."""
    sources = list(neurons)
    sets = [Intervention(neurons[code]) for code in sources] + [Intervention(controls[code]) for code in sources]
    change = effects(engine, loaded, queries, sets)  # (queries, 2 * sources)
    excess = change[:, : len(sources)] - change[:, len(sources) :]
    found: dict[tuple[str, str], float] = {}
    for code in dict.fromkeys(query.language for query in queries):
        here = np.array([query.language == code for query in queries])
        for place, source in enumerate(sources):
            found[source, code] = float(excess[here, place].mean())
    return found
