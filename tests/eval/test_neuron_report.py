"""The page of a localization: its numbers, no network, and what a browser shows."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rml_lama.config import LocalizeConfig
from rml_lama.eval.localization import Localization
from rml_lama.eval.neuron_report import sections, write_page
from rml_lama.eval.summary import agreement, summarize_localization
from rml_lama.signature import Signature

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

TRANSFER = [["en", "ja", -0.5], ["ja", "en", -0.25]]
TITLES = ["In short", "Where the neurons are", "Do languages agree?", "What transfers", "Is the uncertainty right?"]


def neuron(place: int, layer: int, index: int, kind: str, inclusion: float) -> dict[str, Any]:
    return {
        "place": place,
        "layer": layer,
        "index": index,
        "score": 0.5 - place / 10,
        "low": 0.1,
        "high": 0.9,
        "inclusion": inclusion,
        "support": 1.0,
        "icc": 0.2,
        "reproduced": inclusion > 0.5,
        "class": kind,
        "languages": ["en", "ja"],
        "words": ["<Paris>", "city"],
    }


def fact(number: int, relation: str, status: str = "localized") -> dict[str, Any]:
    localized = status == "localized"
    return {
        "fact_id": f"f{number}",
        "relation": relation,
        "subject": f"S{number}",
        "answer": f"A{number}",
        "status": status,
        "queries": 4,
        "certified": 4,
        "known": 3 if localized else 0,
        "nodes": 84,
        "residual": 0.4,
        "kept_languages": ["en", "ja"] if localized else [],
        "localizability": 0.6 if localized else None,
        "neuron_variance": 1.0 if localized else None,
        "language_variance": 0.5 if localized else None,
        "phrasing_variance": 0.25 if localized else None,
        "neurons": [neuron(0, 1, 7, "agnostic", 0.95), neuron(1, 2, number, "language-specific", 0.3)] if localized else [],
        "details": {"top": {"en": [1, 2], "ja": [1, 10 + number]}, "transfer": TRANSFER} if localized else {},
    }


@pytest.fixture(scope="module")
def found() -> Localization:
    facts = [fact(0, "P36"), fact(1, "P36"), fact(2, "P30"), fact(3, "P30", "the model names the answer in no query")]
    return summarize_localization(facts, Signature.parse("rml|loc:matrice|model:tiny@local"), LocalizeConfig())


def test_sums_by_hand(found: Localization) -> None:
    summary = found.summary
    assert (summary["facts"], summary["localized"], summary["queries"]) == (4, 3, 16)
    assert summary["certified_share"] == 1.0
    assert summary["known_share"] == 9 / 16
    assert summary["classes"] == {"agnostic": 3, "language-specific": 3}
    assert {"layer": 1, "class": "agnostic", "count": 3} in summary["layers"]
    assert summary["transfer"] == [
        {"source": "en", "target": "ja", "effect": -0.5, "facts": 3},
        {"source": "ja", "target": "en", "effect": -0.25, "facts": 3},
    ]
    assert summary["calibration"] == [
        {"low": 0.2, "high": 0.4, "reproduced": 0.0, "neurons": 3},
        {"low": 0.8, "high": 1.0, "reproduced": 1.0, "neurons": 3},
    ]
    (pair,) = [row for row in summary["agreement"] if (row["first"], row["second"]) == ("en", "ja")]
    assert pair["overlap"] == 0.5
    assert summary["reliability"][0] == {"languages": 1, "phrasings": 1, "reliability": pytest.approx(1 / 1.75)}


def test_the_null_of_the_agreement_pairs_facts_of_other_relations() -> None:
    facts = [fact(0, "P36"), fact(1, "P30")]
    facts[1]["details"]["top"] = {"en": [8, 9], "ja": [8, 9]}
    rows = agreement(facts, seed=1)
    assert {row["overlap"] for row in rows if row["first"] == "en"} == {0.75}
    assert all(row["null"] in (None, 0.0) for row in rows)


class Checker(HTMLParser):
    """Balanced tags, labels on pictures, nothing from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.seen.add(tag)
        assert tag not in ("img", "link", "iframe")
        assert "src" not in values
        if values.get("role") == "img":
            assert values.get("aria-label")
        if tag not in ("meta", "wbr", "path", "line", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("path", "line", "rect"):
            return
        assert self.open.pop() == tag


def test_the_page_is_one_file_with_everything_in_it(found: Localization, tmp_path: Path) -> None:
    write_page(found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert not re.findall(r"(?:src|href)=\"https?:", page)
    assert all(title in page for title in TITLES)
    assert "&lt;Paris&gt;" in page
    assert "<Paris>" not in page
    assert "rml|loc:matrice|model:tiny@local" in page.replace("<wbr>", "")
    assert page.count("<svg") == 2 * 6, "six charts, light and dark"


def test_what_a_run_has_no_numbers_for_is_said(tmp_path: Path) -> None:
    empty = summarize_localization([fact(0, "P36", "no certified query")], Signature.parse("rml|model:x"), LocalizeConfig())
    contents = {section.title: section.body for section in sections(empty)}
    assert "no numbers" in contents["What transfers"]
    assert "0 of 1" in contents["In short"]
    write_page(empty, tmp_path / "page.html")


@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_shows_it_without_sideways_scrolling(found: Localization, tmp_path: Path, width: int) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser_path = shutil.which("chromium")
    if browser_path is None:
        pytest.skip("no chromium on this machine")
    write_page(found, tmp_path / "page.html")
    with playwright.sync_playwright() as manager:
        browser = manager.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            errors: list[str] = []
            page.on("console", lambda message, errors=errors: errors.append(message.text))
            page.on("request", lambda request, errors=errors: request.url.startswith("file:") or errors.append(request.url))
            page.goto((tmp_path / "page.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert page.locator("section").count() == 9
            assert page.locator(f".only-{scheme} svg").first.is_visible()
            assert errors == []
            page.close()
        browser.close()
