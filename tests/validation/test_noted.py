"""Notes on false alarms: only of phrasings that stand in the bank, each turning one refusal into a pass that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from rml_lama.builders.bank import read_bank
from rml_lama.errors import DataError
from rml_lama.records import Template, Verdict
from rml_lama.validation.command import check_phrasings
from rml_lama.validation.noted import read_noted, with_notes
from rml_lama.validation.presets import REGISTRY
from rml_lama.validation.runner import Judged


def test_a_note_passes_its_filter_only() -> None:
    template = Template("en", "P36", "[X] [Y].", True)
    judged = Judged(template, (Verdict(False, "slots", -3.0, -2.0, "turned"), Verdict(False, "language", -1.0, 0.0, "Dutch")))
    (noted,) = with_notes([judged], {(template.template_id, "slots"): "right"})
    assert [verdict.passed for verdict in noted.verdicts] == [True, False]
    assert noted.verdicts[0].reason == "noted: right (turned)"
    assert with_notes([judged], {("en-P36-other", "slots"): "right"}) == [judged]


def test_the_committed_notes_name_filters() -> None:
    notes = read_noted()
    assert {name for _, name in notes} <= set(REGISTRY)
    known = {template.template_id for template in read_bank()}
    assert sum(template_id in known for template_id, _ in notes) > len(notes) / 2  # a phrasing that was rewritten has another id


def test_the_report_counts_them() -> None:
    assert "refusals are noted as false alarms" in check_phrasings(None, None).report.heading


def test_bad_notes_are_named(tmp_path: Path) -> None:
    file = tmp_path / "noted.jsonl"
    file.write_text('{"template_id": "a", "filter": "slots"}\n')
    with pytest.raises(DataError, match=r"not a note.*noted.jsonl:1"):
        read_noted(file)
