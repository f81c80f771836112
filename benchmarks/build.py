"""Time and memory of a `lama` build, and how both grow from 10% to 100% of the facts.

    python benchmarks/build.py --mlama mlama1.1.zip --labels labels [--runs 3]

Each build is a process of its own; peak memory is the operating system's figure for it. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path


def sample(source: Path, target: Path, tenths: int) -> None:
    """A copy of the archive with the triples whose hash falls into the first tenths."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            lines = old.read(name).splitlines(keepends=True)
            if "/P" in name:
                lines = [line for line in lines if _tenth(json.loads(line)) < tenths]
            new.writestr(name, b"".join(lines))


def _tenth(row: dict[str, str]) -> int:
    return hashlib.sha256(f"{row['sub_uri']} {row['obj_uri']}".encode()).digest()[0] * 10 // 256


def build(mlama: Path, labels: Path, out: Path, *options: str) -> tuple[float, float, int]:
    """Seconds, peak megabytes and queries of one build."""
    command = [sys.executable, "-m", "rml_lama.cli", "--quiet", "build", str(out), "--track", "lama"]
    command += ["--mlama", str(mlama), "--labels", str(labels), *options]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        raise SystemExit(f"the build failed: {' '.join(command)}")
    rows = json.loads((out / "MANIFEST.json").read_text(encoding="utf-8"))["rows"]
    queries = sum(count for name, count in rows.items() if name not in ("facts", "templates", "rejected"))
    return seconds, usage.ru_maxrss / 1024, queries


def main() -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlama", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print("| facts | queries | seconds (median) | peak MB |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        tenth = Path(folder, "tenth.zip")
        sample(options.mlama, tenth, 1)
        cases: list[tuple[str, Path, list[str]]] = [
            ("10% of the parallel facts", tenth, []),
            ("all parallel facts (the default)", options.mlama, []),
            ("every labelled fact (`--all-facts`)", options.mlama, ["--all-facts"]),
        ]
        for name, archive, extra in cases:
            runs = [build(archive, options.labels, Path(folder, "out"), *extra) for _ in range(options.runs)]
            seconds, memory, queries = (statistics.median(column) for column in zip(*runs, strict=True))
            print(f"| {name} | {queries:,} | {seconds:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
