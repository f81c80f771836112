"""The language-agnostic score, rivals and their uncertainty: by hand, by simulation, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest

from rml_lama.errors import ConfigError
from rml_lama.eval.choose import choose, discoveries
from rml_lama.eval.evidence import Evidence, background_of, normalised, prepared
from rml_lama.eval.localization import classify
from rml_lama.eval.matrice import LanguageLevel, agnostic_score, language_level, penalised_score
from rml_lama.eval.planted import average_precision, recall_at
from rml_lama.eval.rivals import PRESETS, Recipe, matched_random, preset
from rml_lama.eval.uncertainty import localizability, reliability_table, resample, top_overlap, variance_components


def evidence(values: list[list[float]], language: list[str], **changes: object) -> Evidence:
    count = len(language)
    base = Evidence(np.array(values, dtype=float), np.array(language, dtype=object), np.ones(count, dtype=bool), np.full(count, 0.5))
    return Evidence(
        **{
            "values": base.values,
            "language": base.language,
            "known": base.known,
            "probability": base.probability,
            **changes,  # type: ignore[arg-type]
        }
    )


def simulated(
    *, languages: int = 6, phrasings: int = 4, neurons: int = 3000, strength: float = 0.15, seed: int = 0, hubs: int = 20
) -> tuple[Evidence, dict[str, np.ndarray]]:
    """Heavy-tailed noise, five agnostic neurons, hubs that are high for everything, and decoys of one language each."""
    generator = np.random.default_rng(seed)
    codes = ["en", "de", "ja", "tr", "ru", "fi", "ar", "ko"][:languages]
    picks = generator.permutation(neurons)
    truth, hub = picks[:5], picks[5 : 5 + hubs]
    decoys = picks[5 + hubs : 5 + hubs + 10 * languages].reshape(languages, 10)
    values, names = [], []
    hub_size = generator.uniform(0.3, 1.0, hubs)
    background = {}
    for place, code in enumerate(codes):
        base = np.zeros(neurons)
        base[hub] = hub_size
        background[code] = base + generator.normal(0, 0.01, neurons)
        for _ in range(phrasings):
            row = generator.standard_t(3, neurons) * 0.03 + base
            row[truth] += strength * generator.uniform(0.7, 1.3, 5)
            row[decoys[place]] += 0.6
            values.append(row)
            names.append(code)
    known = np.ones(len(names), dtype=bool)
    return (
        Evidence(np.array(values), np.array(names, dtype=object), known, np.full(len(names), 0.5), background=background),
        {"truth": truth, "hubs": hub, "decoys": decoys.ravel()},
    )


def test_normalising_by_hand() -> None:
    row = np.array([[3.0, -4.0, 0.0]])
    assert normalised(row, "max").tolist() == [[0.75, -1.0, 0.0]]
    assert normalised(row, "l2").tolist() == [[0.6, -0.8, 0.0]]
    np.testing.assert_allclose(normalised(row, "rank"), [[2 / 3, -1.0, 0.0]])
    assert normalised(row, "none") is row
    assert normalised(np.zeros((1, 2)), "max").tolist() == [[0.0, 0.0]]


def test_the_gate_leaves_languages_out_and_never_counts_them_as_zero() -> None:
    found = evidence([[1, 0], [1, 0], [0, 1]], ["en", "en", "ja"], known=np.array([True, True, False]))
    assert prepared(found, contrast=0.0).languages == ["en"]
    assert PRESETS["mean-contrast"].score(found).tolist() == [1.0, 0.0]
    weighed = prepared(evidence([[1, 0], [0, 1]], ["en", "en"], probability=np.array([0.9, 0.1])), gate="probability", contrast=0.0)
    assert weighed.weight is not None
    np.testing.assert_allclose(weighed.weight, [1.8, 0.2])
    np.testing.assert_allclose(language_level(weighed).mean, [[0.9, 0.1]])


def test_the_score_by_hand() -> None:
    level = LanguageLevel(("en", "ja"), np.array([[0.9], [0.5]]), np.array([[0.1], [0.2]]), np.array([4.0, 4.0]))
    assert agnostic_score(level)[0] == pytest.approx(((0.8**0.25 + 0.3**0.25) / 2) ** 4)
    assert agnostic_score(level, query_penalty=0, exponent=1.0)[0] == pytest.approx(0.7)
    three = LanguageLevel(("en", "ja", "tr"), np.array([[0.9, -0.9], [0.0, -0.3], [-0.2, 0.0]]), np.zeros((3, 2)), np.ones(3))
    assert agnostic_score(three).tolist() == pytest.approx([0.9 / 81, -0.4]), "below zero counts as zero, unless nothing is above"
    one = LanguageLevel(("en",), np.array([[0.9]]), np.array([[0.1]]), np.ones(1))
    assert agnostic_score(one)[0] == pytest.approx(0.8)
    assert penalised_score(one, query_penalty=1.0)[0] == pytest.approx(0.8)


def test_the_penalised_score_by_hand() -> None:
    level = LanguageLevel(("en", "ja"), np.array([[0.9], [0.5]]), np.array([[0.1], [0.2]]), np.array([4.0, 4.0]))
    lower = np.array([0.9 - 0.15, 0.5 - 0.3])
    expected = lower.mean() - 1.5 * lower.std(ddof=1) / np.sqrt(2)
    assert penalised_score(level)[0] == pytest.approx(expected)
    assert penalised_score(level, query_penalty=0, language_penalty=0)[0] == pytest.approx(0.7)


def test_families_count_the_same_when_balanced() -> None:
    mean = np.array([[1.0], [1.0], [1.0], [0.0]])
    level = LanguageLevel(("en", "de", "fr", "ja"), mean, np.zeros((4, 1)), np.ones(4))
    assert agnostic_score(level, exponent=1.0)[0] == pytest.approx(0.75)
    assert agnostic_score(level, exponent=1.0, family_balanced=True)[0] == pytest.approx(0.5)
    assert agnostic_score(level)[0] == pytest.approx(0.75**4)
    assert agnostic_score(level, family_balanced=True)[0] == pytest.approx(0.5**4)
    assert penalised_score(level, language_penalty=0)[0] == pytest.approx(0.75)
    assert penalised_score(level, language_penalty=0, family_balanced=True)[0] == pytest.approx(0.5)


def test_standard_errors_are_shrunken_towards_the_pooled_variance() -> None:
    level = language_level(evidence([[0.0, 1.0], [2.0, 1.0]], ["en", "en"]))
    pooled = (2.0 + 0.0) / 2
    expected = [np.sqrt((1 * own + 4 * pooled) / 5 / 2) for own in (2.0, 0.0)]
    np.testing.assert_allclose(level.error[0], expected)
    assert level.error[0, 1] > 0, "two phrasings that agree are not certain"


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"random"}))
def test_order_of_queries_and_of_languages_changes_nothing(name: str) -> None:
    found, _ = simulated(neurons=200)
    turned = found.take(np.random.default_rng(1).permutation(len(found.language)))
    np.testing.assert_allclose(PRESETS[name].score(found), PRESETS[name].score(turned), atol=1e-9)


def test_matrice_finds_what_is_agnostic_where_set_criteria_find_hubs() -> None:
    precision = {name: [] for name in PRESETS}
    for seed in range(5):
        found, roles = simulated(seed=seed)
        for name, recipe in PRESETS.items():
            precision[name].append(average_precision(recipe.score(found), roles["truth"].tolist()))
    mean = {name: float(np.mean(values)) for name, values in precision.items()}
    assert mean["matrice"] >= 0.9
    assert mean["matrice"] > mean["mean-contrast"], "decoys of one language have a high mean"
    assert mean["dai2022"] < 0.5
    assert mean["amig"] < 0.5
    assert mean["random"] < 0.1


def test_without_the_contrast_hubs_win() -> None:
    found, roles = simulated()
    plain = Recipe("plain", "matrice", contrast=0.0).score(found)
    first = np.argsort(-plain)[:20]
    assert np.isin(first, roles["hubs"]).mean() > 0.7


def test_the_positive_part_of_the_contrast_gives_nothing_for_working_against_others() -> None:
    found = evidence([[0.2, 0.0, 1.0]], ["en"], background={"en": np.array([-0.5, -0.5, 0.25])})
    assert prepared(found).values.round(9).tolist() == [[0.7, 0.5, 0.75]]
    assert prepared(found, contrast_part="positive").values.tolist() == [[0.2, 0.0, 0.75]]
    assert Recipe("p", "matrice", contrast_part="positive").score(found).argmax() == 2


def test_the_background_is_of_other_relations_and_objects() -> None:
    values = np.array([[1.0], [10.0], [100.0]])
    assert background_of(values, ["P36", "P30", "P30"], ["Paris", "Paris", "Europe"], "P36", "Rome").tolist() == [55.0]
    assert background_of(values, ["P36", "P30", "P30"], ["Paris", "Paris", "Europe"], "P36", "Paris").tolist() == [100.0]
    assert background_of(values, ["P36"] * 3, ["a", "b", "c"], "P36", "d").tolist() == [0.0]


def test_random_matched_takes_the_same_layers_and_like_sizes() -> None:
    offsets = np.array([0, 50, 100])
    activations = np.linspace(0, 1, 100)
    chosen = np.array([10, 40, 60])
    drawn = matched_random(chosen, activations, offsets, seed=0)
    assert len(set(drawn.tolist()) | set(chosen.tolist())) == 6
    for neuron, other in zip(chosen, drawn, strict=True):
        assert neuron // 50 == other // 50
        assert abs(activations[neuron] - activations[other]) < 0.25
    assert matched_random(chosen, activations, offsets, seed=0).tolist() == drawn.tolist()
    with pytest.raises(ConfigError, match="unknown method 'best'"):
        preset("best")


def test_inclusion_probabilities_are_calibrated_on_planted_truth() -> None:
    """Of neurons with a high inclusion probability most are true, of those with a low one hardly any."""
    high, low = [], []
    for seed in range(6):
        found, roles = simulated(seed=seed, strength=0.12)
        ready = PRESETS["matrice"].prepare(found)
        inclusion = resample(PRESETS["matrice"], ready, k=5, draws=60, seed=0).inclusion
        true = np.isin(np.arange(len(inclusion)), roles["truth"])
        high += true[inclusion >= 0.8].tolist()
        low += true[(inclusion > 0) & (inclusion <= 0.2)].tolist()
        assert inclusion.sum() == pytest.approx(5)
    assert np.mean(high) >= 0.8
    assert np.mean(low) <= 0.2


def test_intervals_hold_the_score_and_resampling_repeats_by_seed() -> None:
    found, roles = simulated()
    recipe = PRESETS["mean-contrast"]
    ready = recipe.prepare(found)
    first, again = (resample(recipe, ready, k=5, draws=50, seed=3) for _ in range(2))
    scores = recipe.summarise(ready)
    assert ((first.low <= scores) & (scores <= first.high))[roles["truth"]].all()
    np.testing.assert_array_equal(first.inclusion, again.inclusion)
    assert not np.array_equal(first.inclusion, resample(recipe, ready, k=5, draws=50, seed=4).inclusion)


def test_overlap_and_localizability() -> None:
    assert top_overlap(np.arange(100.0), np.arange(100.0), 10) == 1.0
    generator = np.random.default_rng(0)
    chance = np.mean([top_overlap(generator.random(200), generator.random(200), 20) for _ in range(200)])
    assert abs(chance) < 0.03
    found, _ = simulated(strength=0.5)
    recipe = PRESETS["mean-contrast"]
    ready = recipe.prepare(found)
    assert localizability(recipe, ready, k=50, splits=4, seed=0) > 0.5
    noise = evidence(generator.normal(size=(24, 500)).tolist(), ["en", "de", "ja", "tr"] * 6)
    assert abs(localizability(recipe, noise, k=20, splits=10, seed=0)) < 0.2
    assert np.isnan(localizability(recipe, ready.take(np.array([0, 4])), k=5, splits=2, seed=0))


def test_variance_components_are_recovered() -> None:
    generator = np.random.default_rng(0)
    neurons, languages, phrasings = 4000, 6, 5
    theta = generator.normal(0, 1.0, neurons)
    rows, names = [], []
    for code in range(languages):
        shift = generator.normal(0, 0.7, neurons)
        for _ in range(phrasings):
            rows.append(theta + shift + generator.normal(0, 0.5, neurons))
            names.append(str(code))
    found = variance_components(evidence(rows, names))  # type: ignore[arg-type]
    assert found.neuron == pytest.approx(1.0, rel=0.1)
    assert found.language == pytest.approx(0.49, rel=0.1)
    assert found.phrasing == pytest.approx(0.25, rel=0.1)
    table = reliability_table(found, (1, 6), (1, 5))
    assert [row["reliability"] for row in table] == sorted(row["reliability"] for row in table)
    assert found.reliability(1, 1) == pytest.approx(1 / 1.74, rel=0.1)


def test_what_is_chosen() -> None:
    found, roles = simulated(strength=0.3)
    recipe = PRESETS["matrice"]
    ready = recipe.prepare(found)
    scores = recipe.summarise(ready)
    assert choose(recipe, ready, scores, "top", most=7).tolist() == np.argsort(-scores, kind="stable")[:7].tolist()
    above = choose(recipe, ready, scores, "share-of-max", most=50, share=0.5)
    assert (scores[above] >= 0.5 * scores.max()).all()
    assert set(roles["truth"].tolist()) <= set(choose(recipe, ready, scores, "fdr", most=50).tolist())


def test_false_discoveries_are_bounded_and_noise_gives_none() -> None:
    generator = np.random.default_rng(0)
    null = generator.normal(size=20000)
    shares = []
    for _ in range(50):
        scores = np.concatenate([generator.normal(size=1900), generator.normal(5, 1, size=100)])
        kept = np.flatnonzero(discoveries(scores, null, 0.1))
        shares.append((kept < 1900).mean())
    assert 0.02 < np.mean(shares) < 0.13
    assert discoveries(generator.normal(size=500), null, 0.01).sum() <= 1


def test_classes() -> None:
    families = {"en": "IE", "de": "IE", "ja": "J", "tr": "T", "fi": "U"}
    kept = list(families)
    assert classify(["en", "de", "ja", "tr"], kept, families, 0.8) == "agnostic"
    assert classify(["en", "de"], kept, families, 0.8) == "family-shared"
    assert classify(["ja"], kept, families, 0.8) == "language-specific"
    assert classify(["en", "ja"], kept, families, 0.8) == "partial"
    assert classify([], kept, families, 0.8) == "partial"
    assert classify(["en", "de"], ["en", "de"], families, 0.8) == "agnostic", "two of one family, and no other was kept"
    assert classify(["en"], ["en"], families, 0.8) == "language-specific"


def test_average_precision_and_recall_by_hand() -> None:
    scores = np.array([0.9, 0.1, 0.8, 0.7])
    assert average_precision(scores, [0, 3]) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert recall_at(scores, [0, 3], 2) == 0.5
