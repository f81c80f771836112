"""What machine translation does to `[X]` and `[Y]`, and how much of it is mended: kept, repaired, rejected.

    python benchmarks/placeholders.py mt_outputs.tsv.gz [--sample 200 --seed 1] [--rejected]

The file has the columns lang, relation, pararel_idx, system and output; the templates that were translated stand in
`patterns.tsv` beside it (relation, idx, pattern). `--sample` prints repaired outputs beside their source, to be read.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rml_lama.builders.placeholders import Repaired, repair

STATUSES = ("kept", "repaired", "rejected")


@dataclass(frozen=True, slots=True)
class Case:
    """One output of a translation system, and what became of it."""

    language: str
    system: str
    source: str
    output: str
    repaired: Repaired


def read_cases(outputs: Path, patterns: Path, *, tell_language: bool = True) -> Iterator[Case]:
    """Every output, repaired; with `tell_language` off, repaired without knowing the language."""
    with patterns.open(encoding="utf-8", newline="") as file:
        sources = {(row["relation"], row["idx"]): row["pattern"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    with gzip.open(outputs, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            source = sources[row["relation"], row["pararel_idx"]]
            repaired = repair(row["output"], source=source, language=row["lang"] if tell_language else None)
            yield Case(row["lang"], row["system"], source, row["output"], repaired)


def table(title: str, keys: Iterable[tuple[str, str]]) -> str:
    """A line a key with the counts and shares of the three statuses, and a line for all. `keys`: (key, status) of each output."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for key, status in keys:
        counts[key][status] += 1
        counts["all"][status] += 1
    order = [*sorted(key for key in counts if key != "all"), "all"]
    lines = [f"| {title} | outputs | " + " | ".join(STATUSES) + " |", "|---|" + "---:|" * (1 + len(STATUSES))]
    return "\n".join(lines + [_line(key, counts[key]) for key in order])


def _line(key: str, counts: Counter[str]) -> str:
    total = counts.total()
    return f"| {key} | {total:,} | " + " | ".join(f"{counts[s]:,} ({counts[s] / total:.1%})" for s in STATUSES) + " |"


def reasons(cases: Iterable[Case]) -> str:
    """A line a kind of reject, with its count and one case."""
    counts: Counter[str] = Counter()
    examples: dict[str, Case] = {}
    for case in cases:
        if case.repaired.status == "rejected":
            kind = case.repaired.reason.partition(":")[0]
            counts[kind] += 1
            examples.setdefault(kind, case)
    lines = ["| rejected because | outputs | for instance |", "|---|---:|---|"]
    return "\n".join(lines + [f"| {kind} | {count:,} | {examples[kind].output[:60]} |" for kind, count in counts.most_common()])


def sample(cases: list[Case], status: str, n: int, seed: int) -> str:
    """`n` outputs of the status, drawn by seed, each beside its source and what became of it."""
    drawn = random.Random(seed).sample([case for case in cases if case.repaired.status == status], n)
    return "\n".join(
        f"{number}. {case.language} {case.system}\n   {case.source}\n   {case.output}\n   {case.repaired.text or case.repaired.reason}"
        for number, case in enumerate(drawn, 1)
    )


def main() -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("--patterns", type=Path, help="default: patterns.tsv beside the outputs")
    parser.add_argument("--language-unknown", action="store_true", help="repair without telling the language")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="print N repaired outputs and nothing else")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rejected", action="store_true", help="sample rejected outputs instead")
    options = parser.parse_args()
    patterns = options.patterns or options.outputs.with_name("patterns.tsv")
    start = time.perf_counter()
    cases = list(read_cases(options.outputs, patterns, tell_language=not options.language_unknown))
    seconds = time.perf_counter() - start
    if options.sample:
        print(sample(cases, "rejected" if options.rejected else "repaired", options.sample, options.seed))
        return
    print(table("system", ((case.system, case.repaired.status) for case in cases)) + "\n")
    print(table("language", ((case.language, case.repaired.status) for case in cases)) + "\n")
    print(reasons(cases))
    print(f"\n{len(cases):,} outputs in {seconds:.1f} s ({seconds / len(cases) * 1e6:.0f} µs each)")


if __name__ == "__main__":
    main()
