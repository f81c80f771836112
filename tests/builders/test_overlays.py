"""Labels from Wikidata as overlays: which label counts, what is asked for, and that no answer is lost or asked twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rml_lama.builders import command
from rml_lama.builders.labels import read_overlays
from rml_lama.builders.overlays import REJECTED, FetchedLabels, choose_label, fetch_labels, read_items
from rml_lama.builders.wikidata import BATCH, Wikibase
from rml_lama.errors import DataError, FetchError, OutputError, UsageError
from rml_lama.ledger import Ledger
from tests.builders.wikibase import Server, wikibase


@pytest.fixture
def server() -> Iterator[Server]:
    with wikibase() as server:
        yield server


@pytest.fixture
def fetch(server: Server, tmp_path: Path) -> Callable[..., FetchedLabels]:
    """Fetch from the server into a folder of `tmp_path`; nothing is waited for."""

    def run(items: list[str], languages: tuple[str, ...] = ("sw",), *, dest: str = "labels") -> FetchedLabels:
        service = Wikibase(server.url, "bot@example.org", attempts=4, wait=lambda seconds: None)
        with Ledger(tmp_path / "ledger.jsonl") as answers:
            return fetch_labels(items, languages, tmp_path / dest, answers, service=service)

    return run


def rejected(folder: Path) -> list[tuple[str, str, str]]:
    rows = [json.loads(line) for line in (folder / REJECTED).read_text(encoding="utf-8").splitlines()]
    assert all(row["reason"] for row in rows)
    return [(row["filter"], row["language"], row["item"]) for row in rows]


def test_overlays_hold_the_label_that_counts(server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path) -> None:
    server.items = {
        "Q1": {"sw": " Ulimwengu\t wote ", "zh-hans": "宇宙", "zh": "別"},
        "Q2": {"mul": "Terra", "zh-cn": "地球", "zh": "大地"},
        "Q10": {"mul": "Земля", "zh": "臺灣"},
        "Q11": "Q2",
        "Q12": None,
        "Q13": {"en": "only English"},
    }
    result = fetch(["Q13", "Q12", "Q11", "Q10", "Q2", "Q1", "q7", "Q2"], ("sw", "zh"))
    labels = tmp_path / "labels"
    assert (labels / "sw.tsv").read_text(encoding="utf-8") == "Q1\tUlimwengu wote\nQ2\tTerra\nQ11\tTerra\n"
    assert (labels / "zh.tsv").read_text(encoding="utf-8") == "Q1\t宇宙\nQ2\t地球\nQ10\t台湾\nQ11\t地球\n"
    assert read_overlays(labels)[0]["zh"]["Q10"] == "台湾"
    assert rejected(labels) == [
        ("bad-id", "", "q7"),
        ("missing-entity", "", "Q12"),
        ("no-label", "sw", "Q10"),
        ("no-label", "sw", "Q13"),
        ("no-label", "zh", "Q13"),
    ]
    assert (result.asked, result.added, result.redirects, dict(result.labels)) == (6, 7, 1, {"sw": 3, "zh": 4})
    assert "rejected, no-label sw: 2" in str(result)


def test_requests_name_fifty_items_and_follow_one_another(server: Server, fetch: Callable[..., FetchedLabels]) -> None:
    fetch(sorted(server.items), ("sw", "bn"))
    assert [len(ids) for ids, _ in server.requests] == [BATCH, BATCH, 20]
    assert {tuple(codes) for _, codes in server.requests} == {("sw", "mul", "bn")}
    assert server.most_at_once == 1


def test_nobody_named_is_said(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        fetch_labels(["Q1"], ("sw",), tmp_path / "labels", ledger, service=Wikibase(server.url))
    assert "--contact" in caplog.text


def test_too_many_failures_end_the_run_and_the_next_one_goes_on(
    server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path
) -> None:
    server.plan = ["", "500", "500", "500", "500"]
    with pytest.raises(FetchError, match=r"HTTP 500 .*failure 4\); call again to go on"):
        fetch(sorted(server.items))
    assert not (tmp_path / "labels").exists()
    before = len(server.requests)
    assert fetch(sorted(server.items)).asked == 70
    assert len(server.requests) == before + 2
    assert set(server.answered.values()) == {1}


def test_an_id_that_the_server_refuses_does_not_spoil_its_batch(
    server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path
) -> None:
    server.items |= {"Q5": "no id", "Q7": "no id"}
    result = fetch([f"Q{number}" for number in range(1, 11)] + ["Q0", "Q2147483648", "P17"])
    assert result.added == 8
    assert rejected(tmp_path / "labels") == [("bad-id", "", item) for item in ("P17", "Q0", "Q2147483648", "Q5", "Q7")]
    assert all("Q0" not in ids and "Q2147483648" not in ids for ids, _ in server.requests)
    asked = len(server.requests)
    fetch(["Q5", "Q7"])
    assert len(server.requests) == asked


def test_nothing_is_asked_twice(server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path) -> None:
    server.items["Q3"] = None
    fetch(["Q1", "Q2", "Q3"], ("sw",))
    fetch(["Q1", "Q2", "Q3"], ("sw",), dest="elsewhere")
    assert len(server.requests) == 1
    fetch(["Q1", "Q2", "Q3", "Q4"], ("sw", "bn"), dest="elsewhere")
    assert server.requests[1:] == [(["Q1", "Q2", "Q3"], ["bn"]), (["Q4"], ["sw", "mul", "bn"])]
    assert set(server.answered.values()) == {1}
    fetch(["Q1", "Q2", "Q3", "Q4"], ("sw", "bn"), dest="third")
    assert len(server.requests) == 3
    for name in ("sw.tsv", "bn.tsv", REJECTED):
        assert (tmp_path / "elsewhere" / name).read_bytes() == (tmp_path / "third" / name).read_bytes()


def test_a_torn_ledger_asks_for_the_torn_line_alone(server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path) -> None:
    fetch([f"Q{number}" for number in range(1, 31)])
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-20])
    fetch([f"Q{number}" for number in range(1, 31)], dest="again")
    assert server.requests[1:] == [(["Q30"], ["sw", "mul"])]
    assert (tmp_path / "again" / "sw.tsv").read_bytes() == (tmp_path / "labels" / "sw.tsv").read_bytes()


def test_overlays_that_are_there_are_added_to(server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "zh-hans.tsv").write_text("Q9\t九\nQ2\t二\n", encoding="utf-8")
    (labels / "th.tsv").write_text("Q1\tหนึ่ง\n", encoding="utf-8")
    server.items |= {"Q1": {"zh-hans": "一"}, "Q2": {"zh-hans": "not this"}}
    result = fetch(["Q1", "Q2"], ("zh", "sw"))
    assert (labels / "zh-hans.tsv").read_text(encoding="utf-8") == "Q1\t一\nQ2\t二\nQ9\t九\n"
    assert (labels / "th.tsv").read_text(encoding="utf-8") == "Q1\tหนึ่ง\n"
    assert not (labels / "sw.tsv").exists(), "a language without a label gets no file"
    assert sorted(path.name for path in labels.iterdir()) == [REJECTED, "th.tsv", "zh-hans.tsv"]
    assert [ids for ids, codes in server.requests if "zh" in codes] == [["Q1"]]
    assert dict(result.labels) == {"zh": 3}


def test_labels_that_cannot_be_written(server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("a file")
    with pytest.raises(OutputError, match="cannot write labels"):
        fetch(["Q1"])
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "sw.tsv").write_text("Q1\n")
    with pytest.raises(DataError, match="1 columns"):
        fetch(["Q1"], dest="damaged")


@pytest.mark.parametrize(
    ("code", "labels", "label"),
    [
        ("sw", {"sw": "Kenya", "mul": "Republic"}, "Kenya"),
        ("sw", {"mul": "Erwin Schrödinger"}, "Erwin Schrödinger"),
        ("sw", {"mul": "東京"}, ""),
        ("sw", {"sw": " \u200e "}, ""),
        ("bn", {"mul": "Kenya"}, ""),
        ("zh", {"zh-cn": "意大利", "zh": "義大利"}, "意大利"),
        ("zh", {"zh": "義大利"}, "义大利"),
        ("zh", {"zh-tw": "義大利"}, ""),
    ],
)
def test_which_label_counts(code: str, labels: dict[str, str], label: str) -> None:
    assert choose_label(code, labels) == label


def test_items_from_text_and_from_a_build(tmp_path: Path, open_build: Path) -> None:
    text = tmp_path / "ids.txt"
    text.write_text("\ufeffQ90\nQ5\tfive\n\n Q90 \nnonsense\n", encoding="utf-8")
    assert read_items(text) == ["nonsense", "Q5", "Q90"]
    items = read_items(open_build)
    assert {"Q142", "Q90"} <= set(items)
    assert items == sorted(items, key=lambda item: int(item[1:]))


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "no item id"), (b"hello\n", "no item id"), (b"\xff\xfe", "UTF-8 text"), (None, "cannot read")]
)
def test_what_holds_no_items(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "ids").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_items(tmp_path / "ids")
    with pytest.raises(DataError, match="not a build folder"):
        read_items(tmp_path)


def test_a_build_without_its_facts(tmp_path: Path, open_build: Path) -> None:
    (tmp_path / "MANIFEST.json").write_bytes((open_build / "MANIFEST.json").read_bytes())
    with pytest.raises(DataError, match="has lost its facts"):
        read_items(tmp_path)


@pytest.mark.parametrize(
    ("what", "options", "message"),
    [
        ("labels", {}, "needs --ids"),
        ("labels", {"ids": Path("none")}, "cannot read the item ids"),
        ("labels", {"ids": Path("none"), "sha256": "0"}, "no --sha256"),
        ("labels", {"ids": Path("none"), "languages": "xx"}, "unknown language 'xx'"),
        ("mlama", {"contact": "me"}, "belong to `rml-lama fetch labels`"),
    ],
)
def test_options_that_do_not_fit(what: str, options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        command.fetch(what, **options, progress=lambda done, total: None)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("\n".join(server.items))

    def call(dest: str) -> list[str]:
        options = ["--ids", "ids", "--languages", "sw,bn", "--dest", dest, "--url", server.url, "--contact", "bot@example.org"]
        return [sys.executable, "-m", "rml_lama.cli", "fetch", "labels", *options]

    subprocess.run(call("whole"), cwd=tmp_path, check=True, capture_output=True)
    undisturbed = server.answered.copy()
    server.answered.clear()
    server.plan = ["", "stall"]
    with subprocess.Popen(call("killed"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert server.stalled.wait(30)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert sum(server.answered.values()) == BATCH * 3  # items of the first request, under sw, mul and bn
    assert not (tmp_path / "killed").exists()
    server.go_on.set()
    done = subprocess.run(call("killed"), cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "killed/sw.tsv: 120 labels" in done.stdout
    assert server.answered == undisturbed, "every item was answered once, before or after the kill"
    for name in ("sw.tsv", "bn.tsv", REJECTED):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
