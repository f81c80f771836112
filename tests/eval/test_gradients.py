"""The engine equals the slow reference for every family, in every batch and cut; completeness; other libraries' numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rml_lama.errors import ModelError
from rml_lama.eval.engine import Engine, Rows
from rml_lama.eval.gradients import Attribution, integrate
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.naive import naive_attribution, naive_layer
from rml_lama.eval.parity import pre_activation_attribution
from rml_lama.eval.quadrature import quadrature
from rml_lama.eval.unit import Unit
from tests.eval.families import families, kind_of, tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

CAUSAL = [Unit((1, 5, 6, 7, 8, 9, 10), 6, ((6, 33),)), Unit((1, 15, 6, 17, 9), 4, ((4, 34),))]
MASKED = [Unit((1, 6, 7, 2, 9, 10, 11), 3, ((3, 33),)), Unit((1, 6, 2, 9, 10), 2, ((2, 34),))]
ENCODED = [Unit((0, 7), 1, ((1, 33),), source=(5, 6, 7, 8, 9)), Unit((0, 9), 1, ((1, 44),), source=(5, 6, 7))]
DENSE = sorted(set(families()) - {"mixtral"})


def units_of(family: str) -> list[Unit]:
    return ENCODED if family in ("mt5", "t5") else MASKED if kind_of(family) == "masked" else CAUSAL


def engine_of(model: Any, family: str, **options: Any) -> Engine:
    return Engine(LoadedModel("tiny", "local", kind_of(family), str(model.dtype), model, None), **options)


def largest(values: Any) -> float:
    return max(float(value.abs().max()) for value in values)


def distance(ours: Attribution, theirs: list[torch.Tensor]) -> float:
    """The largest difference, as a share of the largest attribution."""
    return largest([a - b for a, b in zip(ours.values, theirs, strict=True)]) / largest(theirs)


@pytest.fixture
def exact_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers' RMS norms compute in float32 whatever they are given; for float64 models that is noise."""

    def forward(self: Any, hidden_states: torch.Tensor) -> torch.Tensor:
        epsilon = getattr(self, "variance_epsilon", None) or self.eps
        normed = hidden_states * torch.rsqrt(hidden_states.pow(2).mean(-1, keepdim=True) + epsilon)
        return normed * (1 + self.weight if "Gemma" in type(self).__name__ else self.weight)

    def layer_norm(self: Any, hidden_states: torch.Tensor) -> torch.Tensor:
        centred = hidden_states - hidden_states.mean(-1, keepdim=True)
        return self.weight * centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    import importlib

    for name in ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "granite", "mixtral", "mt5", "t5", "cohere"):
        module = importlib.import_module(f"transformers.models.{name}.modeling_{name}")
        for attribute in vars(module).copy():
            if attribute.endswith("RMSNorm") or attribute in ("MT5LayerNorm", "T5LayerNorm"):
                monkeypatch.setattr(getattr(module, attribute), "forward", forward)
            if attribute == "CohereLayerNorm":
                monkeypatch.setattr(getattr(module, attribute), "forward", layer_norm)


# XGLM's own attention cannot run in float64
@pytest.mark.parametrize("family", sorted(set(DENSE) - {"xglm"}))
def test_the_engine_equals_the_reference_in_double_precision(exact_norms: None, family: str) -> None:
    model = tiny(family).double()
    engine = engine_of(model, family, tolerance=0.0)
    for unit in units_of(family):
        (found,) = integrate(engine, [unit], rule="linspace-5")
        assert distance(found, naive_attribution(model, engine.sites, unit, quadrature("linspace-5"))) <= 1e-8


@pytest.mark.parametrize("family", DENSE)
def test_a_batch_of_different_lengths_equals_the_reference_in_single_precision(family: str) -> None:
    model = tiny(family)
    engine = engine_of(model, family)
    found = integrate(engine, units_of(family), rule="midpoint-4")
    for unit, ours in zip(units_of(family), found, strict=True):
        assert distance(ours, naive_attribution(model, engine.sites, unit, quadrature("midpoint-4"), batch=3)) <= 1e-3


@pytest.mark.parametrize("family", ["gpt2", "gemma3", "bloom", "xglm", "mixtral", "bert", "mt5"])
def test_pieces_equal_the_whole_and_a_batch_equals_singles(family: str) -> None:
    model = tiny(family)
    units = units_of(family)
    whole = integrate(engine_of(model, family), units, rule="left-6")
    pieces = integrate(engine_of(model, family, memory=1), units, rule="left-6")
    for number, unit in enumerate(units):
        (single,) = integrate(engine_of(model, family), [unit], rule="left-6")
        assert distance(pieces[number], list(whole[number].values)) <= 1e-4
        assert distance(single, list(whole[number].values)) <= 1e-4


@pytest.mark.parametrize("family", sorted(families()))
def test_attributions_add_up_or_are_not_certified(family: str) -> None:
    engine = engine_of(tiny(family), family)
    for found in integrate(engine, units_of(family), floor=1e-3):
        totals = torch.stack([value.sum() for value in found.values])
        limit = 0.01 * found.effect.abs().clamp_min(1e-3)
        assert ((totals - found.effect).abs() <= limit + 1e-6).tolist() == found.certified.tolist()
        # An expert that is switched on or off along the path is a jump, which no integral of a gradient sees.
        assert found.complete or family == "mixtral", (found.residual, found.effect)
        assert found.value == pytest.approx(float(torch.tensor(found.log_probability).exp()))


def test_experts_equal_finite_differences(exact_norms: None) -> None:
    """No hook reaches an expert's neurons: their gradient is compared with differences of the model's own function."""
    model = tiny("mixtral")
    model.double()
    engine = engine_of(model, "mixtral", tolerance=0.0)
    opened = engine.open([CAUSAL[0]])
    site, activation = engine.sites[1], opened.activations[1][0]
    assert activation.shape == (4 * 64,)
    assert int((activation != 0).sum()) == 2 * 64, "two of four experts ran"
    torch.testing.assert_close(site.output(activation), opened.outputs[1][0])
    (_, slope) = engine.evaluate(opened, {1: Rows(torch.tensor([0]), opened.outputs[1])})[1]
    for neuron in activation.abs().topk(3).indices.tolist():
        step = 1e-4 * site.weight[:, neuron]
        up, down = (engine.evaluate(opened, {1: Rows(torch.tensor([0]), opened.outputs[1] + sign * step)})[1][0] for sign in (1, -1))
        assert float(up - down) / 2e-4 == pytest.approx(float(site.weight[:, neuron] @ slope[0]), rel=1e-3, abs=1e-9)


def test_several_targets_are_a_product() -> None:
    """F = P(y_1 y_2), with the site at the token that predicts the first: the row holds both tokens."""
    for family in ("gpt2", "gemma3"):
        model = tiny(family)
        engine = engine_of(model, family)
        unit = Unit((1, 5, 6, 7, 8), 3, ((3, 8), (4, 33)))
        (found,) = integrate(engine, [unit], rule="linspace-4")
        assert distance(found, naive_attribution(model, engine.sites, unit, quadrature("linspace-4"))) <= 1e-3


def test_objectives_and_baselines() -> None:
    engine = engine_of(tiny("gpt2").double(), "gpt2", tolerance=0.0)
    plain, logarithm = (integrate(engine, CAUSAL[:1], objective=name)[0] for name in ("probability", "log-probability"))
    assert float(logarithm.effect[0]) == pytest.approx(
        float(torch.log(torch.tensor(plain.value)) - torch.log(plain.value - plain.effect[0])), rel=1e-6
    )
    rival = Unit(CAUSAL[0].tokens, 6, ((6, 33),), rival=40)
    (difference,) = integrate(engine, [rival], objective="logit-difference")
    logits = engine.model(input_ids=torch.tensor([rival.tokens])).logits[0, -1]
    assert difference.value == pytest.approx(float(logits[33] - logits[40]), rel=1e-6)
    assert difference.complete
    own = [activation[0] for activation in engine.open(CAUSAL[:1]).activations]
    (nothing,) = integrate(engine, CAUSAL[:1], baselines=[own])
    assert largest(nothing.values) == 0.0
    halfway = [activation / 2 for activation in own]
    (half,) = integrate(engine, CAUSAL[:1], baselines=[halfway])
    assert half.complete
    assert float(half.effect[1]) != pytest.approx(float(plain.effect[1]))


def test_what_does_not_converge_is_doubled() -> None:
    engine = engine_of(tiny("gemma3", spread=3.0), "gemma3")
    (rough,) = integrate(engine, CAUSAL[:1], rule="gauss-kronrod-cubic-7", floor=1e-6, tolerance=1e-4, doublings=0)
    (fine,) = integrate(engine, CAUSAL[:1], rule="gauss-kronrod-cubic-7", floor=1e-6, tolerance=1e-4, doublings=4)
    assert not rough.complete
    assert int(fine.nodes.max()) > 7
    assert float((fine.residual / fine.effect.abs()).max()) < float((rough.residual / rough.effect.abs()).max())


def test_the_onset_is_where_a_norm_saturates() -> None:
    """sqrt(ε) by the output's root mean square, halved, where a norm takes the output; a half where it is simply added."""
    engine = engine_of(tiny("gemma3").double(), "gemma3")
    opened = engine.open(CAUSAL[:2])
    owner, eps = torch.arange(2), 1e-6
    for layer, output in enumerate(opened.outputs):
        onset = engine.onset(opened, layer, owner, torch.zeros_like(output), output)
        expected = torch.sqrt(eps / (output.square().mean(-1) + eps)) / 2
        assert (onset <= 1.01 * expected).all(), "earlier where what is there already is small"
        assert (onset > 0.01 * expected).all()
    plain = engine_of(tiny("gpt2").double(), "gpt2")
    opened = plain.open(CAUSAL[:2])
    little = opened.outputs[0] * 1e-3
    assert plain.onset(opened, 0, owner, torch.zeros_like(little), little).tolist() == pytest.approx([0.5, 0.5], rel=1e-3)


def test_fitted_nodes_are_nearer_than_more_cubed_ones() -> None:
    engine = engine_of(tiny("gemma3", spread=3.0).double(), "gemma3", tolerance=0.0)

    def found(rule: str) -> torch.Tensor:
        return torch.cat(integrate(engine, CAUSAL[:1], rule=rule, doublings=0)[0].values)

    exact, fitted, cubed = map(found, ("gauss-kronrod-sinh-201", "gauss-kronrod-sinh-15", "gauss-kronrod-cubic-21"))
    assert float((fitted - exact).abs().max()) < 0.2 * float((cubed - exact).abs().max())
    assert float((fitted - exact).abs().max() / exact.abs().max()) < 1e-3


class Rest(torch.nn.Module):
    """The rest of the model as a function of one layer's activations at the site: what captum's layer methods can read."""

    def __init__(self, model: Any, module: torch.nn.Module, unit: Unit) -> None:
        super().__init__()
        self.site = torch.nn.Identity()
        self.rest = (model, module, unit)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        model, module, unit = self.rest
        values = self.site(values)  # (steps, neurons)

        def put(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            rows = torch.arange(len(values))
            return (args[0].detach().index_put((rows, torch.full_like(rows, unit.site)), values),)

        handle = module.register_forward_pre_hook(put)
        try:
            logits = model(input_ids=torch.tensor([unit.tokens]).expand(len(values), -1)).logits
        finally:
            handle.remove()
        return torch.softmax(logits[:, unit.targets[0][0]], dim=-1)[:, unit.targets[0][1]]


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_captum_gives_the_same_numbers(family: str) -> None:
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    model = tiny(family).double()
    engine = engine_of(model, family, tolerance=0.0)
    unit = units_of(family)[0]
    (found,) = integrate(engine, [unit], rule="gauss-kronrod-cubic-31")
    for site in engine.sites:
        activation = found.activations[site.index]
        rest = Rest(model, site.block, unit)
        theirs = captum.LayerIntegratedGradients(rest, rest.site).attribute(activation[None], n_steps=60, method="gausslegendre")
        torch.testing.assert_close(found.values[site.index], theirs[0], atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("family", ["gpt2", "gemma3", "opt", "bert", "mt5"])
def test_the_gradient_where_nothing_is_changed(family: str) -> None:
    engine = engine_of(tiny(family), family, tolerance=0.0)
    opened = engine.open(units_of(family))
    rows = {layer: Rows(torch.arange(2), output) for layer, output in enumerate(opened.outputs)}
    for layer, (value, slope) in engine.evaluate(opened, rows).items():
        torch.testing.assert_close(value, opened.log_probability, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(engine.unchanged(opened)[layer], slope, atol=1e-5, rtol=1e-3)


def test_the_reference_says_what_it_cannot_do() -> None:
    engine = engine_of(tiny("mixtral"), "mixtral")
    with pytest.raises(TypeError, match="dense projection"):
        naive_layer(engine.model, engine.sites[0], CAUSAL[0], quadrature("left-2"))


def knowledge_neurons_score(model: Any, module: Any, unit: Unit, steps: int) -> torch.Tensor:
    """The formula of EleutherAI/knowledge-neurons written anew: w/S Σ ∂P/∂w at w·k/(S-1), w the output of `module` at the site."""
    ids = torch.tensor([unit.tokens]).expand(steps, -1)
    seen: dict[str, torch.Tensor] = {}

    def patch(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        whole = output.detach().clone()
        seen["w"] = whole[0, unit.site].clone()
        seen["scaled"] = (torch.linspace(0, 1, steps, dtype=whole.dtype)[:, None] * seen["w"]).requires_grad_()
        whole[:, unit.site] = seen["scaled"]
        return whole

    handle = module.register_forward_hook(patch)
    probability = torch.softmax(model(input_ids=ids).logits[:, unit.targets[0][0]], dim=-1)[:, unit.targets[0][1]]
    handle.remove()
    gradient = torch.autograd.grad(torch.unbind(probability), seen["scaled"])[0]
    return seen["w"] / steps * gradient.sum(0)


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_the_numbers_of_knowledge_neurons(family: str) -> None:
    model = tiny(family).double()
    engine = engine_of(model, family, tolerance=0.0)
    unit = units_of(family)[0]
    ours = pre_activation_attribution(engine, unit) if family == "gpt2" else list(integrate(engine, [unit], rule="linspace-20")[0].values)
    for layer, values in enumerate(ours):
        module = model.transformer.h[layer].mlp.c_fc if family == "gpt2" else model.bert.encoder.layer[layer].intermediate
        torch.testing.assert_close(values, knowledge_neurons_score(model, module, unit, 20), atol=1e-12, rtol=1e-8)


def test_a_gated_ffn_has_no_single_pre_activation() -> None:
    with pytest.raises(ModelError, match="one pre-activation only where one map leads into the FFN; found 2"):
        pre_activation_attribution(engine_of(tiny("llama"), "llama"), CAUSAL[0])
    assert len(pre_activation_attribution(engine_of(tiny("opt"), "opt"), CAUSAL[0], rule="left-4")) == 3


def test_a_bfloat16_model_gives_nearly_the_same() -> None:
    """Rows run in the load dtype; what is summed is float32."""
    model = tiny("llama")
    (exact,) = integrate(engine_of(model, "llama"), CAUSAL[:1], rule="midpoint-8")
    low = tiny("llama").to(torch.bfloat16)
    (rough,) = integrate(engine_of(low, "llama"), CAUSAL[:1], rule="midpoint-8")
    assert rough.values[0].dtype == rough.gradients.dtype == torch.float32
    correlation = torch.corrcoef(torch.stack([torch.cat(exact.values), torch.cat(rough.values)]))[0, 1]
    assert float(correlation) > 0.98
