"""Speed and memory of typed ranking against lm-pub-quiz on the same model and machine, and whether the rankings are the same.

    python benchmarks/probing.py BUILD [--relations P36,P17,...] [--languages en,de,ja] [--facts 2] [--candidates 50]

`BUILD` is a build of the `lama` track. Each contestant is a process of its own, so that its peak memory is the operating
system's figure for it; times leave out loading the model. lm-pub-quiz: reduction sum, right padding, at its default
batch size (1, on the first query of each relation and language) and at the best of several, found on three queries.
The yardstick is the machine's product of two 2048 x 2048 float32 matrices, measured alongside. Prints Markdown.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rml_lama.config import EvaluateConfig
from rml_lama.eval.base import Ask
from rml_lama.eval.candidates import read_candidates
from rml_lama.eval.causal_lm import CausalScorer
from rml_lama.eval.models import LoadedModel, load_model
from rml_lama.eval.selection import select
from rml_lama.hub.folder import read_manifest

RELATIONS, LANGUAGES = "P36,P17,P138,P37,P937", "en,de,ja"  # capitals and names are of several tokens
SIZES = (4, 8, 16, 32, 64)
CLOSE = 1e-3  # nats: candidates that are closer may trade places
OURS = {"ours: answer + suffix": "answer+suffix", "ours: answer only": "answer"}
THEIRS = ("lm-pub-quiz, best batch size", "lm-pub-quiz, its default")


@dataclass(frozen=True, slots=True)
class Item:
    """One query as both tools are asked it; `cell` is its relation and language."""

    cell: str
    cloze: str
    subject: str
    ask: Ask


def items(options: argparse.Namespace) -> list[Item]:
    """The queries: the first facts by hash, causal phrasings that go on after the blank."""
    config = EvaluateConfig(
        languages=tuple(options.languages.split(",")),
        relations=tuple(options.relations.split(",")),
        limit_facts=options.facts,
        limit_templates=options.phrasings,
        max_candidates=options.candidates,
    )
    candidates = read_candidates(options.data, limit=config.max_candidates, seed=config.seed)
    found = []
    for shard in select(options.data, read_manifest(options.data), config):
        for query in shard.queries:
            labels = candidates.of(query.relation, query.language, query.fact_id, query.answer, query.answers).labels
            found.append(Item(shard.name, query.cloze, query.subject, Ask(query.prompt, query.suffix, labels)))
    return found


def matrix_rate() -> float:
    """Best of several products, in GFLOP/s."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(seconds) / 1e9


def ours(model: LoadedModel, scope: Any, queries: list[Item]) -> dict[str, Any]:
    """All queries at once, as the evaluator asks them; the useful products are counted, padding is not."""
    scorer = CausalScorer(model, scope=scope)
    asks = [item.ask for item in queries]
    scorer.score(asks[:2])
    rate = matrix_rate()
    start, cpu = time.perf_counter(), time.process_time()
    scores = [scored.log_probabilities for scored in scorer.score(asks)]
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    rate = (rate + matrix_rate()) / 2
    work = scorer.work(asks)
    head = model.model.get_output_embeddings().weight.numel()
    body = sum(p.numel() for p in model.model.parameters() if p.dim() == 2) - head  # the head is the embedding
    flops = 2 * (work.read * body + work.predicted * head)
    share = flops / seconds / 1e9 / rate
    counts = {"read": work.read, "predicted": work.predicted, "unshared": work.unshared}
    return {"seconds": seconds, "cpu": cpu, "queries": len(queries), "scores": scores, "rate": rate, "share": share, **counts}


def theirs(model: LoadedModel, best: bool, queries: list[Item]) -> dict[str, Any]:
    """One query a call, which is what the tool offers."""
    from lm_pub_quiz import Evaluator

    model.tokenizer.padding_side = "right"
    # It takes the start token out of the tokenizer that it is given.
    evaluator = Evaluator.from_model(model.model, model_type="CLM", tokenizer=copy.deepcopy(model.tokenizer))

    def score(item: Item, size: int) -> np.ndarray:
        answers = list(item.ask.candidates)
        found = evaluator.score_answers(template=item.cloze, answers=answers, reduction="sum", subject=item.subject, batch_size=size)
        return np.array(found)

    def timed(chosen: list[Item], size: int) -> tuple[float, float, list[np.ndarray]]:
        start, cpu = time.perf_counter(), time.process_time()
        scores = [score(item, size) for item in chosen]
        return time.perf_counter() - start, time.process_time() - cpu, scores

    score(queries[0], 4)
    sizes = {1: 0.0}
    if best:
        trial = [queries[len(queries) * place // 3] for place in range(3)]
        sizes = {size: timed(trial, size)[0] for size in SIZES}
    size = min(sizes, key=lambda one: sizes[one])
    seconds, cpu, scores = timed(queries, size)
    return {"seconds": seconds, "cpu": cpu, "queries": len(queries), "scores": scores, "size": size, "trials": sizes}


def work(options: argparse.Namespace) -> None:
    """One contestant, in this process; its numbers go to a file."""
    warnings.filterwarnings("ignore")
    queries = items(options)
    if options.worker == THEIRS[1]:
        cells = dict.fromkeys(item.cell for item in queries)
        queries = [next(item for item in queries if item.cell == cell) for cell in cells]
    model = load_model(options.model)
    mine = OURS.get(options.worker)
    found = ours(model, mine, queries) if mine else theirs(model, options.worker == THEIRS[0], queries)
    found["scores"] = [values.tolist() for values in found["scores"]]
    found["cells"] = [item.cell for item in queries]
    Path(options.result).write_text(json.dumps(found), encoding="utf-8")


def run(worker: str, arguments: list[str], folder: Path) -> dict[str, Any]:
    """A contestant in a process of its own, with its peak memory in GB."""
    result = folder / "result.json"
    process = subprocess.Popen(
        [sys.executable, __file__, *arguments, "--worker", worker, "--result", str(result)], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{worker} failed")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return {**found, "memory": usage.ru_maxrss / 1024**2}


def same_rankings(mine: dict[str, Any], other: dict[str, Any]) -> str:
    """How many full rankings are the same, and the largest difference between candidates' distances, in nats."""
    equal, largest = 0, 0.0
    for a, b in zip(map(np.array, mine["scores"]), map(np.array, other["scores"]), strict=True):
        largest = max(largest, float(np.abs((a - a[0]) - (b - b[0])).max()))
        equal += bool((np.diff(a[np.argsort(-b, kind="stable")]) < CLOSE).all())
    return f"{equal} of {len(mine['scores'])} full rankings are the same (largest difference {largest:.1e} nats)"


def report(found: dict[str, dict[str, Any]], queries: list[Item]) -> None:
    """The tables."""
    per_query = {name: one["seconds"] / one["queries"] for name, one in found.items()}
    sizes = sorted({len(item.ask.candidates) for item in queries})
    print(f"{len(queries)} queries, {sizes[0]} to {sizes[-1]} candidates each; {torch.get_num_threads()} threads.\n")
    print("| | seconds a query | CPU seconds a query | peak GB | batch size |\n|---|---:|---:|---:|---:|")
    for name, one in found.items():
        print(f"| {name} | {per_query[name]:.3f} | {one['cpu'] / one['queries']:.3f} | {one['memory']:.2f} | {one.get('size', '')} |")
    print("\n| | against its best batch size | against its default | share of the matrix rate | tokens read | vocabulary products |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in OURS:
        ratios = " | ".join(f"{per_query[other] / per_query[name]:.1f}x" for other in THEIRS)
        one = found[name]
        rate, read = f"{one['share']:.0%} of {one['rate']:.0f} GFLOP/s", f"{one['read']:,} of {one['unshared']:,}"
        print(f"| {name} | {ratios} | {rate} | {read} | {one['predicted']:,} |")
    print(f"\nAnswer + suffix against lm-pub-quiz: {same_rankings(found['ours: answer + suffix'], found[THEIRS[0]])}.")
    print(f"Trials of its batch size, seconds for three queries: {found[THEIRS[0]]['trials']}.")


def main() -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--relations", default=RELATIONS)
    parser.add_argument("--languages", default=LANGUAGES)
    parser.add_argument("--facts", type=int, default=2)
    parser.add_argument("--phrasings", type=int, default=2)
    parser.add_argument("--candidates", type=int, default=50)
    parser.add_argument("--worker")
    parser.add_argument("--result")
    options = parser.parse_args()
    if options.worker:
        work(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = {name: run(name, sys.argv[1:], Path(folder)) for name in (*OURS, *THEIRS)}
    report(found, items(options))


if __name__ == "__main__":
    main()
