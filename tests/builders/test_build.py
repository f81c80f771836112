"""The build: what is in the folder, byte for byte, and that failures leave nothing behind."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rml_lama.builders.build import build
from rml_lama.config import BuildConfig
from rml_lama.errors import DataError, OutputError
from rml_lama.hub.schema import FACTS, QUERIES, REJECTED, TEMPLATES

MakeZip = Callable[..., Path]
LAMA = BuildConfig(track="lama", languages=("en", "de", "th"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_queries_carry_everything(make_zip: MakeZip, mlama_files: dict[str, str], bank: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = build(out, LAMA, mlama=make_zip(mlama_files), bank=bank)
    assert summary.rows == {"facts": 3, "en": 6, "de": 6, "templates": 4, "rejected": 5}
    table = pq.read_table(out / "data" / "de.parquet")
    assert table.schema.equals(QUERIES, check_metadata=True)
    row = table.to_pylist()[0]
    assert row["cloze"] == "Die Hauptstadt von Italien ist [Y]."
    assert row["prompt"] + row["answer"] + row["suffix"] == "Die Hauptstadt von Italien ist Rom."
    assert (row["answers"], row["causal"], row["single_answer"], row["parallel"]) == (["Rom"], True, True, True)
    assert row["license"] == "CC-BY-NC-4.0"
    for name, schema in (("facts", FACTS), ("templates", TEMPLATES), ("rejected", REJECTED)):
        assert pq.read_schema(out / "data" / f"{name}.parquet").equals(schema, check_metadata=True)
    fact = pq.read_table(out / "data" / "facts.parquet").to_pylist()[0]
    assert (fact["languages"], fact["subjects"], fact["objects"]) == (["en", "de"], ["Italy", "Italien"], ["Rome", "Rom"])
    rejected = {(row["language"], row["filter"]) for row in pq.read_table(out / "data" / "rejected.parquet").to_pylist()}
    assert rejected >= {("th", "no-label"), ("th", "no-phrasing"), ("th", "missing-file")}


def test_default_content_is_the_parallel_facts(make_zip: MakeZip, mlama_files: dict[str, str], bank: Path, tmp_path: Path) -> None:
    mlama_files["mlama1.1/fr/P36.jsonl"] = mlama_files["mlama1.1/fr/P36.jsonl"].splitlines(keepends=True)[0]
    path = make_zip(mlama_files)
    assert build(tmp_path / "a", LAMA, mlama=path, bank=bank).rows["facts"] == 1
    everything = BuildConfig(track="lama", languages=("en", "de"), all_facts=True)
    assert build(tmp_path / "b", everything, mlama=path, bank=bank).rows["facts"] == 3


def test_equal_inputs_give_equal_bytes_and_a_rebuild_replaces(
    make_zip: MakeZip, mlama_files: dict[str, str], bank: Path, tmp_path: Path
) -> None:
    path = make_zip(mlama_files)
    build(tmp_path / "a", LAMA, mlama=path, bank=bank)
    build(tmp_path / "b", LAMA, mlama=path, bank=bank)
    first = contents(tmp_path / "a")
    assert first == contents(tmp_path / "b")
    build(tmp_path / "a", BuildConfig(track="lama", languages=("en",)), mlama=path, bank=bank)
    assert "data/de.parquet" not in contents(tmp_path / "a")
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_the_manifest_names_every_file(make_zip: MakeZip, mlama_files: dict[str, str], bank: Path, tmp_path: Path) -> None:
    from rml_lama.builders.archive import file_sha256

    build(tmp_path / "out", LAMA, mlama=make_zip(mlama_files), bank=bank)
    manifest = json.loads((tmp_path / "out" / "MANIFEST.json").read_text())
    on_disk = {name for name in contents(tmp_path / "out") if name.startswith("data/")}
    assert set(manifest["files"]) == on_disk
    assert all(file_sha256(tmp_path / "out" / name) == value for name, value in manifest["files"].items())
    assert manifest["source"]["counts"]["parallel_facts"] == 3


def test_the_card_counts_what_is_there(make_zip: MakeZip, mlama_files: dict[str, str], bank: Path, tmp_path: Path) -> None:
    build(tmp_path / "out", LAMA, mlama=make_zip(mlama_files), bank=bank)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "**12 queries**: 3 facts of\n1 relations, asked with 4 phrasings (2 of them causal" in card
    assert "| German (`de`) | Indo-European | Latin | 2 | 1 | 6 |" in card
    assert "not for commercial use" in card
    assert "written by language models" in card


@pytest.mark.parametrize("moment", ["mlama", "bank"])
def test_bad_input_leaves_nothing(make_zip: MakeZip, mlama_files: dict[str, str], bank: Path, no_leftovers: Path, moment: str) -> None:
    if moment == "mlama":
        mlama_files["mlama1.1/vi/P36.jsonl"] += "{\n"
    else:
        (bank / "de.jsonl").write_text("{\n")
    with pytest.raises(DataError):
        build(no_leftovers / "out", LAMA, mlama=make_zip(mlama_files), bank=bank)


def test_a_failed_rebuild_keeps_the_old_build(make_zip: MakeZip, mlama_files: dict[str, str], bank: Path, tmp_path: Path) -> None:
    build(tmp_path / "out", LAMA, mlama=make_zip(mlama_files), bank=bank)
    before = contents(tmp_path / "out")
    mlama_files["mlama1.1/vi/P36.jsonl"] += "{\n"
    with pytest.raises(DataError):
        build(tmp_path / "out", LAMA, mlama=make_zip(mlama_files), bank=bank)
    assert contents(tmp_path / "out") == before


def test_foreign_folders_are_not_touched(make_zip: MakeZip, mlama_files: dict[str, str], bank: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="not an earlier build"):
        build(out, LAMA, mlama=make_zip(mlama_files), bank=bank)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_a_full_disk_is_one_clear_error(no_leftovers: Path) -> None:
    """A limit on file size stands for the full disk: the write fails in the middle in the same way."""

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-m", "rml_lama.cli", "build", str(no_leftovers / "out"), "--languages", "en,de"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=small_files, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: cannot write the build")
    assert "Traceback" not in done.stderr


def test_no_query_at_all_is_an_error(make_zip: MakeZip, mlama_files: dict[str, str], bank: Path, no_leftovers: Path) -> None:
    with pytest.raises(DataError, match="no query at all"):
        build(no_leftovers / "out", BuildConfig(track="lama", languages=("fr",)), mlama=make_zip(mlama_files), bank=_german(bank))


def _german(bank: Path) -> Path:
    """The same bank with a French file that has no phrasing of P36."""
    (bank / "fr.jsonl").write_text('{"relation": "P37", "text": "La langue officielle de [X] est : [Y].", "causal": true}\n')
    return bank
