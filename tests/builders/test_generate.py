"""A generated build, whole: every question ends accepted or rejected with a reason, a replay is the same bytes, a stop loses nothing."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rml_lama.builders.bank import read_bank, write_bank
from rml_lama.builders.build import BuildSummary, build
from rml_lama.builders.command import preset_filters
from rml_lama.builders.generate import open_generation
from rml_lama.config import BuildConfig, EndpointConfig, GenerateConfig
from rml_lama.errors import ConfigError, LedgerError
from rml_lama.ledger import Ledger
from rml_lama.records import by_relation
from rml_lama.validation.base import Filter
from tests.builders.conftest import Running
from tests.builders.loopback import LASTING, PASSING

KEY = "sk-marked-key-0123456789"
RELATIONS = ("P30", "P36", "P37")
LANGUAGES = ("en", "de", "ja")
WHAT = GenerateConfig(
    model="m", rephrase=("en",), phrasings=3, translate_to=("de", "ja"), translations=3, rewrite=("de",), rewrite_facts=2, max_rounds=3
)
Generate = Callable[..., BuildSummary]


@pytest.fixture
def small_bank(tmp_path: Path) -> Path:
    """Two phrasings of each relation and language: the server writes the rest."""
    sets = by_relation(read_bank(LANGUAGES))
    few = [template for (_, relation), group in sets.items() if relation in RELATIONS for template in group[:2]]
    write_bank(few, tmp_path / "small-bank")
    return tmp_path / "small-bank"


@pytest.fixture(scope="session")
def filters() -> list[Filter]:
    return preset_filters(WHAT.preset)


@pytest.fixture
def generate(tmp_path: Path, small_bank: Path, filters: list[Filter], monkeypatch: pytest.MonkeyPatch) -> Generate:
    """Build with a generation: `generate(base_url, out=..., ...)`; without a URL from the ledger alone."""
    monkeypatch.setenv("SOME_KEY", KEY)

    def run(base_url: str = "", *, out: str = "out", what: GenerateConfig = WHAT, batch: bool = False, **options: Any) -> BuildSummary:
        how = EndpointConfig(**{"base_url": base_url, "api_key_env": "SOME_KEY", "timeout": 60.0, "batch_poll_seconds": 0.01} | options)
        config = BuildConfig(languages=LANGUAGES, relations=RELATIONS)
        with open_generation(what, how, tmp_path / "ledger.jsonl", filters, replay=not base_url, batch=batch) as generation:
            return build(tmp_path / out, config, bank=small_bank, generation=generation, save_bank=tmp_path / f"{out}-bank")

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_generated_build_accounts_for_every_question(tmp_path: Path, endpoint: Callable[..., Running], generate: Generate) -> None:
    summary = generate(endpoint().base_url)
    templates = pq.read_table(tmp_path / "out" / "data" / "templates.parquet").to_pylist()
    made = Counter((row["language"], row["relation"]) for row in templates if row["provenance"] == "llm:m-2026")
    assert all(made["en", relation] == 3 for relation in RELATIONS)
    assert all(made[code, relation] <= 3 for code in ("de", "ja") for relation in RELATIONS)
    assert all(sum(made[code, relation] for relation in RELATIONS) >= 1 for code in ("de", "ja"))
    counts = summary.generated
    assert counts["rephrase: accepted"] == 9
    assert counts["translate: accepted"] == sum(made.values()) - 9
    rejected = pq.read_table(tmp_path / "out" / "data" / "rejected.parquet").to_pylist()
    stages = Counter(f"{row['stage']}: {row['filter']}" for row in rejected if row["stage"] in ("rephrase", "translate", "rewrite"))
    refused = {name: count for name, count in counts.items() if not name.endswith(("accepted", "unchanged"))}
    assert refused == stages, "the report and the config `rejected` say the same"


def test_provenance_is_on_every_row_and_leads_to_the_ledger(tmp_path: Path, endpoint: Callable[..., Running], generate: Generate) -> None:
    generate(endpoint().base_url)
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        rows = pq.read_table(tmp_path / "out" / "data" / "templates.parquet").to_pylist()
        generated = [row for row in rows if row["provenance"] != "authored"]
        assert generated
        for row in generated:
            assert ledger.get(row["ledger_key"])["model"] == "m-2026"
            assert row["prompt_version"].startswith("translate@1-" if row["language"] != "en" else "rephrase@1-")
        parents = {row["template_id"] for row in rows if row["language"] == "en"}
        assert all(row["parent"] in parents for row in generated if row["language"] != "en")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert f"{len(generated)} llm:m-2026" in card
    assert f"{len(rows) - len(generated)} authored" in card
    queries = pq.read_table(tmp_path / "out" / "data" / "de.parquet").to_pylist()
    mended = [query for query in queries if query["prompt_version"].startswith("rewrite@")]
    assert mended
    assert all("bekanntlich" in query["cloze"] and query["cloze"].count("[Y]") == 1 for query in mended)
    assert all(query["prompt"] + query["answer"] + query["suffix"] == query["cloze"].replace("[Y]", query["answer"]) for query in queries)


def test_a_replay_is_the_same_bytes_and_touches_no_network(tmp_path: Path, endpoint: Callable[..., Running], generate: Generate) -> None:
    running = endpoint()
    generate(running.base_url)
    calls = running.server.asked.total()
    generate("", out="again")
    assert files(tmp_path / "out") == files(tmp_path / "again")
    assert files(tmp_path / "out-bank") == files(tmp_path / "again-bank")
    assert running.server.asked.total() == calls
    generate(running.base_url, out="third")
    assert running.server.asked.total() == calls, "a second run asks nothing that is answered"
    assert files(tmp_path / "out") == files(tmp_path / "third")


def test_a_replay_names_the_record_that_is_missing(tmp_path: Path, endpoint: Callable[..., Running], generate: Generate) -> None:
    generate(endpoint().base_url)
    ledger = tmp_path / "ledger.jsonl"
    lines = ledger.read_text(encoding="utf-8").splitlines(keepends=True)
    wanted = next(line for line in lines if "phrasings" in line)
    ledger.write_text("".join(line for line in lines if line != wanted), encoding="utf-8")
    with pytest.raises(LedgerError, match=f"no answer to rephrase en P.*{json.loads(wanted)['key']}"):
        generate("", out="again")
    assert not (tmp_path / "again").exists()


def test_a_saved_bank_can_be_read_and_built_from(tmp_path: Path, endpoint: Callable[..., Running], generate: Generate) -> None:
    generate(endpoint().base_url)
    saved = read_bank(LANGUAGES, tmp_path / "out-bank")
    assert any(template.parent and template.ledger_key for template in saved)
    summary = build(tmp_path / "plain", BuildConfig(languages=LANGUAGES, relations=RELATIONS), bank=tmp_path / "out-bank")
    assert summary.rows["templates"] == len(saved)


@pytest.mark.parametrize("faults", [PASSING, LASTING, (*PASSING, *LASTING)])
def test_a_server_that_misbehaves_costs_nothing_but_time(
    faults: tuple[str, ...], tmp_path: Path, endpoint: Callable[..., Running], generate: Generate
) -> None:
    running = endpoint(faults=faults, every=2, stall=60.0)
    what = replace(WHAT, rewrite_facts=20)
    summary = generate(running.base_url, what=what, timeout=4.0, concurrency=32)
    paid = Counter(running.server.paid)
    assert max(paid.values()) == 1, "no question is answered, and so paid for, twice"
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        assert len(ledger) == len(paid), "every answer that was given is kept"
    assert summary.generated["rephrase: accepted"] > 0
    generate("", out="again", what=what)
    assert files(tmp_path / "out") == files(tmp_path / "again")


def test_an_answer_in_another_language_is_refused_as_such(tmp_path: Path, endpoint: Callable[..., Running], generate: Generate) -> None:
    summary = generate(endpoint(faults=("wrong-language",), every=1).base_url)
    refused = pq.read_table(tmp_path / "out" / "data" / "rejected.parquet").to_pylist()
    told = {(row["language"], row["filter"]) for row in refused if row["stage"] == "validate"}
    assert {(code, "language") for code in LANGUAGES} <= told
    assert "rephrase: accepted" not in summary.generated
    assert "translate: accepted" not in summary.generated


def test_the_key_is_nowhere(tmp_path: Path, endpoint: Callable[..., Running], generate: Generate, caplog: pytest.LogCaptureFixture) -> None:
    running = endpoint(echo_key=True)
    with caplog.at_level(logging.DEBUG):
        generate(running.base_url)
    assert running.server.authorization == {f"Bearer {KEY}"}
    assert KEY not in caplog.text
    for name, content in files(tmp_path).items():
        assert KEY.encode() not in content, name
    for name in ("templates", "rejected", "de"):
        assert KEY not in str(pq.read_table(tmp_path / "out" / "data" / f"{name}.parquet").to_pylist())


def test_two_runs_with_one_ledger_are_refused(tmp_path: Path, generate: Generate, endpoint: Callable[..., Running]) -> None:
    how = EndpointConfig(base_url="http://127.0.0.1:9/v1", api_key_env="")
    with (
        open_generation(WHAT, how, tmp_path / "ledger.jsonl", []),
        pytest.raises(LedgerError, match="another run is generating"),
    ):
        generate(endpoint().base_url)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (GenerateConfig(model="m"), "nothing to generate"),
        (GenerateConfig(rephrase=("en",)), "set `model`"),
        (replace(WHAT, rephrase=("en", "fr")), "languages that the build does not have: fr"),
    ],
)
def test_a_config_that_asks_for_nothing_sensible_is_refused(what: GenerateConfig, message: str, tmp_path: Path, generate: Generate) -> None:
    with pytest.raises(ConfigError, match=message):
        generate("http://127.0.0.1:9/v1", what=what)
    assert not (tmp_path / "out").exists()


def test_a_replay_without_a_ledger_says_so(generate: Generate) -> None:
    with pytest.raises(LedgerError, match="there is no ledger at"):
        generate("")


def test_a_ceiling_needs_a_price(generate: Generate) -> None:
    with pytest.raises(ConfigError, match="--max-cost needs a price"):
        generate("http://127.0.0.1:9/v1", max_cost=1.0)
