"""Do nominal 95% intervals cover 95%? Small benchmarks are drawn from a known truth, and their intervals asked whether they hold it.

    python benchmarks/coverage.py [--runs 1000]

A benchmark has relations (of their own difficulty), facts (drawn from an endless population), languages and phrasings (fixed,
each with its own effect). A query is right with the probability that a logistic model of these gives. The truth of a language, and of the
mean of languages, is that of 4,000 facts a relation. `percentile` is the plain bootstrap's interval, for comparison. Prints Markdown.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from rml_lama.eval.bootstrap import FactBootstrap, nan_mean


@dataclass(frozen=True, slots=True)
class Setting:
    """The size of a small benchmark, and how hard it is (the logit of a middling query)."""

    relations: int
    facts: int  # of each relation
    languages: int
    phrasings: int
    level: float


SETTINGS = (
    Setting(1, 10, 1, 3, 0.0),
    Setting(1, 20, 3, 3, 0.0),
    Setting(4, 5, 3, 3, 0.0),
    Setting(4, 10, 3, 3, -2.0),
    Setting(4, 10, 3, 3, -3.5),
    Setting(4, 10, 3, 3, 2.5),
    Setting(8, 5, 4, 3, -1.5),
    Setting(8, 20, 4, 3, -1.0),
    Setting(25, 5, 8, 3, -1.5),
)


def draw(setting: Setting, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Answers (relations, facts, languages, phrasings), and the true means (relations, languages)."""
    shape = (setting.relations, 1, setting.languages, setting.phrasings)
    fixed = setting.level + generator.normal(0, 0.8, (setting.relations, 1, 1, 1)) + generator.normal(0, 0.5, (1, 1, setting.languages, 1))
    fixed = fixed + generator.normal(0, 0.7, shape)

    def chances(facts: int) -> np.ndarray:
        size = (setting.relations, facts, 1, 1)
        own = generator.normal(0, 1.5, size) + generator.normal(0, 0.8, (setting.relations, facts, setting.languages, 1))
        chance: np.ndarray = 1 / (1 + np.exp(-(fixed + own)))
        return chance

    sample = chances(setting.facts)
    return (generator.random(sample.shape) < sample).astype(float), chances(4000).mean(axis=(1, 3))


def intervals(answers: np.ndarray, seed: int, resamples: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Of one language and of the mean of languages, ours and the plain bootstrap's."""
    relations, facts, languages, _ = answers.shape
    number, fact_in, language, _ = (part.ravel() for part in np.indices(answers.shape))
    fact = number * facts + fact_in
    bootstrap = FactBootstrap([f"P{relation:03}" for relation in range(relations) for _ in range(facts)], resamples=resamples, seed=seed)
    draws = bootstrap.macro(answers.ravel(), fact, language, languages)
    ours = {"language": bootstrap.estimate(draws[:, 0], fact), "mean": bootstrap.estimate(nan_mean(draws), fact)}
    drawn = np.random.default_rng(seed).multinomial(facts, np.full(facts, 1 / facts), size=(resamples, relations)) / facts
    means = np.einsum("drf,rfl->dl", drawn, answers.mean(axis=3)) / relations  # (draws, languages)
    plain = {"language": np.percentile(means[:, 0], [2.5, 97.5]), "mean": np.percentile(means.mean(axis=1), [2.5, 97.5])}
    return {
        "ours": {name: (estimate.low, estimate.high) for name, estimate in ours.items()},
        "percentile": {name: (float(low), float(high)) for name, (low, high) in plain.items()},
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=400)
    options = parser.parse_args()
    print("| relations x facts, languages, phrasings | P@1 | language: ours | mean: ours | language: percentile | mean: percentile |")
    print("|---|---:|---:|---:|---:|---:|")
    everything: list[bool] = []
    for setting in SETTINGS:
        generator = np.random.default_rng(0)
        hits: dict[tuple[str, str], list[bool]] = {}
        truths = []
        for run in range(options.runs):
            answers, means = draw(setting, generator)
            truth = {"language": float(means[:, 0].mean()), "mean": float(means.mean())}
            truths.append(truth["mean"])
            for method, found in intervals(answers, run, options.resamples).items():
                for name, (low, high) in found.items():
                    hits.setdefault((method, name), []).append(low <= truth[name] <= high)
        everything += hits["ours", "language"] + hits["ours", "mean"]
        cells = " | ".join(f"{np.mean(hits[method, name]):.1%}" for method in ("ours", "percentile") for name in ("language", "mean"))
        size = f"{setting.relations} x {setting.facts}, {setting.languages}, {setting.phrasings}"
        print(f"| {size} | {np.mean(truths):.2f} | {cells} |", flush=True)
    error = 100 * np.sqrt(0.95 * 0.05 / options.runs)
    print(
        f"\nOver all settings {np.mean(everything):.1%}. {options.runs:,} benchmarks each: a figure has a standard error of {error:.1f}%."
    )


if __name__ == "__main__":
    main()
