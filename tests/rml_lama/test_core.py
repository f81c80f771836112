"""Errors, languages, records, signature: the shared words."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import pytest

import rml_lama
from rml_lama import errors
from rml_lama.errors import ConfigError, DataError
from rml_lama.languages import ALL_CODES, FIRST_TIER, LANGUAGES, language, parse_languages
from rml_lama.records import RELATIONS, Template, fact_id_of, template_id_of
from rml_lama.signature import Signature


def test_every_error_has_a_place_in_the_drawn_tree_and_an_exit_code() -> None:
    classes = [value for _, value in inspect.getmembers(errors, inspect.isclass) if value.__module__ == errors.__name__]
    assert sorted(cls.__name__ for cls in classes) == sorted(errors.__all__)
    for cls in classes:
        assert cls.__name__ in (errors.__doc__ or "")
        assert cls.exit_code == (2 if issubclass(cls, errors.UsageError) else 1)


def test_a_data_error_says_where() -> None:
    assert str(DataError("bad label", "a/b.tsv", 7)) == "bad label (a/b.tsv:7)"


def test_the_table_holds_27_languages_of_11_families() -> None:
    assert len(ALL_CODES) == 27
    assert len({row.family for row in LANGUAGES.values()}) == 11
    assert set(ALL_CODES) - set(FIRST_TIER) == {"bn", "th", "sw"}


def test_detector_codes_are_known_to_the_detectors() -> None:
    import langdetect
    import py3langid
    from babel import Locale

    langdetect.detector_factory.init_factory()
    known_to_langdetect = set(langdetect.detector_factory._factory.get_lang_list())
    known_to_langid = {code for code, _ in py3langid.rank("probe")}
    for row in LANGUAGES.values():
        assert row.langdetect is None or row.langdetect in known_to_langdetect, row
        assert row.py3langid is None or row.py3langid in known_to_langid, row
        assert Locale.parse(row.babel).territories["FR"], row


def test_languages_are_parsed_in_table_order_and_unknown_ones_refused() -> None:
    assert parse_languages("ja,en,ja") == ("en", "ja")
    assert parse_languages(None) == ALL_CODES
    for bad in ("xx", "en,xx", " , "):
        with pytest.raises(ConfigError, match="known: en de"):
            parse_languages(bad)
    with pytest.raises(ConfigError, match="'xx'"):
        language("xx")


def test_there_are_42_relations_and_inverses_point_at_each_other() -> None:
    assert len(RELATIONS) == 42
    for relation in RELATIONS.values():
        if relation.inverse:
            assert RELATIONS[relation.inverse].inverse == relation.id


def test_ids_are_stable_and_depend_on_every_part() -> None:
    assert fact_id_of("P36", "Q142", "Q90") == "d2e2af3cac45"
    assert len({fact_id_of(*parts) for parts in [("P36", "Q1", "Q2"), ("P36", "Q2", "Q1"), ("P37", "Q1", "Q2"), ("P36", "Q12", "Q")]}) == 4
    assert template_id_of("en", "P36", "a") != template_id_of("en", "P36", "b")


def test_a_template_splits_around_its_blank() -> None:
    template = Template("en", "P36", "[Y] is the capital of [X].", False)
    assert template.split("Chad") == ("", " is the capital of Chad.")
    assert template.bare_text == "is the capital of ."
    with pytest.raises(DataError, match=r"no \[Y\]"):
        Template("en", "P36", "[X].", True).split("Chad")


def test_a_subject_label_may_look_like_a_slot() -> None:
    assert Template("en", "P36", "[X] has [Y].", True).split("[Y]") == ("[Y] has ", ".")


def test_signatures_round_trip_and_name_what_differs() -> None:
    ours = Signature((("v", "1.0.0"), ("cfg", "de"), ("model", "a/b@c")))
    assert Signature.parse(str(ours)) == ours
    assert ours.differences(Signature.parse("rml|v:1.0.0|cfg:fr|model:other|norm:sum")) == {"cfg": ("de", "fr"), "norm": (None, "sum")}
    for bad in ("", "bleu|v:1", "rml|v"):
        with pytest.raises(DataError, match="not a signature"):
            Signature.parse(bad)


def test_public_names_exist() -> None:
    assert sorted(rml_lama.__all__) == dir(rml_lama)
    for name in rml_lama.__all__:
        assert getattr(rml_lama, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = rml_lama.nothing


@pytest.mark.parametrize("heavy", ["torch", "transformers", "datasets", "pyarrow", "pydantic", "typer"])
def test_importing_the_package_imports_nothing_heavy(heavy: str) -> None:
    code = f"import sys, rml_lama; assert {heavy!r} not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_command_line_helps_without_torch_or_datasets() -> None:
    code = "import sys, rml_lama.cli; assert not {'torch', 'transformers', 'datasets', 'pyarrow'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_imports_point_down_only() -> None:
    """Core <- builders, validation <- eval; nobody imports the command line. Lazy imports in the front door are exempt."""
    from tests.conftest import ROOT

    levels = {"rml_lama": 0, "validation": 1, "builders": 1, "eval": 2}
    exempt = {"rml_lama/cli.py", "rml_lama/cli_neurons.py", "rml_lama/cli_scores.py", "rml_lama/__init__.py"}
    for folder, level in levels.items():
        for file in (ROOT / folder).rglob("*.py"):
            name = file.relative_to(ROOT).as_posix()
            if name in exempt:
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rml_lama."):
                    part = (node.module or "").split(".")[1]
                    assert levels.get(part, 0) <= level, f"{name} imports {node.module}"
                    assert not part.startswith("cli"), f"{name} imports the command line"
