"""The command line: every command is documented, and bad input is one clear line, exit code 2, and nothing left behind."""

from __future__ import annotations

import json
import logging
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from rml_lama import __version__, cli
from tests.conftest import mlama_line

Case = Callable[[Path, dict[str, str]], list[str]]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """The command line sets up logging for its process; a test must not keep that."""
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def run(*arguments: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """Call the real entry point; exit code, output and error output."""
    monkeypatch.setattr("sys.argv", ["rml-lama", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def _zip(folder: Path, files: dict[str, str] | dict[str, bytes] | dict[str, str | bytes]) -> str:
    path = folder / "mlama.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return str(path)


def _lama(folder: Path, files: dict[str, str] | dict[str, str | bytes], *more: str) -> list[str]:
    return ["--track", "lama", "--mlama", _zip(folder, files), *more]


def _write(path: Path, content: str | bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def _truncated(folder: Path, files: dict[str, str]) -> list[str]:
    path = Path(_zip(folder, files))
    path.write_bytes(path.read_bytes()[:-100])
    return ["--track", "lama", "--mlama", str(path)]


def _bank(folder: Path, line: str) -> list[str]:
    _write(folder / "bank" / "en.jsonl", line + "\n")
    return ["--languages", "en", "--bank", str(folder / "bank")]


GOOD = '{"relation": "P36", "text": "The capital of [X] is [Y].", "causal": true}'

MALFORMED: dict[str, tuple[Case, str]] = {
    "zip slip": (lambda d, f: _lama(d, {**f, "../../evil": "x"}), "would leave the folder"),
    "zip bomb": (lambda d, f: _lama(d, {**f, "mlama1.1/en/P37.jsonl": b"\0" * 30_000_000}), "unpacks to 30000000 bytes"),
    "truncated zip": (_truncated, "not a whole zip file"),
    "not a zip": (lambda d, f: ["--track", "lama", "--mlama", _write(d / "a.zip", "hello")], "not a whole zip file"),
    "no such archive": (lambda d, f: ["--track", "lama", "--mlama", str(d / "none.zip")], "no such file or folder"),
    "zip of something else": (lambda d, f: _lama(d, {"readme": "x"}), "no mLAMA data found"),
    "invalid UTF-8": (lambda d, f: _lama(d, {**f, "mlama1.1/fr/P36.jsonl": b"\xff\xfe"}), "invalid UTF-8"),
    "a bad JSON line": (lambda d, f: _lama(d, {**f, "mlama1.1/fr/P36.jsonl": "{oops"}), "fr/P36.jsonl:1"),
    "a missing field": (lambda d, f: _lama(d, {**f, "mlama1.1/fr/P36.jsonl": "{}"}), "field 'sub_uri' is missing"),
    "a label file with three columns": (
        lambda d, f: _lama(d, f, "--labels", str(Path(_write(d / "labels" / "sw.tsv", "Q1\ta\tb\n")).parent)),
        "3 columns",
    ),
    "a label file of no language": (
        lambda d, f: _lama(d, f, "--labels", str(Path(_write(d / "labels" / "xx.tsv", "Q1\ta\n")).parent)),
        "unknown language 'xx'",
    ),
    "no labels folder": (lambda d, f: _lama(d, f, "--labels", str(d / "none")), "not a folder that can be read"),
    "an empty labels folder": (lambda d, f: _lama(d, f, "--labels", str(Path(_write(d / "labels" / "readme", "")).parent)), "no .tsv file"),
    "an unknown language": (lambda d, f: ["--languages", "en,xx"], "unknown language 'xx'"),
    "an unknown relation": (lambda d, f: ["--relations", "P0"], "unknown relation 'P0'"),
    "an unknown track": (lambda d, f: ["--track", "closed"], "config key 'track'"),
    "an unknown config key": (lambda d, f: ["--config", _write(d / "c.toml", "colour = 1")], "unknown config key 'colour'"),
    "a config that is not TOML": (lambda d, f: ["--config", _write(d / "c.toml", "track = ")], "not a TOML file"),
    "a config of the wrong type": (lambda d, f: ["--config", _write(d / "c.toml", "languages = 3")], "config key 'languages'"),
    "no config": (lambda d, f: ["--config", str(d / "none.toml")], "cannot read the config"),
    "a template without [Y]": (lambda d, f: _bank(d, GOOD.replace("[Y]", "it")), "no query at all"),
    "a template line that is not JSON": (lambda d, f: _bank(d, "nonsense"), "en.jsonl:1"),
    "a template of an unknown relation": (lambda d, f: _bank(d, GOOD.replace("P36", "P0")), "unknown relation 'P0'"),
    "an empty bank": (lambda d, f: ["--bank", str(Path(_write(d / "bank" / "x", "")).parent)], "no phrasing of"),
    "the archive without its track": (lambda d, f: ["--mlama", _zip(d, f)], "belong to the track 'lama'"),
    "the track without its archive": (lambda d, f: ["--track", "lama"], "needs --mlama"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_input_is_one_line_and_leaves_nothing(
    name: str,
    tmp_path: Path,
    mlama_files: dict[str, str],
    no_leftovers: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make, message = MALFORMED[name]
    code, out, err = run("build", str(no_leftovers / "out"), *make(tmp_path, mlama_files), capsys=capsys, monkeypatch=monkeypatch)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(errors) == 1, err
    assert message in errors[0]
    assert "Traceback" not in err
    assert out == ""


def test_an_unreadable_folder(tmp_path: Path) -> None:
    """In a process of its own: root reads every folder, so as root it becomes the user nobody first."""
    import subprocess
    import sys

    code = "import os, sys; from pathlib import Path; from rml_lama.builders.archive import open_archive\n"
    code += "from rml_lama.errors import DataError\nos.geteuid() or os.setuid(65534)\n"
    code += "try: open_archive(Path(sys.argv[1]))\nexcept DataError as error: print(error); sys.exit(error.exit_code)"
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700 if os.geteuid() == 0 else 0o000)
    done = subprocess.run([sys.executable, "-c", code, str(closed)], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "not readable" in done.stdout


def test_a_folder_in_the_way_of_the_output(
    tmp_path: Path, mlama_files: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "file", "x")
    for target, message in ((tmp_path / "file", "not an earlier build"), (tmp_path / "file" / "out", "cannot")):
        code, _, err = run("build", str(target), "--languages", "en", capsys=capsys, monkeypatch=monkeypatch)
        assert code == 2, err
        assert message in err


def test_building_and_looking_at_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    out = str(tmp_path / "out")
    code, text, _ = run("build", out, "--languages", "en,ja", "--relations", "P36", capsys=capsys, monkeypatch=monkeypatch)
    assert (code, "queries: " in text, "in 2 languages" in text) == (0, True, True)
    rows = json.loads((tmp_path / "out" / "MANIFEST.json").read_text())["rows"]
    code, text, _ = run("info", out, capsys=capsys, monkeypatch=monkeypatch)
    assert f"queries: {rows['en'] + rows['ja']:,} in 2 languages" in text
    code, text, _ = run(
        "evaluate", "none", "--data", out, "--out", str(tmp_path / "run"), "--dry-run", capsys=capsys, monkeypatch=monkeypatch
    )
    assert code == 0
    assert "2 languages and 1 relations" in text
    code, _, err = run("info", str(tmp_path), capsys=capsys, monkeypatch=monkeypatch)
    assert (code, "is not a build folder" in err) == (2, True)


def test_a_rejected_line_of_the_archive_is_kept(
    tmp_path: Path, mlama_files: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    mlama_files["mlama1.1/en/P36.jsonl"] += mlama_line("Q7", "Q8", "", "b", "u")
    code, _, _ = run(
        "build", str(tmp_path / "out"), *_lama(tmp_path, mlama_files, "--languages", "en"), capsys=capsys, monkeypatch=monkeypatch
    )
    rows = pq.read_table(tmp_path / "out" / "data" / "rejected.parquet").to_pylist()
    assert code == 0
    assert [row["item"] for row in rows if row["filter"] == "empty-label"] == ["Q7 Q8"]


def test_every_command_has_help_with_an_example_and_is_documented() -> None:
    readme = "".join(path.read_text(encoding="utf-8") for path in (Path(__file__).parents[2] / "docs").glob("*.md"))
    runner = CliRunner()
    names = list(getattr(get_command(cli.app), "commands", {}))
    assert {"build", "evaluate", "compare", "report"} <= set(names)
    for name in names:
        result = runner.invoke(cli.app, [name, "--help"])
        assert result.exit_code == 0
        assert f"rml-lama {name}" in result.output
        assert f"rml-lama {name}" in readme, f"docs/ does not show {name}"


def test_version_and_usage_errors(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("--version", capsys=capsys, monkeypatch=monkeypatch)[:2] == (0, __version__ + "\n")
    assert run("build", "--nonsense", capsys=capsys, monkeypatch=monkeypatch)[0] == 2
    assert run("fetch", "everything", capsys=capsys, monkeypatch=monkeypatch)[0] == 2


def test_debug_shows_the_trace(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["rml-lama", "--debug", "fetch", "everything"])
    from rml_lama.errors import ConfigError

    with pytest.raises(ConfigError):
        cli.main()
