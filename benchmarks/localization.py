"""What the localizer claims, measured. One subcommand an item; each prints a table and writes JSON beside it.

    python benchmarks/localization.py equality            engine against the naive method on Gemma
    python benchmarks/localization.py speed               against the naive method, 10 and 25 tokens, three shapes
    python benchmarks/localization.py package             against the knowledge-neurons package (see the function)
    python benchmarks/localization.py growth              cost by prompt length, layers and answer length
    python benchmarks/localization.py certified --data DIR
    python benchmarks/localization.py rules --data DIR    each quadrature against 127 nodes
    python benchmarks/localization.py planted [--gemma --data DIR]
    python benchmarks/localization.py heldout --data DIR --out RUN      resumable
    python benchmarks/localization.py resume --data DIR

Ratios need a quiet machine; `--threads 1` with its CPU seconds is the next best thing on a busy one.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rml_lama.eval.engine import Engine
from rml_lama.eval.gradients import integrate
from rml_lama.eval.models import LoadedModel, load_model
from rml_lama.eval.naive import naive_attribution, naive_layer
from rml_lama.eval.quadrature import quadrature
from rml_lama.eval.unit import Unit

RULE = "linspace-20"
TEXT = (
    "Paris is the capital and largest city of France. Berlin is the capital of Germany, and the official language of Austria is German. "
    "The currency of Japan is the yen; Tokyo lies on its largest island. In the north of Africa one finds Egypt, whose capital is "
    "the city of "
) * 3


def shape(name: str) -> LoadedModel:
    """Gemma itself, or a random model of GPT-2's or BERT's base shape."""
    import transformers as t

    if name == "gemma":
        return load_model("demo")
    torch.manual_seed(0)
    model: Any = t.GPT2LMHeadModel(t.GPT2Config()) if name == "gpt2" else t.BertForMaskedLM(t.BertConfig())
    return LoadedModel(name, "local", "causal" if name == "gpt2" else "masked", "float32", model.eval().requires_grad_(False), None)


def unit(name: str, tokens: int, *, seed: int = 0, tokenizer: Any = None) -> Unit:
    """Random tokens for random models, text for Gemma; the last token predicts (a mask in the middle for BERT)."""
    if name == "gemma":
        bos, *ids = tokenizer(TEXT)["input_ids"]
        ids = [bos, *ids[7 * seed : 7 * seed + tokens]]
        return Unit(tuple(ids[:-1]), tokens - 1, ((tokens - 1, ids[-1]),))
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1000, 20000, (tokens,), generator=generator).tolist()
    if name == "bert":
        ids[tokens // 2] = 103
        return Unit(tuple(ids), tokens // 2, ((tokens // 2, 2345),))
    return Unit(tuple(ids), tokens - 1, ((tokens - 1, 2345),))


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def peak_gib() -> float:
    """Of this process alone; `ru_maxrss` would begin with the parent's."""
    return next(int(line.split()[1]) / 2**20 for line in open("/proc/self/status", encoding="utf-8") if line.startswith("VmHWM"))


def product_rate() -> float:
    """The machine's rate of matrix products now, GFLOP/s."""
    a = torch.randn(1024, 1024)
    seconds = min(timed(lambda: [a @ a for _ in range(10)])[0] for _ in range(3))
    return 10 * 2 * 1024**3 / seconds / 1e9


def speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ours and the naive method at equal quadrature, in turns; medians of the ratios."""
    rows = []
    for name in arguments.shapes.split(","):
        loaded = shape(name)
        engine = Engine(loaded)
        for tokens in map(int, arguments.tokens.split(",")):
            batch = [unit(name, tokens, seed=seed, tokenizer=loaded.tokenizer) for seed in range(arguments.batch)]
            layers = engine.sites[:: arguments.every]
            integrate(engine, batch[:1], rule="left-2")  # warm
            ours, naive = [], []
            for _ in range(arguments.repeats):
                ours.append([value / len(batch) for value in timed(lambda b=batch, e=engine: integrate(e, b, rule=RULE))])
                both = timed(lambda b=batch, ls=layers, m=loaded.model: [naive_layer(m, site, b[0], quadrature(RULE)) for site in ls])
                naive.append([value * len(engine.sites) / len(layers) for value in both])
            wall, cpu = (sorted(n[i] / o[i] for n, o in zip(naive, ours, strict=True))[len(ours) // 2] for i in (0, 1))
            rows.append({"shape": name, "tokens": tokens, "batch": len(batch), "ours_s": ours[-1][0], "naive_s": naive[-1][0]})
            rows[-1] |= {"ratio_wall": wall, "ratio_cpu": cpu, "product_gflops": product_rate()}
            print(json.dumps(rows[-1]), flush=True)
    return {"rows": rows, "peak_gib": peak_gib()}


def equality(arguments: argparse.Namespace) -> dict[str, Any]:
    """The largest difference of any attribution, as a share of the largest, on a real prompt."""
    loaded = shape("gemma")
    ids = loaded.tokenizer(arguments.prompt)["input_ids"]
    (answer, *_) = loaded.tokenizer(arguments.answer, add_special_tokens=False)["input_ids"]
    one = Unit(tuple(ids), len(ids) - 1, ((len(ids) - 1, answer),))
    rows = {}
    for tolerance in (0.0, 1e-3):
        engine = Engine(loaded, tolerance=tolerance)
        (found,) = integrate(engine, [one], rule=RULE)
        theirs = naive_attribution(loaded.model, engine.sites, one, quadrature(RULE))
        top = max(float(value.abs().max()) for value in theirs)
        worst = max(float((a - b).abs().max()) for a, b in zip(found.values, theirs, strict=True))
        rows[f"{RULE}, tolerance {tolerance:g}"] = worst / top
        print(RULE, tolerance, worst / top, flush=True)
    return {"prompt": arguments.prompt, "difference": rows}


def growth(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of ours by prompt length, by layers and by answer length, on a GPT-2 shape."""
    import transformers as t

    rows = []
    loaded = shape("gpt2")
    engine = Engine(loaded)
    for tokens in (8, 16, 32, 64, 128):
        rows.append(
            {"what": "tokens", "value": tokens, "seconds": timed(lambda n=tokens: integrate(engine, [unit("gpt2", n)], rule=RULE))[0]}
        )
    for length in (1, 2, 4, 8):
        whole = unit("gpt2", 16 + length)
        steps = [Unit(whole.tokens[: 16 + step], 15 + step, ((15 + step, whole.tokens[16 + step]),)) for step in range(length)]
        rows.append({"what": "answer tokens", "value": length, "seconds": timed(lambda s=steps: integrate(engine, s, rule=RULE))[0]})
    for layers in (4, 8, 12, 16):
        model = t.GPT2LMHeadModel(t.GPT2Config(n_layer=layers)).eval().requires_grad_(False)
        other = Engine(LoadedModel("gpt2", "local", "causal", "float32", model, None))
        rows.append({"what": "layers", "value": layers, "seconds": timed(lambda e=other: integrate(e, [unit("gpt2", 16)], rule=RULE))[0]})
    for row in rows:
        print(json.dumps(row), flush=True)
    return {"rows": rows}


def main() -> None:
    from certified import certified, resume, rules
    from heldout import heldout
    from package import package
    from planting import planted

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {f.__name__: f for f in (equality, speed, growth, certified, rules, planted, heldout, resume, package)}
    parser.add_argument("command", choices=commands)
    parser.add_argument("--data", type=Path, help="a build folder")
    parser.add_argument("--out", type=Path, default=Path("runs/localization"), help="where results (and parts of long runs) go")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's default")
    parser.add_argument("--shapes", default="gemma,gpt2,bert")
    parser.add_argument("--tokens", default="10,25")
    parser.add_argument("--batch", type=int, default=4, help="queries that the engine takes at once")
    parser.add_argument("--every", type=int, default=1, help="the naive method runs on every n-th layer and is scaled up")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--prompt", default="The capital of France is the city of")
    parser.add_argument("--answer", default=" Paris")
    parser.add_argument("--languages", default="en,de,fr,ru,tr,ja,zh,id")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--facts", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=0, help="stop after so many minutes; the same command goes on (0: never)")
    parser.add_argument("--part", default="0/1", help="heldout: I/N, the facts of this process of N that run beside each other")
    parser.add_argument("--gemma", action="store_true", help="planted: on Gemma instead of tiny models")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    result = commands[arguments.command](arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    name = f"{arguments.command}-gemma" if arguments.gemma else arguments.command
    path = arguments.out / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
