"""Filled queries mended fact by fact, so that their grammar agrees; a mended one replaces the query it came from.

A mended sentence is taken only when it is still a query of the same fact: the answer stands in it once and unchanged,
the subject's words are recognizable, and nothing longer than an inflection or an article came in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rml_lama.builders.base import Rewrite
from rml_lama.builders.dispatch import Dispatcher
from rml_lama.builders.prompts import prompt
from rml_lama.builders.rephrase import rejected
from rml_lama.builders.request import AnswerShape, Request, ShapeError, make_request
from rml_lama.config import GenerateConfig
from rml_lama.languages import LANGUAGES
from rml_lama.records import OBJECT, Fact, Reject, Template
from rml_lama.validation.structure import MAX_CAUSAL_SUFFIX

__all__ = ["MendedSentence", "MendedSentences", "Rewriter", "Rewrites", "blanked", "filled_sentences"]

STAGE = "rewrite"
MAX_GROWTH = 1.5  # a mended sentence may be so many times as long as what it mends
MIN_STEM = 0.6  # share of a subject word that an inflected form must keep from its beginning
_UNSPACED = {"HANGUL", "HIRAGANA", "CJK", "THAI"}  # scripts in which words or particles follow a name without a space
_WORD = re.compile(r"\w+")


class MendedSentence(AnswerShape):
    """One sentence with its number."""

    number: int
    text: str


class MendedSentences(AnswerShape):
    """The answer to the prompt `rewrite`."""

    sentences: list[MendedSentence]


Key = tuple[str, str]  # fact and template id


@dataclass(slots=True)
class Rewrites:
    """Mended queries by fact and template, the rejects, and how many sentences came back unchanged."""

    found: dict[Key, Rewrite] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Rewriter:
    """Asks for all sentences of a fact in a language at once."""

    dispatcher: Dispatcher
    config: GenerateConfig

    async def rewrite(self, fact: Fact, language: str, templates: Sequence[Template]) -> Rewrites:
        made = Rewrites()
        subject, answer = fact.labels[language]
        filled = filled_sentences(fact, language, templates)
        request = self.request(self.config, fact, language, filled)
        outcome = await self.dispatcher.ask(request, MendedSentences, lambda value: _numbered(value, filled))
        if outcome.value is None:
            made.rejects.append(rejected(STAGE, outcome, language, fact.relation, request.about))
            return made
        model = outcome.answer.model if outcome.answer and outcome.answer.model else request.model
        for number, template in enumerate(templates, 1):
            text = outcome.value[number]
            if text == filled[number]:
                made.unchanged += 1
                continue
            cloze = blanked(text, filled[number], subject, answer, language)
            if template.causal and isinstance(cloze, str) and len(cloze.partition(OBJECT)[2]) > MAX_CAUSAL_SUFFIX:
                cloze = _fault("not-causal", "the answer does not come last any more")
            if isinstance(cloze, Reject):
                made.rejects.append(Reject(STAGE, cloze.filter, language, fact.relation, text, cloze.reason))
            else:
                made.found[fact.fact_id, template.template_id] = Rewrite(cloze, f"llm:{model}", request.prompt, outcome.key)
        return made

    @staticmethod
    def request(config: GenerateConfig, fact: Fact, language: str, filled: Mapping[int, str]) -> Request:
        wording = prompt("rewrite")
        subject, answer = fact.labels[language]
        sentences = "\n".join(f"{number}. {text}" for number, text in filled.items())
        messages = wording.messages(language=LANGUAGES[language].name, subject=subject, answer=answer, sentences=sentences)
        return make_request(config, messages, MendedSentences, wording.identity, f"rewrite {language} {fact.relation} {fact.fact_id}")


def filled_sentences(fact: Fact, language: str, templates: Sequence[Template]) -> dict[int, str]:
    """The fact's sentences by number, from 1, plainly filled."""
    subject, answer = fact.labels[language]
    return {number: "".join((before, answer, after)) for number, (before, after) in enumerate((t.split(subject) for t in templates), 1)}


def blanked(text: str, before: str, subject: str, answer: str, language: str) -> str | Reject:
    """The mended sentence with its blank, or a reject that names the check that failed.

    >>> blanked("Die Hauptstadt der Schweiz ist Bern.", "Die Hauptstadt von Schweiz ist Bern.", "Schweiz", "Bern", "de")
    'Die Hauptstadt der Schweiz ist [Y].'
    """
    bounded = not set(LANGUAGES[language].scripts) & _UNSPACED
    pattern = rf"(?<!\w){re.escape(answer)}(?!\w)" if bounded else re.escape(answer)
    hidden = text.replace(subject, "\0" * len(subject), 1) if answer in subject else text  # an answer inside the subject is not the blank
    places = [match.start() for match in re.finditer(pattern, hidden)]
    if not places:
        return _fault("answer-lost", f"the answer {answer!r} is not in the sentence as it is")
    if len(places) > 1:
        return _fault("answer-doubled", f"the answer {answer!r} stands in it {len(places)} times")
    if "[" in text or "]" in text:
        return _fault("placeholders", "the sentence holds a bracket")
    if lost := _lost_word(subject, text):
        return _fault("subject-lost", f"the subject's {lost!r} is not in the sentence")
    if len(text) > MAX_GROWTH * len(before) + 4 or len(before) > MAX_GROWTH * len(text) + 4:
        return _fault("length", f"{len(text)} characters where there were {len(before)}")
    return text[: places[0]] + OBJECT + text[places[0] + len(answer) :]


def _lost_word(subject: str, text: str) -> str:
    """The first word of the subject of which no word of the text keeps the stem; empty when all are there."""
    there = text.casefold()
    for word in _WORD.findall(subject.casefold()):
        stem = word[: max(1, round(len(word) * MIN_STEM))]
        if stem not in there:
            return str(word)
    return ""


def _numbered(value: MendedSentences, filled: Mapping[int, str]) -> dict[int, str]:
    """Sentences by number. Raises `ShapeError` unless every number is there once."""
    numbers = [sentence.number for sentence in value.sentences]
    if sorted(numbers) != sorted(filled):
        raise ShapeError(f"the numbers must be {sorted(filled)}, each once; they are {numbers}")
    return {sentence.number: " ".join(sentence.text.split()) for sentence in value.sentences}


def _fault(name: str, reason: str) -> Reject:
    return Reject(STAGE, name, "", "", "", reason)
