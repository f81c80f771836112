"""Our phrasings against mLAMA's own templates: the same facts, candidates and model, query by query.

    python benchmarks/phrasings.py --mlama mlama1.1.zip --labels labels --out runs/phrasings

Facts: the parallel ones of the `lama` track, drawn by seed; candidates: at most 30, drawn by seed, the same for both sides.
mLAMA's template is usable left to right where `[X]` stands before `[Y]`; a relation counts in a language only then.
"Best fixed phrasing" is chosen for each relation and language on one half of the facts and measured on the other, both
ways, so that choosing earns nothing by itself. Intervals: cluster bootstrap over facts. Called again, it goes on.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np

import rml_lama
from rml_lama.builders.build import build
from rml_lama.config import BuildConfig
from rml_lama.eval.bootstrap import Estimate, MacroBootstrap
from rml_lama.eval.candidates import draw_key
from rml_lama.eval.metrics import precision_at
from rml_lama.languages import LANGUAGES
from rml_lama.records import RELATIONS

Key = tuple[str, str, str]  # language, relation, fact


def mlama_bank(archive: Path, folder: Path, languages: tuple[str, ...]) -> list[tuple[str, str]]:
    """Write mLAMA's usable templates as a bank; the (language, relation) pairs that it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    usable = []
    with zipfile.ZipFile(archive) as members:
        for code in languages:
            lines = []
            for line in members.read(f"mlama1.1/{code}/templates.jsonl").decode().splitlines():
                row = json.loads(line)
                text = " ".join(row["template"].split()).removesuffix(".").rstrip() + LANGUAGES[code].final
                good = text.count("[X]") == text.count("[Y]") == 1 and text.find("[X]") < text.find("[Y]")
                if row["relation"] in RELATIONS and good and len(text.split("[Y]")[1]) <= 25:
                    lines.append(json.dumps({"relation": row["relation"], "text": text, "causal": True, "provenance": "mlama"}))
                    usable.append((code, row["relation"]))
            (folder / f"{code}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return usable


def scores(run: rml_lama.Result) -> dict[Key, dict[str, tuple[float, float]]]:
    """P@1 and gold log-probability by fact and phrasing."""
    found: dict[Key, dict[str, tuple[float, float]]] = defaultdict(dict)
    rows = run.predictions.to_pylist()
    hits = precision_at(1, np.array([row["greater"] for row in rows]), np.array([row["ties"] for row in rows]))
    for row, hit in zip(rows, hits, strict=True):
        key = (row["language"], row["relation"], row["fact_id"])
        found[key][row["template_id"]] = (float(hit), row["gold_log_probability"])
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
    bootstrap = MacroBootstrap([k[2] for k in keys], [k[1] for k in keys], [k[0] for k in keys], resamples=2000, seed=0)
    lines = ["| language | mLAMA P@1 | ours, mean | ours, best fixed | mean - mLAMA | log p: mLAMA | ours, mean | difference |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    columns = []
    for place in (0, 1):
        a, b, c = (np.array([side[key][place] for key in keys]) for side in (theirs, mean, best))
        columns += [a, b, c, b - a]
    by_language = [bootstrap.by_language(column) for column in columns]
    overall = [bootstrap.overall(column) for column in columns]
    for code in [code for code in LANGUAGES if code in by_language[0]]:
        lines.append(_line(f"{LANGUAGES[code].name} ({code})", [column[code] for column in by_language]))
    return "\n".join([*lines, _line("**mean of languages**", overall)])


def _line(name: str, values: list[Estimate]) -> str:
    shown = [f"{value.value:.3f}" for value in values[:3]] + [str(values[3])]
    shown += [f"{values[4].value:.2f}", f"{values[5].value:.2f}", f"{values[7].value:.2f} [{values[7].low:.2f}, {values[7].high:.2f}]"]
    return f"| {name} | " + " | ".join(shown) + " |"


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
    languages = tuple(options.languages.split(","))
    usable = mlama_bank(options.mlama, options.out / "bank", languages)
    config = BuildConfig(track="lama", languages=languages)
    build(options.out / "ours", config, mlama=options.mlama, labels=options.labels)
    build(options.out / "theirs", config, mlama=options.mlama, labels=options.labels, bank=options.out / "bank")
    relations = tuple(filter(None, options.relations.split(",")))
    common = {"relations": relations, "limit_facts": options.facts, "max_candidates": options.candidates}
    theirs_run = rml_lama.evaluate(options.model, options.out / "theirs", out=options.out / "run-theirs", **common)
    ours_run = rml_lama.evaluate(
        options.model, options.out / "ours", out=options.out / "run-ours", limit_templates=options.phrasings, **common
    )
    pairs = set(usable)
    theirs = {key: next(iter(value.values())) for key, value in scores(theirs_run).items()}
    ours = {key: value for key, value in scores(ours_run).items() if key[:2] in pairs and key in theirs}
    mean = {key: tuple(np.mean(list(value.values()), axis=0)) for key, value in ours.items()}
    theirs = {key: theirs[key] for key in ours}
    print(f"{len(theirs):,} facts, {len({key[:2] for key in theirs})} sets of relation and language\n")
    print(table(mean, best_fixed(ours), theirs))


if __name__ == "__main__":
    main()
