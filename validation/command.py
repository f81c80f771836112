"""What `rml-lama validate` does: run a preset of filters and leave scores and a report, refit the judge, or exchange a review sheet."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from rml_lama.builders.bank import read_bank
from rml_lama.errors import ConfigError, DataError, OutputError
from rml_lama.hub.folder import read_manifest
from rml_lama.languages import language
from rml_lama.ledger import Ledger
from rml_lama.records import Template
from rml_lama.validation.agreement import Translations, read_translations
from rml_lama.validation.calibrate import calibrate, read_labels, write_judge
from rml_lama.validation.facts import check_facts
from rml_lama.validation.fluency import Scorer
from rml_lama.validation.judge import JUDGE, load_judge
from rml_lama.validation.labels import build_facts, build_labels, default_answers
from rml_lama.validation.leakage import answer_labels
from rml_lama.validation.memo import Memo, Progress
from rml_lama.validation.noted import read_noted, with_notes
from rml_lama.validation.parity import unequal_sets
from rml_lama.validation.presets import Resources, make_filters
from rml_lama.validation.references import References
from rml_lama.validation.report import Report, make_report
from rml_lama.validation.rows import read_rows
from rml_lama.validation.runner import judge_all, rejects_of
from rml_lama.validation.scores import Scored, score_rows, write_scores
from rml_lama.validation.sheet import append_readings, read_sheet, write_sheet

__all__ = ["Checked", "Options", "calibrate_judge", "check_phrasings", "exchange_sheet"]

ANSWERS = "answers.ledger.jsonl"  # in the folder of a run: what models said, so that a stopped run goes on


@dataclass(frozen=True, slots=True)
class Options:
    """How phrasings are checked."""

    preset: str = "light"
    facts: Path | None = None  # a build whose labels are used
    translations: Path | None = None
    scorer: Scorer | None = None
    judge: Path = JUDGE
    progress: Progress = lambda what, done, total: None


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a run."""

    scored: tuple[Scored, ...]
    report: Report

    @property
    def refused(self) -> list[Scored]:
        return [one for one in self.scored if not one.judged.passed]


def check_phrasings(data: Path | None, file: Path | None, *, out: Path | None = None, options: Options | None = None) -> Checked:
    """Run the filters of a preset over the phrasings of a build, of a file, or of the package; with `out`, write what was found.

    A run with `out` that was stopped goes on where it was: answers of models are kept there.
    Raises `ConfigError` when both a build and a file are named, `DataError` for what cannot be read, `OutputError`.
    """
    options = options or Options()
    if data is not None and file is not None:
        raise ConfigError("name a build folder or --templates, not both (labels come from --facts BUILD)")
    templates = read_rows(file) if file is not None else _phrasings(data)
    facts = data or options.facts
    judge = load_judge(options.judge)
    with _resources(out, facts, options) as resources:
        judged = with_notes(judge_all(templates, make_filters(options.preset, resources)), read_noted())
    scored = score_rows(judged, judge)
    rejects = rejects_of(judged)
    findings = check_facts(build_facts(facts)) if facts is not None else []
    parity = unequal_sets(templates) if file is None else []
    report = make_report(scored, preset=options.preset, parity=parity, facts=findings)
    if out is not None:
        write_scores(out, scored, [*rejects, *parity, *findings])
        _write_report(out, report)
    return Checked(tuple(scored), report)


def calibrate_judge(labels: Path, *, judge: Path, out: Path | None = None, options: Options | None = None) -> str:
    """Fit the judge to a table of approved and rejected phrasings and write it to `judge`; says how good each variant is.

    Raises `DataError` for labels that cannot be used, `OutputError`.
    """
    options = options or Options()
    labelled, sha256 = read_labels(labels)
    with _resources(out, options.facts, options) as resources:
        judged = judge_all([one.template for one in labelled], make_filters(options.preset, resources))
    found = calibrate(labelled, judged)
    write_judge(judge, found, labelled, sha256)
    lines = [
        f"{one.name}: AUC {one.mean:.3f} ({' '.join(f'{code} {value:.2f}' for code, value in one.by_language.items())})" for one in found
    ]
    return "\n".join([*lines, f"{len(labelled)} phrasings, leave one language out; written to {judge}"])


def exchange_sheet(sheet: Path, data: Path | None, *, reader: str, out: Path | None) -> str:
    """Write the sheet of the language that the file is named after, or read it back when it is there; says what was done.

    Raises `ConfigError` for an unknown language or when no build is named to take examples from, `DataError` for a bad sheet.
    """
    code = language(sheet.stem).code
    templates = [template for template in _phrasings(data) if template.language == code]
    if sheet.exists():
        readings = read_sheet(sheet, templates, reader)
        target = out or sheet.with_suffix(".jsonl")
        append_readings(target, readings)
        counts = Counter(reading["verdict"] for reading in readings)
        said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "nothing filled in"
        return f"{len(readings)} of {len(templates)} phrasings read ({said}); added to {target}"
    if data is None:
        raise ConfigError("a new sheet takes its examples from a build: rml-lama validate BUILD --sheet " + sheet.name)
    facts = {relation: pairs for (_, relation), pairs in build_labels(data, (code,)).items()}
    if not facts:
        raise DataError(f"the build has no queries in {code!r}", data)
    count = write_sheet(sheet, templates, facts)
    return f"{count} phrasings written to {sheet}; fill in the column verdict, then call this again"


@contextlib.contextmanager
def _resources(out: Path | None, facts: Path | None, options: Options) -> Iterator[Resources]:
    """What the filters compare with: the package's bank, labels of facts, translations, and models with their memo."""
    labels = build_labels(facts) if facts is not None else {}
    answers = {key: answer_labels(pairs, key[0]) for key, pairs in labels.items()} if labels else default_answers()
    translations: Translations = read_translations(options.translations) if options.translations is not None else {}
    with contextlib.ExitStack() as stack:
        ledger = None
        if out is not None:
            try:
                ledger = stack.enter_context(Ledger(out / ANSWERS))
            except OSError as error:
                raise OutputError(f"cannot write to {out}: {error.strerror}") from error
        memo = Memo(ledger, progress=options.progress)
        yield Resources(References(read_bank()), answers, labels, translations, memo, scorer=options.scorer)


def _write_report(out: Path, report: Report) -> None:
    try:
        (out / "report.txt").write_text(report.text(), encoding="utf-8")
        (out / "report.html").write_text(report.html(), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write to {out}: {error.strerror}") from error


def _phrasings(data: Path | None) -> list[Template]:
    """The phrasings of a build's `templates` config, or those of the package."""
    if data is None:
        return read_bank()
    read_manifest(data)
    rows = pq.read_table(data / "data" / "templates.parquet").to_pylist()
    names = ("language", "relation", "text", "causal", "frame", "provenance", "parent")
    return [Template(**{name: row[name] for name in names}) for row in rows]
