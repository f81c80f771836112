"""Interventions change what they should and nothing after; planted neurons are where they were planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rml_lama.errors import ModelError
from rml_lama.eval.attribute import layer_offsets
from rml_lama.eval.causal import Intervention, effects, intervene, transfer
from rml_lama.eval.change import enhance, suppress
from rml_lama.eval.engine import Engine
from rml_lama.eval.gradients import integrate
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.planted import Plan, average_precision, plant
from rml_lama.eval.sites import LinearSite, find_sites
from rml_lama.records import Query
from tests.eval.families import kind_of, tiny
from tests.eval.test_gradients import engine_of, units_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


def query(prompt: str, answer: str, language: str = "en") -> Query:
    number = f"{language}-{prompt}-{answer}"
    return Query(number, "f", "P36", language, "t", "France", prompt, ".", "", answer, (answer,), True, True, False, True, "x", "y")


def by_hand(engine: Engine, unit: Any, neurons: list[int], factor: float) -> float:
    """Zero the neurons' value columns' part by a plain hook on a plain forward, at the site only."""
    offsets = layer_offsets(engine)
    handles = []
    for site in engine.sites:
        mine = [n - int(offsets[site.index]) for n in neurons if offsets[site.index] <= n < offsets[site.index + 1]]

        def scale(module: Any, args: tuple[torch.Tensor, ...], mine: list[int] = mine) -> tuple[torch.Tensor, ...]:
            whole = args[0].reshape(1, -1, args[0].shape[-1]).clone()
            whole[0, unit.site, mine] *= factor
            return (whole.reshape(args[0].shape),)

        handles.append(site.block.register_forward_pre_hook(scale))
    tokens = torch.tensor([unit.tokens])
    inputs = {"input_ids": torch.tensor([unit.source]), "decoder_input_ids": tokens} if unit.source else {"input_ids": tokens}
    logits = engine.model(**inputs).logits[0]
    for handle in handles:
        handle.remove()
    return sum(float(logits[column].log_softmax(-1)[token]) for column, token in unit.targets)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3", "bloom", "opt", "neox", "bert", "mt5"])
def test_suppressing_equals_a_plain_hook(family: str) -> None:
    engine = engine_of(tiny(family), family)
    units = units_of(family)
    opened = engine.open(units)
    neurons = [3, 64 + 5, 64 + 6, 128 + 7]
    owner = [0, 1, 0, 1]
    changes = [Intervention(tuple(neurons)), Intervention(tuple(neurons)), Intervention((3,), 2.0), Intervention((), 0.0)]
    found = intervene(engine, opened, owner, changes)
    for value, unit, change in zip(found, [units[0], units[1], units[0], units[1]], changes, strict=True):
        assert float(value) == pytest.approx(by_hand(engine, unit, list(change.neurons), change.factor), abs=2e-5)


def test_experts_are_suppressed_too() -> None:
    engine = engine_of(tiny("mixtral"), "mixtral")
    opened = engine.open(units_of("mixtral"))
    active = int(opened.activations[0][0].abs().argmax())
    idle = int((opened.activations[0][0] == 0).nonzero()[0])
    every = tuple(range(256))
    values = intervene(engine, opened, [0, 0, 0], [Intervention((active,)), Intervention((idle,)), Intervention(every)])
    assert float(values[1]) == pytest.approx(float(opened.log_probability[0]), abs=1e-5)
    assert abs(float(values[0] - opened.log_probability[0])) > 1e-6
    (found,) = integrate(engine, units_of("mixtral")[:1], objective="log-probability", floor=1e-3)
    assert float(opened.log_probability[0] - values[2]) == pytest.approx(float(found.effect[0]), abs=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "gemma3", "mixtral"])
def test_leaving_a_context_restores_bit_for_bit(family: str) -> None:
    model = tiny(family)
    sites = find_sites(model)
    tokens = torch.tensor([[1, 5, 6, 7]])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plain = model(tokens).logits
    neurons = [(0, index) for index in range(40)] + [(2, 3)]
    with suppress(sites, neurons):
        low = model(tokens).logits
    with enhance(sites, neurons, factor=3.0):
        high = model(tokens).logits
    assert torch.equal(model(tokens).logits, plain)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not torch.allclose(low[:, -1], plain[:, -1])
    assert not torch.allclose(high[:, -1], plain[:, -1])
    torch.testing.assert_close(low[:, :-1], plain[:, :-1], msg="only the last column is changed")
    with pytest.raises(KeyError), suppress(sites, neurons):
        raise KeyError
    assert torch.equal(model(tokens).logits, plain)


def test_effects_add_up_over_an_answers_tokens_and_transfer_subtracts_controls(word_tokenizer: Any) -> None:
    loaded = LoadedModel("tiny", "local", "causal", "float32", tiny("llama"), word_tokenizer)
    engine = Engine(loaded)
    queries = [query("The capital of France is ", "Paris"), query("Rome is the capital of ", "San Marino", "it")]
    found = effects(engine, loaded, queries, [Intervention((3, 70)), Intervention(())])
    assert found.shape == (2, 2)
    np.testing.assert_allclose(found[:, 1], 0, atol=1e-5)
    assert (np.abs(found[:, 0]) > 1e-6).all()
    matrix = transfer(engine, loaded, queries, {"en": (3, 70), "it": (5,)}, {"en": (4, 71), "it": (6,)})
    control = effects(engine, loaded, queries, [Intervention((4, 71))])
    assert set(matrix) == {(a, b) for a in ("en", "it") for b in ("en", "it")}
    assert matrix["en", "it"] == pytest.approx(found[1, 0] - control[1, 0], abs=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3", "bert"])
def test_planted_neurons_fire_where_planned_and_are_found(family: str) -> None:
    from rml_lama.eval.unit import Unit

    model = tiny(family, spread=3.0 if family == "bert" else 1.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    engine = engine_of(model, family)
    generator, offsets = np.random.default_rng(0), layer_offsets(engine)
    units = []
    for fact in range(3):
        for _ in range(4):
            tokens = (1, *generator.integers(5, 390, 5).tolist())
            site = 3 if kind_of(family) == "masked" else 5
            tokens = (*tokens[:site], 2, *tokens[site + 1 :]) if kind_of(family) == "masked" else tokens
            units.append(Unit(tuple(tokens), site, ((site, 30 + fact),)))
    plans = [Plan("agnostic", str(fact), tuple(range(4 * fact, 4 * fact + 4)), (30 + fact,)) for fact in range(3) for _ in range(2)]
    with plant(engine, units, plans, layers=[1], strength=25.0, seed=1) as planted:
        assert [one.layer for one in planted] == [1] * 6
        assert len({(one.layer, one.index) for one in planted}) == 6
        for one in planted:
            assert one.wanted > 5 * one.other
        for number in (0, 5, 9):
            (found,) = integrate(engine, [units[number]])
            truth = [int(offsets[one.layer]) + one.index for one in planted if one.plan.fact == str(number // 4)]
            values = torch.cat(found.values).numpy()
            others = [int(offsets[one.layer]) + one.index for one in planted if one.plan.fact != str(number // 4)]
            assert average_precision(values, truth) >= 0.5, "random models have a few large neurons of their own"
            assert values[truth].min() > values[others].max()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_planted_neuron_pushes_each_of_its_words_as_far() -> None:
    """Also where two of them are nearly the same, as Roma and Rom are."""
    engine = engine_of(tiny("llama"), "llama")
    unit, words = units_of("llama")[0], (30, 31, 250)
    embeddings = engine.model.get_output_embeddings().weight
    embeddings[31] = embeddings[30] + 0.3 * embeddings[31]
    ways = embeddings[list(words)] - embeddings.mean(0)
    sizes = [float(engine.sites[1].weight.data.norm(dim=0).mean())]
    with plant(engine, [unit], [Plan("agnostic", "f", (0,), words)], layers=[1], strength=3.0, seed=0) as (planted,):
        column = engine.sites[1].weight.data[:, planted.index].clone()
    far = column @ (ways / ways.norm(dim=1, keepdim=True)).T
    np.testing.assert_allclose(far.numpy(), 3.0 * sizes[0], rtol=1e-3)


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("mixtral", "dense layers only"),
        ("phi3", "looked for one or two maps"),
        ("opt-350m", "output embeddings are 16 wide and layers 32"),
    ],
)
def test_planting_says_what_it_cannot_do(family: str, message: str) -> None:
    engine, plans = engine_of(tiny(family), family), [Plan("hub", "", (0,), (3,))]
    with pytest.raises(ModelError, match=message), plant(engine, units_of(family), plans, layers=[0], strength=1, seed=0):
        pass


def test_sites_are_found_or_it_is_said_what_was_looked_for() -> None:
    sites = find_sites(tiny("mt5"))
    assert all(isinstance(site, LinearSite) for site in sites)
    assert [site.index for site in sites] == [0, 1, 2]
    assert sites[0].weight.shape == (32, 64)
    broken = tiny("llama")
    broken.model.layers[1].mlp.down_proj = torch.nn.Identity()
    with pytest.raises(ModelError, match=r"layer 1 of model.layers.*looked for one linear map outside attention.*found none"):
        find_sites(broken)
    plain = torch.nn.Sequential(torch.nn.Linear(3, 3))
    plain.config = tiny("llama").config
    with pytest.raises(ModelError, match="looked for a list of layers"):
        find_sites(plain)
