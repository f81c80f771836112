#!/bin/sh
# Gemma 3 270M over the slice of the `lama` track that configs/gemma-lama.toml states, on this machine:
#     sh benchmarks/lama_slice.sh BUILD OUT [FOLDER_OF_PROGRAMS]
# The run is killed once, half way, and goes on; it may also be stopped by hand and started again. With OUT.whole a second,
# undisturbed run is compared byte by byte (set CHECK=1; it doubles the time). Leaves tables, pictures and the page in OUT.
set -eu
data=$1
out=$2
bin=${3:-.venv/bin}
run="$bin/rml-lama evaluate demo --data $data --config configs/gemma-lama.toml"

"$bin/rml-lama" evaluate demo --data "$data" --out "$out" --config configs/gemma-lama.toml --dry-run
if [ ! -f "$out/result.json" ]; then
    $run --out "$out" >"$out.log" 2>&1 &
    worker=$!
    shards=984
    while kill -0 $worker 2>/dev/null && [ "$(ls "$out/parts" 2>/dev/null | wc -l)" -lt $((shards / 2)) ]; do sleep 5; done
    kill -9 $worker 2>/dev/null && echo "killed after $(ls "$out/parts" | wc -l) of $shards shards"
    wait $worker 2>/dev/null || true
    $run --out "$out"
fi
if [ "${CHECK:-0}" = 1 ]; then
    $run --out "$out.whole" >/dev/null
    for file in result.json predictions.parquet scores.parquet SHA256SUMS; do cmp "$out/$file" "$out.whole/$file"; done
    echo "the run that was killed and the undisturbed one have the same bytes"
fi
"$bin/python" - "$out/cost.jsonl" <<'PY'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
seconds, queries, candidates = (sum(line[key] for line in lines) for key in ("seconds", "queries", "candidates"))
print(f"cost: {queries:,} queries, {candidates:,} candidates in {seconds / 60:.1f} min: {queries / seconds:.1f} queries/s, {candidates / seconds:.0f} candidates/s")
PY
for by in language relation family script stratum; do
    "$bin/rml-lama" table "$out" --by $by >"$out/$by.md"
    "$bin/rml-lama" table "$out" --by $by --format csv >"$out/$by.csv"
done
for kind in languages agreement phrasings calibration risk; do
    "$bin/rml-lama" plot "$out" -o "$out/$kind.png" --kind $kind
    "$bin/rml-lama" plot "$out" -o "$out/$kind.svg" --kind $kind
done
"$bin/rml-lama" report "$out" -o "$out/report.html" --data "$data"
