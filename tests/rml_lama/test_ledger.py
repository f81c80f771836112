"""The ledger: append-only, crash-safe, shared by processes."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from rml_lama.errors import LedgerError
from rml_lama.ledger import Ledger, content_key


def test_answers_come_back_and_the_first_stands(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        assert ledger.put("a", {"text": "größer"}) == {"text": "größer"}
        assert ledger.put("a", {"text": "other"}) == {"text": "größer"}
    with Ledger(path) as again:
        assert again.get("a") == {"text": "größer"}
        assert len(again) == 1
        assert "a" in again
        assert list(again) == ["a"]
        with pytest.raises(LedgerError, match="no answer for b"):
            again.get("b")


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_torn_last_line_is_dropped_with_a_message(tmp_path: Path, caplog: pytest.LogCaptureFixture, cut: int) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.put("a", 1)
        ledger.put("b", 2)
    path.write_bytes(path.read_bytes()[:-cut])
    with caplog.at_level(logging.WARNING), Ledger(path) as ledger:
        assert "torn last line" in caplog.text
        assert "b" not in ledger
        ledger.put("c", 3)
    with Ledger(path) as ledger:
        assert {key: ledger.get(key) for key in ledger} == {"a": 1, "c": 3}


def test_damage_elsewhere_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"key": "a"}\n{"key": "b", "answer": 1}\n')
    with pytest.raises(LedgerError, match="damaged line 1"):
        Ledger(path)


def test_processes_share_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    code = "import sys; from pathlib import Path; from rml_lama.ledger import Ledger\n"
    code += "with Ledger(Path(sys.argv[1])) as l:\n    [l.put(f'{i}', sys.argv[2]) for i in range(100)]"
    workers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "abc"]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    with Ledger(path) as ledger:
        assert len(ledger) == 100
    assert len(path.read_text().splitlines()) == 100


def test_compacting_keeps_every_answer_and_other_handles(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"key": "b", "answer": 1}\n{"key": "a", "answer": 2}\n{"key": "b", "answer": 1}\n')
    with Ledger(path) as first, Ledger(path) as second:
        assert first.compact() > 0
        second.put("c", 3)
        first.put("d", 4)
    with Ledger(path) as ledger:
        assert {key: ledger.get(key) for key in ledger} == {"a": 2, "b": 1, "c": 3, "d": 4}
    assert not (tmp_path / "ledger.jsonl.bak").exists()


def test_keys_are_content_addresses() -> None:
    assert content_key({"a": [1, "é"], "b": None}) == content_key({"b": None, "a": [1, "é"]})
    assert content_key({"a": 1}) != content_key({"a": 2})
