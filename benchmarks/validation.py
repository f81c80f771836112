"""Every figure of docs/validation.md: planted faults, false alarms, thresholds, crowd pairs, the judge, and the time.

    python benchmarks/validation.py faults --facts BUILD [--preset full] [--each 20] [--cache FOLDER] [--fluency demo]
    python benchmarks/validation.py thresholds [--preset full] [--cache FOLDER]
    python benchmarks/validation.py pairs CROWD_PAIRS.tsv [--cache FOLDER]
    python benchmarks/validation.py time [--preset light]
    python benchmarks/validation.py prototypes validation/prototypes.json [--cache FOLDER]

The judge's figures come from `rml-lama validate --calibrate LABELS.tsv`. `--cache` keeps what models said, so that a run that was
stopped goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import hashlib
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from rml_lama.builders.bank import read_bank
from rml_lama.ledger import Ledger
from rml_lama.records import Template, Verdict
from rml_lama.validation.base import Context, Filter, Prepared
from rml_lama.validation.embedding import EMBEDDED, Vectors, load_embedder
from rml_lama.validation.fluency import Fluency
from rml_lama.validation.forms import plain
from rml_lama.validation.labels import build_labels
from rml_lama.validation.leakage import answer_labels
from rml_lama.validation.logistic import auc
from rml_lama.validation.memo import Memo
from rml_lama.validation.paraphrase import same_meaning
from rml_lama.validation.planted import KINDS, plant
from rml_lama.validation.presets import Resources, make_filters
from rml_lama.validation.prototypes import fit_prototypes, save_prototypes
from rml_lama.validation.references import References
from rml_lama.validation.runner import Judged, judge_all

SEED = 0


@contextlib.contextmanager
def memo(cache: Path | None) -> Iterator[Memo]:
    """Answers in memory, or kept in the folder `cache`."""
    if cache is None:
        yield Memo()
    else:
        with Ledger(cache / "answers.ledger.jsonl") as ledger:
            yield Memo(ledger)


def resources(kept: Memo, facts: Path | None, fluency: str | None) -> Resources:
    """The bank as references, the build's labels as answers, and a language model if one is named."""
    scorer = None
    if fluency is not None:
        from rml_lama.eval.likelihood import CausalLikelihood
        from rml_lama.eval.models import load_model

        scorer = CausalLikelihood(load_model(fluency))
    labels = {} if facts is None else build_labels(facts)
    answers = {key: answer_labels(pairs, key[0]) for key, pairs in labels.items()}
    return Resources(References(read_bank()), answers, labels, {}, kept, scorer=scorer)


def drawn(templates: Sequence[Template], each: int) -> list[Template]:
    """So many phrasings of each language, by seed, in bank order; all for 0."""
    if not each:
        return list(templates)
    chosen: set[str] = set()
    for code in dict.fromkeys(template.language for template in templates):
        mine = [template.template_id for template in templates if template.language == code]
        chosen |= set(random.Random(f"{SEED} {code}").sample(mine, min(each, len(mine))))
    return [template for template in templates if template.template_id in chosen]


def alone(planted: Sequence[Template], filters: Sequence[Filter]) -> list[Judged]:
    """Verdicts on phrasings, each as if it stood alone (no siblings in a file)."""
    return [judged for template in planted for judged in judge_all([template], filters)]


def faults(args: argparse.Namespace) -> None:
    """Recall by kind and language, what found each kind, and the false alarms."""
    bank = read_bank()
    with memo(args.cache) as kept:
        what = resources(kept, args.facts, args.fluency)
        filters = make_filters(args.preset, what)
        untouched = judge_all(bank, filters)
        alarms = [one for one in untouched if not one.passed]
        print(f"preset {args.preset}: {len(alarms)} of {len(bank)} untouched phrasings refused, {len(alarms) / len(bank):.2%}")
        print("by filter:", dict(Counter(verdict.filter for one in alarms for verdict in one.failed).most_common()))
        refused = Counter(one.template.language for one in alarms)
        sizes = Counter(template.language for template in bank)
        print("by language:", " ".join(f"{code} {refused[code] / size:.1%}" for code, size in sizes.items()))
        sample = drawn(bank, args.each)
        codes = list(sizes)
        print("\n| kind | n | recall | lowest languages | found by |\n|---|---:|---:|---|---|")
        table = {}
        for kind in args.kinds.split(",") if args.kinds else KINDS:
            planted = plant(kind, sample, what.fills, seed=SEED, bank=bank)
            for check in filters:
                if isinstance(check, Prepared):
                    check.prepare(planted, Context())
            judged = alone(planted, filters)
            table[kind] = by_language(judged)
            print(f"| {kind} | {len(judged)} | {recall(judged):.3f} | {lowest(table[kind])} | {found_by(judged)} |", flush=True)
        print("\n| kind | " + " | ".join(codes) + " |\n|---|" + "---:|" * len(codes))
        for kind, rates in table.items():
            print(f"| {kind} | " + " | ".join(f"{rates[code]:.2f}" if code in rates else "" for code in codes) + " |")


def recall(judged: Sequence[Judged]) -> float:
    """The share that is refused."""
    return sum(not one.passed for one in judged) / max(len(judged), 1)


def by_language(judged: Sequence[Judged]) -> dict[str, float]:
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        groups[one.template.language].append(one)
    return {code: recall(group) for code, group in groups.items()}


def lowest(rates: Mapping[str, float]) -> str:
    worst = sorted(rates.items(), key=lambda item: item[1])[:4]
    return " ".join(f"{code} {rate:.2f}" for code, rate in worst if rate < 1)


def found_by(judged: Sequence[Judged]) -> str:
    counts = Counter(verdict.filter for one in judged for verdict in one.failed)
    return ", ".join(f"{name} {count / len(judged):.0%}" for name, count in counts.most_common(4))


def thresholds(args: argparse.Namespace) -> None:
    """Quantiles of every filter's score over the bank; those of `language` by language; what a character costs `fluency`."""
    bank = read_bank()
    with memo(args.cache) as kept:
        filters = make_filters(args.preset, resources(kept, args.facts, args.fluency))
        judged = judge_all(bank, filters)
    scores: dict[str, list[Verdict]] = defaultdict(list)
    for one in judged:
        for verdict in one.verdicts:
            scores[verdict.filter].append(verdict)
    levels = (0.0, 0.002, 0.004, 0.0075, 0.01, 0.0125, 0.02, 0.5, 0.98, 0.998, 1.0)
    print("| filter | judged | " + " | ".join(f"{level:.2%}" for level in levels) + " |\n|---|---:|" + "---:|" * len(levels))
    for name, verdicts in scores.items():
        values = np.array([verdict.score for verdict in verdicts])
        values = values[np.isfinite(values)]
        row = " | ".join(f"{value:.3f}" for value in np.quantile(values, levels)) if len(values) else ""
        print(f"| {name} | {len(values)} | {row} |")
    margins: dict[str, list[float]] = defaultdict(list)
    for one in judged:
        margins[one.template.language] += [verdict.score for verdict in one.verdicts if verdict.filter == "language"]
    for code, values in margins.items():
        print(f"{code} = {min(np.floor(np.nanquantile(values, 0.004) * 100) / 100, 0.0)}")
    for check in filters:
        if isinstance(check, Fluency):
            print("slopes:", ", ".join(f"{code} = {value:.2f}" for code, value in slopes(check, bank).items()))


def slopes(fluency: Fluency, bank: Sequence[Template]) -> dict[str, float]:
    """Nats a character around the slots by language: least squares within sets. `default` is the median."""
    sets: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for template in bank:
        if (template.language, template.relation) in fluency.facts:
            sets[template.language, template.relation].append(fluency.measure(template, plain(template.text)))
    centred: dict[str, list[np.ndarray]] = defaultdict(list)
    for (code, _), measured in sets.items():
        centred[code].append(np.array(measured) - np.mean(measured, axis=0))
    found = {}
    for code, groups in centred.items():
        nats, length = np.concatenate(groups).T
        found[code] = float(nats @ length / (length @ length))
    return {"default": float(np.median(list(found.values()))), **found}


def pairs(args: argparse.Namespace) -> None:
    """AUC of the cosine, and of chrF++, on pairs that people called equivalent or not."""
    from rml_lama.validation.chrf import chrf

    with args.file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    equivalent = np.array([int(row["n_equivalent"]) > int(row["n_not_equivalent"]) for row in rows], dtype=int)
    texts = [(row["sentence_a"], row["sentence_b"]) for row in rows]
    with memo(args.cache) as kept:
        cosine = same_meaning(texts, Vectors(EMBEDDED, kept))
    print(f"{len(rows)} pairs, {equivalent.sum()} equivalent")
    print(f"cosine of {load_embedder(EMBEDDED).name}: AUC {auc(np.array(cosine), equivalent):.3f}")
    print(f"chrF++: AUC {auc(np.array([chrf(*pair) for pair in texts]), equivalent):.3f}")


def prototypes(args: argparse.Namespace) -> None:
    """Write the prototypes of the package's bank; and say what margins do in languages that had no part in them."""
    bank = read_bank()
    rows = [(template.language, template.relation) for template in bank]
    with memo(args.cache) as kept:
        vectors = Vectors(EMBEDDED, kept).of([template.text for template in bank])
    own, wrong = held_out_margins(rows, vectors)
    for alarms in (0.005, 0.01, 0.015, 0.02, 0.03):
        limit = np.quantile(own, alarms)
        print(f"margin >= {limit:.3f}: refuses {alarms:.1%} of the right and {np.mean(wrong < limit):.1%} of wrong relations")
    fitted = fit_prototypes(load_embedder(EMBEDDED).name, rows, vectors)
    identity = hashlib.sha256("\n".join(sorted(template.template_id for template in bank)).encode()).hexdigest()
    save_prototypes(fitted, args.file, bank=identity)
    print(f"{len(bank)} phrasings, {len(fitted.relations)} relations, written to {args.file}")


def held_out_margins(rows: Sequence[tuple[str, str]], vectors: np.ndarray, folds: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Margins under the own relation and under one drawn by seed, by prototypes of the other languages (but for the language's mean)."""
    codes, relations = list(dict.fromkeys(code for code, _ in rows)), sorted({name for _, name in rows})
    draw = random.Random(SEED)
    own, wrong = [], []
    for fold in range(folds):
        out = [code in codes[fold::folds] for code, _ in rows]
        train = [place for place, held in enumerate(out) if not held]
        fitted = fit_prototypes("", [rows[place] for place in train], vectors[train])
        means = {code: vectors[[one == code for one, _ in rows]].mean(axis=0) for code in codes[fold::folds]}
        fitted = dataclasses.replace(fitted, languages={**fitted.languages, **means})
        for place in (place for place, held in enumerate(out) if held):
            code, name = rows[place]
            other = draw.choice([relation for relation in relations if relation != name])
            for found, claimed in ((own, name), (wrong, other)):
                margin = fitted.margin(vectors[place], code, claimed)
                assert margin is not None
                found.append(margin.score)
    return np.array(own), np.array(wrong)


def clock(args: argparse.Namespace) -> None:
    """Seconds for the whole bank in a fresh process, models loaded and nothing cached."""
    started = time.perf_counter()
    with memo(None) as kept:
        judged = judge_all(read_bank(), make_filters(args.preset, resources(kept, args.facts, args.fluency)))
    print(f"preset {args.preset}: {len(judged)} phrasings in {time.perf_counter() - started:.1f} s")


def main() -> None:
    """One of the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, action in (("faults", faults), ("thresholds", thresholds), ("pairs", pairs), ("prototypes", prototypes), ("time", clock)):
        command = commands.add_parser(name)
        command.set_defaults(action=action)
        if name in ("pairs", "prototypes"):
            command.add_argument("file", type=Path)
        command.add_argument("--preset", default="light")
        command.add_argument("--facts", type=Path)
        command.add_argument("--fluency")
        command.add_argument("--each", type=int, default=0)
        command.add_argument("--cache", type=Path)
        command.add_argument("--kinds", help="Kinds of fault, with commas between; default: all.")
    args = parser.parse_args()
    args.action(args)


if __name__ == "__main__":
    main()
