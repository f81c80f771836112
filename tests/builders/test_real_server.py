"""A generated build against a real server, `transformers serve` with the demo model, which ignores schemas and knows little."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rml_lama.ledger import Ledger

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "generation.py"


@pytest.mark.model
def test_whatever_a_small_model_says_is_accounted_for(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARK), "real", "--relations", "P36", "--out", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert run.returncode == 0, run.stderr
    assert "the replay is the same data: True" in run.stdout
    manifest = json.loads((tmp_path / "out" / "MANIFEST.json").read_text(encoding="utf-8"))
    outcomes = manifest["generated"]["outcomes"]
    rejected = pq.read_table(tmp_path / "out" / "data" / "rejected.parquet").to_pylist()
    stages = Counter(f"{row['stage']}: {row['filter']}" for row in rejected if row["stage"] in ("rephrase", "translate", "validate"))
    assert all(row["reason"] for row in rejected)
    assert {name: count for name, count in outcomes.items() if not name.endswith("accepted")} == stages
    templates = pq.read_table(tmp_path / "out" / "data" / "templates.parquet").to_pylist()
    generated = [row for row in templates if row["provenance"] != "authored"]
    assert len(generated) == sum(count for name, count in outcomes.items() if name.endswith("accepted"))
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        assert len(ledger) > 0
        assert all(row["ledger_key"] in ledger for row in generated)
