"""Against the `knowledge-neurons` package of EleutherAI itself, on GPT-2 and BERT shapes: seconds, peak memory, and the numbers.

The package and `einops` are installed into `<out>/knowledge-neurons`, apart from the environment; it runs in a process of its
own on today's transformers, 20 steps in batches of 20, all layers, on a random model of the shape.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

SCRIPT = """
import json, sys, time
import torch
import transformers as t
name, tokens, repeats, threads, layers = sys.argv[1], *map(int, sys.argv[2:6])
from knowledge_neurons.knowledge_neurons import KnowledgeNeurons
torch.manual_seed(0)
if threads:
    torch.set_num_threads(threads)
model = (t.GPT2LMHeadModel(t.GPT2Config()) if name == "gpt2" else t.BertForMaskedLM(t.BertConfig())).eval()
ids = torch.randint(1000, 20000, (tokens,), generator=torch.Generator().manual_seed(0))
if name == "bert":
    ids[tokens // 2] = 103
class Tokenizer:
    mask_token_id, unk_token_id = 103, 0
    def __call__(self, text, **kwargs):
        zeros = torch.zeros_like(ids)[None]
        types = {"token_type_ids": zeros} if name == "bert" else {}  # GPT-2 would add them to its words
        return t.BatchEncoding({"input_ids": ids[None], "attention_mask": zeros + 1, **types})
    def encode(self, text, **kwargs):
        return [2345]
    def convert_tokens_to_ids(self, text):
        return 2345
neurons = KnowledgeNeurons(model, Tokenizer(), model_type=name, device="cpu")
count = neurons.n_layers()
chosen = list(range(0, count, max(1, count // layers)))
def run():
    return [neurons.get_scores_for_layer("x", "x", layer_idx=layer, batch_size=20, steps=20) for layer in chosen]
times = []
for _ in range(repeats):
    wall, cpu = time.perf_counter(), time.process_time()
    scores = run()
    times.append((time.perf_counter() - wall, time.process_time() - cpu))
median = sorted(times)[repeats // 2]
scale = count / len(chosen)
peak = next(int(line.split()[1]) / 2**20 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"wall_s": median[0] * scale, "cpu_s": median[1] * scale, "peak_gib": peak, "first": scores[0].flatten().tolist()}))
"""


def package(arguments: argparse.Namespace) -> dict[str, Any]:
    from localization import product_rate

    folder = arguments.out / "knowledge-neurons"
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), "knowledge-neurons==0.0.2", "einops"]
        subprocess.run(pip, check=True)
    rows = []
    for name in ("gpt2", "bert"):
        for tokens in map(int, arguments.tokens.split(",")):
            theirs = _theirs(folder, name, tokens, arguments)
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as own:
                ours = own.submit(_ours, name, tokens, arguments).result()
            first, scores = ours.pop("first"), theirs.pop("first")
            worst = max(abs(a - b) for a, b in zip(first, scores, strict=True)) / max(map(abs, scores))
            row = {"shape": name, "tokens": tokens, "theirs": theirs, "ours": ours, "difference_in_layer_0": worst}
            row |= {f"ratio_{kind}": theirs[f"{kind}_s"] / ours[f"{kind}_s"] for kind in ("wall", "cpu")}
            row["product_gflops"] = product_rate()
            print(json.dumps(row), flush=True)
            rows.append(row)
    return {"rows": rows}


def _ours(name: str, tokens: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds a query, peak memory before anything but the timed work has run, and layer 0 as the package defines it."""
    from localization import RULE, Engine, integrate, peak_gib, shape, timed, torch, unit

    from rml_lama.eval.parity import pre_activation_attribution

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    engine = Engine(shape(name))
    batch = [unit(name, tokens, seed=seed) for seed in range(arguments.batch)]
    integrate(engine, batch[:1], rule="left-2")  # warm
    wall, cpu = sorted(timed(lambda: integrate(engine, batch, rule=RULE)) for _ in range(arguments.repeats))[arguments.repeats // 2]
    peak = peak_gib()
    first = pre_activation_attribution(engine, batch[0])[0] if name == "gpt2" else integrate(engine, batch[:1], rule=RULE)[0].values[0]
    return {"wall_s": wall / len(batch), "cpu_s": cpu / len(batch), "peak_gib": peak, "first": first.tolist()}


def _theirs(folder: Path, name: str, tokens: int, arguments: argparse.Namespace) -> dict[str, Any]:
    layers = -(-12 // arguments.every)
    command = [sys.executable, "-c", SCRIPT, name, *map(str, (tokens, arguments.repeats, arguments.threads, layers))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(folder)})
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
