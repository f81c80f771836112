"""The report page: what it says is what the result says; and how it is in a real browser, by sight, by keyboard, and to axe."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import rml_lama
from rml_lama.errors import DataError, OutputError
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.page import Column, Section, html_table, render_page, write_page
from rml_lama.eval.page_charts import axis_end, heat_map, percent
from rml_lama.eval.report import render_report, write_report
from rml_lama.eval.results import Result
from rml_lama.signature import Signature

WIDTHS = (1280, 768, 375)


@pytest.fixture(scope="module")
def result(tiny: LoadedModel, open_build: Path) -> Any:
    """The four languages of the open build of the tests: en, de, ja, th."""
    options = {"relations": ("P36", "P30", "P37"), "limit_facts": 4, "limit_templates": 3, "max_candidates": 5, "resamples": 100}
    return rml_lama.evaluate(tiny, open_build, **options)


@pytest.fixture(scope="module")
def page(result: Result, open_build: Path) -> str:
    return render_report(result, data=open_build)


class Reader(HTMLParser):
    """Checks that tags close in order, and keeps tags, ids and text."""

    VOID = ("meta", "input", "wbr", "br", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_the_page_is_whole_and_needs_nothing_else(page: str) -> None:
    reader = read(page)
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in reader.tags:
        assert tag not in ("link", "img", "iframe"), "one file"
        assert not {"src", "srcset"} & set(attributes)
        if href := attributes.get("href"):
            assert href.removeprefix("#") in ids
    assert "url(" not in page
    assert "@import" not in page
    assert "http" not in re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert "nan" not in "".join(reader.text).lower().split()


def test_the_page_says_what_the_result_says(page: str, result: Result) -> None:
    text = " ".join("".join(read(page).text).split())
    assert f"{percent(result.overall['P@1'].value)}% of queries" in text
    for scores in result.languages.values():
        assert f"{percent(scores['P@1'].low)} to {percent(scores['P@1'].high)}" in text
    assert str(result.signature) in text
    assert f"{sum(result.queries.values()):,} queries" in text
    assert f"{result.trust.overall['ECE'].value:.3f}" in text
    assert result.agreement is not None
    assert f"Mean of pairs: {percent(result.agreement.overall['RankC'].value)}" in text
    chance = result.predictions["candidates"].to_numpy()
    assert f"Chance is {percent(1 / chance[0])}%" in text, "all queries have five candidates"
    assert set(chance) == {5}


def test_examples_are_sentences_with_the_build_and_answers_without(page: str, result: Result, open_build: Path) -> None:
    assert re.search(r"<mark class=\"wrong\">[^<]+</mark>", page)
    rows = {row["query_id"]: row for row in result.predictions.to_pylist()}
    surest = max((row for row in rows.values() if row["greater"]), key=lambda row: (row["confidence"], row["query_id"]))
    assert f'<mark class="wrong">{surest["top"][0]}</mark>' in page
    bare = render_report(result)
    assert "With <code>--data BUILD</code>" in bare
    assert "Canary: rml-lama:" in page
    assert "Canary" not in bare, "no sentence of the benchmark is in it"
    other = replace(result, signature=Signature((("data", "open-000000"),)))
    with pytest.raises(DataError, match="this is another build"):
        render_report(other, data=open_build)


def test_one_language_has_no_agreement(tiny: LoadedModel, open_build: Path, options: dict[str, Any]) -> None:
    alone = render_report(rml_lama.evaluate(tiny, open_build, **{**options, "languages": ("ja",)}))
    assert 'id="agreement"' not in alone
    assert "in Japanese." in alone


def test_names_are_escaped_and_pages_land_where_they_should(result: Result, tmp_path: Path) -> None:
    pairs = dict(result.signature.pairs)
    odd = replace(result, signature=Signature(tuple({**pairs, "model": '<b>"x"&y@1'}.items())))
    text = write_report(odd, tmp_path / "deep" / "page.html").read_text(encoding="utf-8")
    assert "What &lt;b&gt;&quot;x&quot;&amp;y knows" in text
    read(text)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        write_page("x", tmp_path / "file" / "page.html")


def test_the_shell_knows_nothing_of_scores() -> None:
    body = html_table([Column("Layer"), Column("Neurons", number=True)], [["1", "7"], ["all", "7"]], caption="By layer", means=1)
    text = render_page(title="T", kicker="k", lead="l", sections=[Section("s", "S & T", "n", body)], footer=["f"])
    read(text)
    assert '<a href="#s">S &amp; T</a>' in text
    assert '<tr class="mean"><th scope="row">all</th><td class="n">7</td></tr>' in text


def test_axes_and_heat_maps() -> None:
    assert [axis_end([value]) for value in (0.0, 0.04, 0.05, 0.3, 0.31, 1.0)] == [0.05, 0.05, 0.1, 0.4, 0.4, 1.0]
    assert axis_end([float("nan")]) == 1.0
    html = heat_map(("a", "b"), ("A", "B"), ((1, 0.25), (float("nan"), 1)), caption="c")
    assert 'title="A, B: 25.0"' in html
    assert 'title="B, A: –"' in html


# In a real browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(page: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(page, tmp_path_factory.mktemp("report") / "report.html").as_uri()


def opened(browser: Any, address: str, width: int, scheme: str = "light") -> tuple[Any, list[str]]:
    """An open page and what went wrong on it: messages of the console, and requests beside the file itself."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    tab = context.new_page()
    troubles: list[str] = []
    tab.on("console", lambda message: troubles.append(message.text))
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.on("request", lambda request: troubles.append(request.url) if request.url != address else None)
    tab.goto(address)
    return tab, troubles


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_asks_for_nothing(chromium: Any, address: str, width: int, scheme: str) -> None:
    tab, troubles = opened(chromium, address, width, scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    cut = tab.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(e => e.offsetParent && e.scrollWidth > e.clientWidth + 1).map(e => e.ariaLabel)"
    )
    assert cut == [], "no table is cut off, even on a phone"
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in re.findall(r"\d+", background)[:3])
    assert (brightness > 600) == (scheme == "light")
    assert troubles == []
    tab.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium: Any, address: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tab, _ = opened(chromium, address, 1280, scheme)
    tab.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    found = axe.Axe().run(tab)
    problems = [
        f"{one['id']}: {node['html'][:120]} {node.get('failureSummary')}" for one in found.response["violations"] for node in one["nodes"]
    ]
    assert problems == []
    assert len(found.response["passes"]) > 15
    tab.context.close()


CONTRAST = """
() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = colour => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = colour => {
    const [r, g, b] = rgb(colour).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll('.heat td:not(.self)')].map(e => {
    const style = getComputedStyle(e), a = luminance(style.color), b = luminance(style.backgroundColor);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
}
"""


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_shade_of_the_heat_map_can_be_read(chromium: Any, tmp_path: Path, scheme: str) -> None:
    names = tuple(f"{number:02}" for number in range(27))
    matrix = [[(a * 27 + b) / 728 for b in range(27)] for a in range(27)]
    body = heat_map(names, names, matrix, caption="every shade")
    page = render_page(title="T", kicker="", lead="", sections=[Section("s", "S", "", body)], footer=[])
    tab, _ = opened(chromium, write_page(page, tmp_path / "heat.html").as_uri(), 1280, scheme)
    ratios = tab.evaluate(CONTRAST)
    assert len(ratios) == 27 * 26
    assert min(ratios) >= 4.45
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 900})
        assert tab.evaluate("document.querySelector('.scroll').scrollWidth - document.querySelector('.scroll').clientWidth") <= 1
    tab.context.close()


@pytest.mark.browser
def test_by_keyboard(chromium: Any, address: str) -> None:
    tab, troubles = opened(chromium, address, 1280)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the numbers"
    tab.keyboard.press("Enter")
    assert tab.evaluate("location.hash") == "#main"
    shown = "[...document.querySelectorAll('#measure .panel')].map(e => !!e.offsetParent)"
    assert tab.evaluate(shown) == [True, False, False, False]
    tab.focus("#measure input")
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate(shown) == [False, True, False, False]
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.focus("button[data-copy]")
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.querySelector('button[data-copy]').textContent === 'Copied'")
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied == tab.evaluate("document.getElementById('signature-text').textContent")
    assert copied.startswith("rml|v:")
    assert troubles == []
    tab.context.close()
