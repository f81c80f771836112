#!/bin/sh
# The main job, start to end: build the open track, load it, score Gemma 3 270M on a stated subset, draw the picture,
# localize a few facts and write their page.
set -eu
bin=$1
out=$2

"$bin/rml-lama" build "$out/open" --track open
HF_DATASETS_CACHE="$out/cache" HF_HUB_OFFLINE=1 "$bin/python" - "$out/open" <<'PY'
import sys
from datasets import load_dataset

queries = load_dataset(sys.argv[1], "ja", split="test")
print(f"load_dataset: {len(queries):,} queries in Japanese, for example {queries[0]['cloze']} -> {queries[0]['answer']}")
PY
"$bin/rml-lama" evaluate demo --data "$out/open" --out "$out/run" --config configs/demo.toml
"$bin/rml-lama" plot "$out/run" -o "$out/languages.png"
"$bin/rml-lama" report "$out/run" -o "$out/report.html" --data "$out/open"
"$bin/rml-lama" localize demo --data "$out/open" --out "$out/neurons" --config configs/demo-neurons.toml
"$bin/rml-lama" report "$out/neurons" -o "$out/neurons.html"
echo "result: $out/run  picture: $out/languages.png  pages: $out/report.html $out/neurons.html"
