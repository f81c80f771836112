#!/bin/sh
# Gemma 3 270M over a stated slice of the `lama` track, on this machine:
#     sh benchmarks/lama_slice.sh BUILD OUT [CONFIG]          the default is configs/gemma-lama.toml
# The run is killed once, half way, and goes on; it may also be stopped by hand and started again. With CHECK=1 a second,
# undisturbed run (OUT.whole) is compared byte by byte; that doubles the time. Leaves tables, pictures and the page in OUT.
# BIN is the folder of the programs (default .venv/bin).
set -eu
data=$1
out=$2
config=${3:-configs/gemma-lama.toml}
bin=${BIN:-.venv/bin}
run="$bin/rml-lama evaluate demo --data $data --config $config"

$run --out "$out" --dry-run
if [ ! -f "$out/result.json" ]; then
    shards=$("$bin/python" - "$data" "$config" <<'PY'
import sys
from pathlib import Path
from rml_lama.config import EvaluateConfig, load_config
from rml_lama.eval.selection import select
from rml_lama.hub.folder import read_manifest

data = Path(sys.argv[1])
print(len(select(data, read_manifest(data), load_config(EvaluateConfig, Path(sys.argv[2])))))
PY
)
    finished() { ls "$out/parts" 2>/dev/null | grep -c parquet || true; }
    if [ "$(finished)" -lt $((shards / 2)) ]; then
        $run --out "$out" >"$out.log" 2>&1 &
        worker=$!
        while kill -0 $worker 2>/dev/null && [ "$(finished)" -lt $((shards / 2)) ]; do sleep 2; done
        kill -9 $worker
        wait $worker 2>/dev/null || true
        echo "killed after $(finished) of $shards shards"
    fi
    $run --out "$out"
fi
if [ "${CHECK:-0}" = 1 ]; then
    $run --out "$out.whole" >/dev/null
    for file in result.json predictions.parquet scores.parquet SHA256SUMS; do cmp "$out/$file" "$out.whole/$file"; done
    echo "the run that was killed and the undisturbed one have the same bytes"
fi
"$bin/python" - "$out/cost.jsonl" <<'PY'
import json
import sys

lines = [json.loads(line) for line in open(sys.argv[1])]
seconds, queries, candidates = (sum(line[key] for line in lines) for key in ("seconds", "queries", "candidates"))
print(f"cost: {queries:,} queries, {candidates:,} candidates in {seconds / 60:.1f} min: {queries / seconds:.1f} queries a second")
PY
for by in language relation family script stratum; do
    "$bin/rml-lama" table "$out" --by $by >"$out/$by.md"
    "$bin/rml-lama" table "$out" --by $by --format csv >"$out/$by.csv"
    "$bin/rml-lama" table "$out" --by $by --format latex >"$out/$by.tex"
    "$bin/rml-lama" table "$out" --by $by --format json >"$out/$by.json"
done
for kind in languages agreement phrasings calibration risk; do
    "$bin/rml-lama" plot "$out" -o "$out/$kind.png" --kind $kind
    "$bin/rml-lama" plot "$out" -o "$out/$kind.svg" --kind $kind
done
"$bin/rml-lama" report "$out" -o "$out/report.html" --data "$data"
