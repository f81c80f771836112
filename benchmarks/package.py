"""Against the `knowledge-neurons` package of EleutherAI, as it is installed, on GPT-2 and BERT shapes.

It pins an old transformers, so it runs in an environment of its own: `--help` of this file says how. What it prints is
seconds and peak memory of one whole attribution (all layers), 20 steps in batches of 20, of a random model of the shape.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = """
import json, resource, sys, time, types
import torch
import transformers as t
name, tokens, repeats = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
from knowledge_neurons.knowledge_neurons import KnowledgeNeurons
torch.manual_seed(0)
torch.set_num_threads(int(sys.argv[4]) or torch.get_num_threads())
model = (t.GPT2LMHeadModel(t.GPT2Config()) if name == "gpt2" else t.BertForMaskedLM(t.BertConfig())).eval()
generator = torch.Generator().manual_seed(0)
ids = torch.randint(1000, 20000, (tokens,), generator=generator)
if name == "bert":
    ids[tokens // 2] = 103
class Tokenizer:
    mask_token_id = 103
    unk_token_id = 0
    def __call__(self, text, **kwargs):
        return types.SimpleNamespace(input_ids=ids[None], to=lambda d: self._b()) if False else t.BatchEncoding({"input_ids": ids[None]})
    def encode(self, text, **kwargs):
        return [2345]
    def convert_tokens_to_ids(self, text):
        return 2345
    def decode(self, ids):
        return "x"
kn = KnowledgeNeurons(model, Tokenizer(), model_type="bert" if name == "bert" else "gpt2", device="cpu")
def run():
    return kn.get_scores("x", "x", batch_size=20, steps=20, pbar=False)
run_times = []
for _ in range(repeats):
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    run_times.append((time.perf_counter() - wall, time.process_time() - cpu))
best = min(run_times)
print(json.dumps({"wall_s": best[0], "cpu_s": best[1], "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))
"""


def package(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs in `<out>/knowledge-neurons-venv`, made on first use: `pip install knowledge-neurons`."""
    from localization import RULE, Engine, integrate, peak_gib, shape, timed, unit

    python = arguments.out / "knowledge-neurons-venv" / "bin" / "python"
    if not python.exists():
        _install(python)
    rows = []
    for name in ("gpt2", "bert"):
        for tokens in map(int, arguments.tokens.split(",")):
            command = [str(python), "-c", SCRIPT, name, str(tokens), str(arguments.repeats), str(arguments.threads)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr[-3000:])
            theirs = json.loads(done.stdout.splitlines()[-1])
            engine = Engine(shape(name))
            batch = [unit(name, tokens, seed=seed) for seed in range(arguments.batch)]
            integrate(engine, batch[:1], rule="left-2")
            wall, cpu = min(timed(lambda e=engine, b=batch: integrate(e, b, rule=RULE)) for _ in range(arguments.repeats))
            row = {"shape": name, "tokens": tokens, "theirs": theirs, "ours": {"wall_s": wall / len(batch), "cpu_s": cpu / len(batch)}}
            row |= {"ratio_wall": theirs["wall_s"] / row["ours"]["wall_s"], "ratio_cpu": theirs["cpu_s"] / row["ours"]["cpu_s"]}
            row["ours"]["peak_gib"] = peak_gib()
            print(json.dumps(row), flush=True)
            rows.append(row)
    return {"rows": rows}


def _install(python: Path) -> None:
    folder = python.parent.parent
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "-q"]
    subprocess.run([*pip, "torch==2.13.0", "numpy", "transformers==4.46.3", "einops", "matplotlib", "seaborn", "tqdm"], check=True)
    subprocess.run([*pip, "--no-deps", "knowledge-neurons"], check=True)
