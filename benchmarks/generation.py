"""A generation of more than 2,000 questions against an endpoint on loopback: how fast, through every fault, and killed at random.

    python benchmarks/generation.py throughput|faults|kills|real [--out DIR] [--seed N] [--relations P36,P37]

The endpoint of the first three is `tests/builders/loopback.py` in a process of its own. It answers from the template bank after 0.2 s.
throughput  no fault, 32 in flight: the time against calls x 0.2 s / 32
faults      one question in five meets a 429 with retry-after, a 500, a cut connection, a stall of 30 s, invalid JSON, JSON of the
            wrong shape, a truncated answer, an answer in another language, duplicates or a refusal: what came of every question
real        the demo model (Gemma 3 270M) behind `transformers serve`, which ignores schemas: configs/generate-local.toml, whole
kills       `rml-lama build --generate` killed with SIGKILL at 20 random moments and called again: the bytes, and the calls
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rml_lama.builders.bank import read_bank, write_bank
from rml_lama.builders.build import build
from rml_lama.builders.command import preset_filters
from rml_lama.builders.generate import open_generation
from rml_lama.config import BuildConfig, EndpointConfig, GenerateConfig, load_config
from rml_lama.eval.demo_model import demo_model
from rml_lama.ledger import Ledger
from rml_lama.records import by_relation

LATENCY, IN_FLIGHT, STALL, KILLS = 0.2, 32, 30.0, 20
LANGUAGES = ("en", "de", "fr", "es", "ru", "tr", "ja", "zh", "ar")
FAULTS = "429,500,cut,stall,invalid-json,wrong-shape,truncated,wrong-language,duplicates,refusal"
LOOPBACK = Path(__file__).parent.parent / "tests" / "builders" / "loopback.py"
CONFIG = """
[generate]
model = "m"
rephrase = ["en"]
phrasings = 3
translate_to = ["de", "fr", "es", "ru", "tr", "ja", "zh", "ar"]
translations = 3

[endpoint]
base_url = "{url}"
api_key_env = ""
concurrency = {in_flight}
timeout = 5.0
"""


@contextlib.contextmanager
def endpoint(folder: Path, *options: str) -> Iterator[str]:
    """The loopback endpoint in a process of its own; its base URL."""
    port = folder / f"port-{random.random()}"
    process = subprocess.Popen([sys.executable, str(LOOPBACK), str(port), "--latency", str(LATENCY), *options])
    try:
        while not port.exists():
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port.read_text()}/v1"
    finally:
        process.kill()
        process.wait()


def prepare(folder: Path, url: str) -> tuple[Path, Path]:
    """A bank of three English phrasings of each relation, and the config file."""
    few = [template for group in by_relation(read_bank(("en",))).values() for template in group[:3]]
    write_bank(few, folder / "bank")
    config = folder / "config.toml"
    config.write_text(CONFIG.format(url=url, in_flight=IN_FLIGHT), encoding="utf-8")
    return folder / "bank", config


def generate(folder: Path, out: Path, url: str) -> tuple[float, Counter[str], dict[str, int], dict[str, int]]:
    """Generate and build; seconds of the generation, the dispatcher's counts, outcomes, rows."""
    bank, config = prepare(folder, url)
    what, how = load_config(GenerateConfig, config, table="generate"), load_config(EndpointConfig, config, table="endpoint")
    with open_generation(what, how, folder / "ledger.jsonl", preset_filters(what.preset)) as generation:
        start = time.perf_counter()
        generation.templates(read_bank(LANGUAGES, bank), tuple(by_id for _, by_id in by_relation(read_bank(("en",), bank))))
        seconds, counts = time.perf_counter() - start, Counter(generation.dispatcher.counts)
        generation.outcomes.clear()
        summary = build(out, BuildConfig(languages=LANGUAGES), bank=bank, generation=generation)
    return seconds, counts, summary.generated, summary.rows


def throughput(folder: Path) -> None:
    """Time against the ideal."""
    with endpoint(folder) as url:
        seconds, counts, _, _ = generate(folder, folder / "out", url)
    ideal = counts["calls"] * LATENCY / IN_FLIGHT
    print(f"{counts['calls']:,} calls in {seconds:.1f} s; ideal {ideal:.1f} s: {ideal / seconds:.0%} of it")


def faults(folder: Path) -> None:
    """What came of every question when one in five meets a fault."""
    log = folder / "calls.log"
    with endpoint(folder, "--faults", FAULTS, "--every", "5", "--stall", str(STALL), "--log", str(log)) as url:
        seconds, counts, outcomes, rows = generate(folder, folder / "out", url)
    answered = Counter(log.read_text().split())
    with Ledger(folder / "ledger.jsonl") as ledger:
        kept = len(ledger)
    print(f"{counts['calls']:,} requests in {seconds:.0f} s, {counts['repairs']:,} of them repairs")
    print(f"{rows['templates']:,} phrasings in the build")
    print(f"answers given {answered.total():,}, kept {kept:,}, given twice {sum(count - 1 for count in answered.values())}")
    print("\n| outcome | questions or phrasings |\n|---|---:|")
    for name, count in outcomes.items():
        print(f"| {name} | {count:,} |")


def answered(log: Path) -> int:
    """The number of answers that the endpoint has given."""
    return log.read_bytes().count(b"\n") if log.exists() else 0


def kills(folder: Path, seed: int) -> None:
    """Kill the command at random moments until it has been killed often enough, then let it end."""
    generator = random.Random(seed)
    logs, digests = [], []
    for name, moments in (("undisturbed", 0), ("killed", KILLS)):
        place = folder / name
        place.mkdir()
        logs.append(place / "calls.log")
        with endpoint(place, "--faults", "429,500,cut,invalid-json,duplicates,refusal", "--log", str(logs[-1])) as url:
            bank, config = prepare(place, url)
            command = [sys.executable, "-m", "rml_lama.cli", "--quiet", "build", str(place / "out"), "--generate"]
            command += ["--config", str(config), "--bank", str(bank), "--languages", ",".join(LANGUAGES)]
            for _ in range(moments):
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
                enough = answered(logs[-1]) + generator.randrange(190)  # of some 2,300 answers
                while process.poll() is None and answered(logs[-1]) < enough:
                    time.sleep(0.01)
                process.send_signal(signal.SIGKILL)
                if process.wait() != -signal.SIGKILL:
                    raise SystemExit("the run ended before it was killed: take fewer answers")
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        digests.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (place / "out").rglob("*") if path.is_file()})
    undisturbed, killed = (Counter(log.read_text().split()) for log in logs)
    again = killed.total() - undisturbed.total()
    print(f"calls: {undisturbed.total():,} undisturbed, {killed.total():,} with {KILLS} kills: {again} more")
    print(f"at most {KILLS * IN_FLIGHT} were in flight at the kills")
    print(f"the same questions: {set(killed) == set(undisturbed)}; the same {len(digests[0])} files: {digests[0] == digests[1]}")
    if digests[0] != digests[1] or again > KILLS * IN_FLIGHT:
        raise SystemExit(json.dumps(digests, indent=1))


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[str, str]]:
    """The demo model behind `transformers serve`: base URL and the model's name there. It gets a plain chat template."""
    model = folder / "gemma"
    model.mkdir()
    for file in demo_model().iterdir():
        (model / file.name).symlink_to(file)
    (model / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}assistant: ")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).parent / "transformers"), "serve", str(model), "--host", "127.0.0.1", "--port", str(port)]
    (folder / "hub").mkdir()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "hub")}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen([*command, "--device", "cpu"], stdout=log, stderr=log, env=environment)
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1", str(model)
    finally:
        process.kill()
        process.wait()


def real(folder: Path, relations: tuple[str, ...]) -> None:
    """Generate with a real server and build; then replay from the ledger. Everything that was asked is accounted for."""
    config = LOOPBACK.parents[2] / "configs" / "generate-local.toml"
    options = load_config(BuildConfig, config, relations=relations or None)
    few = [template for group in by_relation(read_bank(options.languages)).values() for template in group[:3]]
    write_bank(few, folder / "bank")
    summaries = []
    with served(folder) as (url, model):
        what = load_config(GenerateConfig, config, table="generate", model=model)
        how = load_config(EndpointConfig, config, table="endpoint", base_url=url)
        for name, replay in (("out", False), ("replayed", True)):
            start = time.perf_counter()
            with open_generation(what, how, folder / "ledger.jsonl", preset_filters(what.preset), replay=replay) as generation:
                summaries.append(build(folder / name, options, bank=folder / "bank", generation=generation))
                counts = generation.dispatcher.counts
            print(f"{name}: {counts['calls']} calls, {counts['repairs']} repairs, {time.perf_counter() - start:.0f} s")
    print("\n| outcome | questions or phrasings |\n|---|---:|")
    for outcome, count in summaries[0].generated.items():
        print(f"| {outcome} | {count:,} |")
    print(f"\nthe replay is the same data: {summaries[0].data == summaries[1].data}")


def main() -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["throughput", "faults", "kills", "real"])
    parser.add_argument("--out", type=Path, help="keep everything here; default: a temporary folder")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--relations", default="", help="of `real`; default: those of the config")
    options = parser.parse_args()
    folder = options.out or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    try:
        match options.what:
            case "throughput":
                throughput(folder)
            case "faults":
                faults(folder)
            case "kills":
                kills(folder, options.seed)
            case "real":
                real(folder, tuple(filter(None, options.relations.split(","))))
    finally:
        if options.out is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
