"""The docs are true: examples in docstrings run, the README's code runs, and what they name exists."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rml_lama.languages import ALL_CODES
from tests.conftest import ROOT

FOLDERS = {"rml_lama": "rml_lama", "builders": "rml_lama.builders", "validation": "rml_lama.validation", "eval": "rml_lama.eval"}
MODULES = sorted(
    ".".join([package, *file.relative_to(ROOT / folder).with_suffix("").parts]).removesuffix(".__init__")
    for folder, package in FOLDERS.items()
    for file in (ROOT / folder).rglob("*.py")
)


def test_there_are_modules_and_examples() -> None:
    finder = doctest.DocTestFinder()
    examples = sum(len(test.examples) for name in MODULES for test in finder.find(importlib.import_module(name)))
    assert len(MODULES) > 30
    assert examples > 15


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_public_names_exist_and_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip(), f"{name} does not say what it decides"
    for public in getattr(module, "__all__", ()):
        value = getattr(module, public)
        if callable(value) and getattr(value, "__module__", None) == name and hasattr(value, "__qualname__"):
            assert (value.__doc__ or "").strip(), f"{name}.{public} has no docstring"


def test_every_language_has_its_page() -> None:
    for code in ALL_CODES:
        page = (ROOT / "docs" / "languages" / f"{code}.md").read_text(encoding="utf-8")
        assert page.startswith("# ")
        assert "not yet checked by people" in page, code


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.model
def test_the_code_in_the_readme_runs(tmp_path: Path) -> None:
    from rml_lama.builders.build import build

    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.S)
    assert len([line for line in code.splitlines() if line.strip()]) <= 8
    build(tmp_path / "out")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "| Japanese (ja) |" in done.stdout
