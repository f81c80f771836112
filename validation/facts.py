"""Checks of facts: labels against CLDR, the script of labels, duplicate triples, subjects with several answers or their answer in them.

They report and do not drop: mLAMA's labels are what they are. Each finding is a row like those of the `rejected` config.
"""

from __future__ import annotations

import functools
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from babel import Locale

from rml_lama.languages import LANGUAGES
from rml_lama.records import Fact, Reject
from rml_lama.validation.leakage import answer_given

__all__ = ["check_facts"]

STAGE = "facts"
_NATIVE = tuple(code for code, row in LANGUAGES.items() if row.scripts != ("LATIN",))


def check_facts(facts: Sequence[Fact]) -> list[Reject]:
    """Every finding, in the order: duplicates, several answers, answers in subjects, labels in another script, unlike CLDR's."""
    return [*_duplicates(facts), *_several_answers(facts), *_given_away(facts), *_foreign_labels(facts), *_unlike_cldr(facts)]


def _duplicates(facts: Iterable[Fact]) -> Iterator[Reject]:
    counts = Counter((fact.relation, fact.subject_id, fact.object_id) for fact in facts)
    for (relation, subject, obj), count in counts.items():
        if count > 1:
            yield Reject(STAGE, "duplicate", "", relation, f"{subject} {obj}", f"the triple occurs {count} times", count, 1.0, count)


def _several_answers(facts: Iterable[Fact]) -> Iterator[Reject]:
    """One row a relation: how many subjects have more than one answer."""
    objects: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for fact in facts:
        objects[fact.relation][fact.subject_id].add(fact.object_id)
    for relation, answers in objects.items():
        several = sum(len(found) > 1 for found in answers.values())
        if several:
            share = round(several / len(answers), 4)
            reason = f"{several} of {len(answers)} subjects have several answers"
            yield Reject(STAGE, "several-answers", "", relation, relation, reason, share, 0.0, several)


def _given_away(facts: Iterable[Fact]) -> Iterator[Reject]:
    """One row for each language and relation: subjects that hold their answer, as it is or inflected."""
    given: dict[tuple[str, str], list[str]] = defaultdict(list)
    total = Counter[tuple[str, str]]()
    for fact in facts:
        for code, (subject, obj) in fact.labels.items():
            total[code, fact.relation] += 1
            if answer_given(subject, obj, code):
                given[code, fact.relation].append(f"{subject} ({obj})")
    for (code, relation), found in sorted(given.items()):
        count = len(found)
        reason = f"{count} of {total[code, relation]} subjects give the answer away, {found[0]} among them"
        yield Reject(STAGE, "answer-in-subject", code, relation, relation, reason, round(count / total[code, relation], 4), 0.0, count)


def _foreign_labels(facts: Sequence[Fact]) -> Iterator[Reject]:
    """One row for each language and relation: labels without a single letter of the language's scripts."""
    for code in _NATIVE:
        foreign, total = Counter[str](), Counter[str]()
        for fact in facts:
            for label in fact.labels.get(code, ()):
                total[fact.relation] += 1
                foreign[fact.relation] += not _has_script(label, code)
        for relation, count in foreign.items():
            if count:
                reason = f"{count} of {total[relation]} labels hold no letter of {LANGUAGES[code].name}"
                yield Reject(STAGE, "label-script", code, relation, relation, reason, round(count / total[relation], 4), 0.0, count)


@functools.lru_cache(maxsize=1 << 16)
def _has_script(label: str, code: str) -> bool:
    letters = [char for char in label if char.isalpha()]
    return not letters or any(unicodedata.name(char, "").startswith(LANGUAGES[code].scripts) for char in letters)


def _unlike_cldr(facts: Sequence[Fact]) -> Iterator[Reject]:
    """One row for each language: labels of countries, known by their English names, that are not CLDR's name."""
    countries = {name: territory for territory, name in Locale("en").territories.items() if territory.isalpha()}
    for code in LANGUAGES:
        names = _territories(code)
        labels = {
            (fact.labels["en"][place], fact.labels[code][place])
            for fact in facts
            if code != "en" and code in fact.labels and "en" in fact.labels
            for place in (0, 1)
            if fact.labels["en"][place] in countries
        }
        unlike = sorted((english, label) for english, label in labels if names.get(countries[english]) not in (None, label))
        if unlike:
            shown = ", ".join(f"{label} (CLDR: {names[countries[english]]})" for english, label in unlike[:5])
            reason = f"{len(unlike)} of {len(labels)} country labels differ from CLDR: {shown}"
            yield Reject(STAGE, "label-cldr", code, "", code, reason, round(len(unlike) / len(labels), 4), 0.0, len(unlike))


@functools.cache
def _territories(code: str) -> dict[str, str]:
    locale = LANGUAGES[code].babel
    return dict(Locale.parse(locale).territories)
