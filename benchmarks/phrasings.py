"""Our phrasings against mLAMA's own templates: the same facts, candidates and model, query by query.

    python benchmarks/phrasings.py --mlama mlama1.1.zip --labels labels --out runs/phrasings

Facts: the parallel ones of the `lama` track, drawn by seed; candidates: at most 30, drawn by seed, the same for both sides.
mLAMA's template is usable left to right where our own check of causal phrasings passes it: `[X]` and a word more before `[Y]`,
little after it. A relation counts in a language only then.
"Best fixed phrasing" is chosen for each relation and language on one half of the facts and measured on the other, both
ways, so that choosing earns nothing by itself. Intervals: cluster bootstrap over facts. Called again, it goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np

import rml_lama
from rml_lama.builders.bank import BANK
from rml_lama.builders.build import build
from rml_lama.config import BuildConfig
from rml_lama.eval.bootstrap import Estimate, FactBootstrap, nan_mean
from rml_lama.eval.candidates import draw_key
from rml_lama.eval.metrics import precision_at
from rml_lama.eval.models import load_model
from rml_lama.hub.folder import read_manifest
from rml_lama.languages import LANGUAGES
from rml_lama.records import RELATIONS, Template
from rml_lama.validation.structure import faults

Key = tuple[str, str, str]  # language, relation, fact


def mlama_bank(archive: Path, folder: Path, code: str) -> list[str]:
    """Write mLAMA's usable templates of a language as a bank; the relations that it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    usable, lines = [], []
    with zipfile.ZipFile(archive) as members:
        rows = [json.loads(line) for line in members.read(f"mlama1.1/{code}/templates.jsonl").decode().splitlines()]
    for row in rows:
        text = " ".join(row["template"].split()).rstrip(" .。।") + LANGUAGES[code].final
        if row["relation"] in RELATIONS and not list(faults(Template(code, row["relation"], text, causal=True))):
            lines.append(json.dumps({"relation": row["relation"], "text": text, "causal": True, "provenance": "mlama"}))
            usable.append(row["relation"])
    (folder / f"{code}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return usable


def scores(run: rml_lama.Result) -> dict[Key, dict[str, tuple[float, float]]]:
    """P@1 and gold log-probability by fact and phrasing."""
    found: dict[Key, dict[str, tuple[float, float]]] = defaultdict(dict)
    rows = run.predictions.to_pylist()
    hits = precision_at(1, np.array([row["greater"] for row in rows]), np.array([row["ties"] for row in rows]))
    for row, hit in zip(rows, hits, strict=True):
        key = (row["language"], row["relation"], row["fact_id"])
        found[key][row["template_id"]] = (float(hit), row["gold_score"])
    return found


def best_fixed(ours: dict[Key, dict[str, tuple[float, float]]]) -> dict[Key, tuple[float, float]]:
    """Each fact under the phrasing that is best on the facts of the other half."""
    sets: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for key in ours:
        sets[key[:2]].append(key)
    chosen: dict[Key, tuple[float, float]] = {}
    for keys in sets.values():
        keys.sort(key=lambda key: draw_key(1, key[2]))
        for here, other in ((keys[::2], keys[1::2]), (keys[1::2], keys[::2])):
            names = list(ours[keys[0]])
            best = max(names, key=lambda name: tuple(np.mean([ours[key][name] for key in other or here], axis=0)))
            chosen |= {key: ours[key][best] for key in here}
    return chosen


def table(mean: dict[Key, tuple[float, float]], best: dict[Key, tuple[float, float]], theirs: dict[Key, tuple[float, float]]) -> str:
    """A line a language: both sides, and the paired difference with its interval."""
    keys = sorted(theirs)
    facts, fact = np.unique([f"{relation} {name}" for _, relation, name in keys], return_inverse=True)
    codes = [code for code in LANGUAGES if code in {key[0] for key in keys}]
    language = np.array([codes.index(key[0]) for key in keys])
    bootstrap = FactBootstrap([name.partition(" ")[0] for name in facts], resamples=2000, seed=0)
    lines = ["| language | mLAMA P@1 | ours, mean | ours, best fixed | mean - mLAMA | log p: mLAMA | ours, mean | difference |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    columns = []
    for place in (0, 1):
        a, b, c = (np.array([side[key][place] for key in keys]) for side in (theirs, mean, best))
        columns += [a, b, c, b - a]
    draws = [bootstrap.macro(column, fact, language, len(codes)) for column in columns]
    bounded = [number < 3 for number in range(len(columns))]
    for place, code in enumerate(codes):
        here = [bootstrap.estimate(draw[:, place], fact[language == place], bounded=one) for draw, one in zip(draws, bounded, strict=True)]
        lines.append(_line(f"{LANGUAGES[code].name} ({code})", here))
    overall = [bootstrap.estimate(nan_mean(draw), fact, bounded=one) for draw, one in zip(draws, bounded, strict=True)]
    return "\n".join([*lines, _line("**mean of languages**", overall)])


def _line(name: str, values: list[Estimate]) -> str:
    shown = [f"{value.value:.3f}" for value in values[:3]] + [str(values[3])]
    shown += [f"{values[4].value:.2f}", f"{values[5].value:.2f}", f"{values[7].value:.2f} [{values[7].low:.2f}, {values[7].high:.2f}]"]
    return f"| {name} | " + " | ".join(shown) + " |"


def _run(folder: Path) -> Path:
    """Where the run on a build is kept; a build of other phrasings gets another one."""
    return folder.parent / f"run-{folder.name}-{read_manifest(folder)['sha256'][:12]}"


def sets_table(ours: dict[Key, dict[str, tuple[float, float]]], theirs: dict[Key, tuple[float, float]]) -> str:
    """A line a phrasing, tab-separated: language, relation, phrasing, facts, and both sides' P@1 and gold log-probability."""
    sums: dict[tuple[str, str, str], list[tuple[float, ...]]] = defaultdict(list)
    for (code, relation, fact), by_phrasing in ours.items():
        for name, value in by_phrasing.items():
            sums[code, relation, name].append((*theirs[code, relation, fact], *value))
    lines = ["language\trelation\tphrasing\tfacts\tmlama_p1\tmlama_logp\tours_p1\tours_logp"]
    for key, values in sorted(sums.items()):
        lines.append("\t".join([*key, str(len(values)), *(f"{mean:.3f}" for mean in np.mean(values, axis=0))]))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlama", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--languages", default="en,de,fr,es,it,ru,pl,el,fa,he,ar,tr,hu,ja,ko,zh,vi,id")
    parser.add_argument("--relations", default="", help="default: all that mLAMA's templates make usable")
    parser.add_argument("--facts", type=int, default=10)
    parser.add_argument("--phrasings", type=int, default=0, help="0: all causal ones")
    parser.add_argument("--candidates", type=int, default=30)
    options = parser.parse_args()
    relations = tuple(filter(None, options.relations.split(",")))
    ours: dict[Key, dict[str, tuple[float, float]]] = {}
    theirs: dict[Key, tuple[float, float]] = {}
    model = load_model(options.model)
    for code in options.languages.split(","):
        usable = mlama_bank(options.mlama, options.out / code / "bank", code)
        chosen = tuple(relation for relation in usable if relation in relations or not relations)
        limits = {"relations": chosen, "limit_facts": options.facts, "max_candidates": options.candidates}
        sides = []
        for side, bank, phrasings in (("mlama", options.out / code / "bank", 1), ("ours", BANK, options.phrasings)):
            folder = options.out / code / side
            build(folder, BuildConfig(track="lama", languages=(code,)), mlama=options.mlama, labels=options.labels, bank=bank)
            sides.append(scores(rml_lama.evaluate(model, folder, out=_run(folder), limit_templates=phrasings, **limits)))
        theirs |= {key: next(iter(value.values())) for key, value in sides[0].items() if key in sides[1]}
        ours |= {key: value for key, value in sides[1].items() if key in theirs}
        print(f"{code} is scored", file=sys.stderr, flush=True)
    mean = {key: tuple(np.mean(list(value.values()), axis=0)) for key, value in ours.items()}
    (options.out / "phrasings.tsv").write_text(sets_table(ours, theirs), encoding="utf-8")
    print(f"{len(theirs):,} facts, {len({key[:2] for key in theirs})} sets of relation and language\n")
    print(table(mean, best_fixed(ours), theirs))


if __name__ == "__main__":
    main()
