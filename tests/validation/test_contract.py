"""Every filter of every preset keeps the contract: a name, a verdict of its own name, a finite threshold, and no exception on odd input."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rml_lama.builders.bank import read_bank
from rml_lama.records import RELATIONS, Template
from rml_lama.validation.base import Context
from rml_lama.validation.presets import Resources, make_filters
from rml_lama.validation.references import References

FILTERS = make_filters("light", Resources(References(read_bank(("en", "ja", "ar")))))
PIECES = st.sampled_from(["[X]", "[Y]", " ", "is", "の", "首都", "العاصمة", ".", "?", "not", "\u200f", "e\u0301", "[x]", "\n", "𝒳", "1"])
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from(["en", "ja", "ar", "de", "xx", ""]), st.sampled_from([*[*RELATIONS][:6], "P9999", "born in"]), st.booleans())
def test_any_text_gets_a_verdict(text: str, language: str, relation: str, causal: bool) -> None:
    template = Template(language, relation, text, causal)
    for check in FILTERS:
        verdict = check.check(template, Context({(language, relation): [template]}))
        assert verdict.filter == check.name
        assert math.isfinite(verdict.threshold)
        assert verdict.passed or verdict.reason
        assert repr(check.check(template, Context({(language, relation): [template]}))) == repr(verdict)


def test_names_are_unlike() -> None:
    names = [check.name for check in FILTERS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("check", FILTERS, ids=lambda check: check.name)
def test_a_good_phrasing_passes(check: object) -> None:
    for one in read_bank(("en", "ja", "ar"))[::60]:
        verdict = check.check(one, Context())  # type: ignore[attr-defined]
        assert verdict.passed, verdict
