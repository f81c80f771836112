"""New phrasings of a relation, asked of a language model round by round until N are accepted (not N asked).

Each round shows what exists and what was refused, and asks for as many as are missing and a few more. A round's
question depends on the earlier answers only, so that a continued run asks the same questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rml_lama.builders.dispatch import Dispatcher, Outcome
from rml_lama.builders.placeholders import repair
from rml_lama.builders.prompts import local_name, prompt
from rml_lama.builders.request import AnswerShape, Request, ShapeError, make_request
from rml_lama.config import GenerateConfig
from rml_lama.languages import LANGUAGES
from rml_lama.records import OBJECT, RELATIONS, SUBJECT, Reject, Template
from rml_lama.validation.base import Filter
from rml_lama.validation.runner import faults_of
from rml_lama.validation.structure import MAX_CAUSAL_SUFFIX

__all__ = ["Generated", "Phrasing", "Phrasings", "Rephraser", "accept", "rejected"]

STAGE = "rephrase"
SPARE = 2  # asked for beyond what is missing
_KIND = {
    "1-1": "A subject has one answer, and an answer one subject.",
    "N-1": "A subject has one answer.",
    "N-M": "A subject may have several right answers: the sentence must be true for each of them.",
}


class Phrasing(AnswerShape):
    """One phrasing as a model gives it."""

    text: str
    frame: str
    relation_before_blank: bool


class Phrasings(AnswerShape):
    """The answer to the prompt `rephrase`."""

    phrasings: list[Phrasing]


@dataclass(slots=True)
class Generated:
    """What a stage made: templates, and a reject with its reason for everything else that was asked or offered."""

    templates: list[Template] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def add(self, other: Generated) -> None:
        self.templates += other.templates
        self.rejects += other.rejects


@dataclass(frozen=True, slots=True)
class Rephraser:
    """Writes new phrasings from seed phrasings, in the language of the seeds."""

    dispatcher: Dispatcher
    config: GenerateConfig
    filters: Sequence[Filter]

    async def rephrase(self, relation: str, language: str, seeds: Sequence[Template], n: int) -> Generated:
        """Up to `n` accepted new phrasings; fewer when `max_rounds` questions did not bring more."""
        made = Generated()
        for number in range(1, self.config.max_rounds + 1):
            if len(made.templates) >= n:
                break
            there, missing = [*seeds, *made.templates], n - len(made.templates)
            request = self.request(self.config, relation, language, there, made.rejects, missing, number)
            outcome = await self.dispatcher.ask(request, Phrasings, _not_empty)
            if outcome.value is None:
                made.rejects.append(rejected(STAGE, outcome, language, relation, request.about))
                continue
            for phrasing in outcome.value.phrasings:
                candidate = _candidate(phrasing, relation, language, request, outcome)
                if isinstance(candidate, Reject):
                    made.rejects.append(candidate)
                elif len(made.templates) >= n:
                    made.rejects.append(_reject(candidate, "enough", f"{n} were accepted before it"))
                else:
                    accept(made, candidate, seeds, self.filters)
        return made

    @staticmethod
    def request(
        config: GenerateConfig,
        relation: str,
        language: str,
        there: Sequence[Template],
        refused: Sequence[Reject],
        missing: int,
        number: int,
    ) -> Request:
        """The question of one round."""
        record, wording = RELATIONS[relation], prompt("rephrase")
        bad = [reject.item for reject in refused if SUBJECT in reject.item][-5:]
        taken = "\nThese were refused (wrong, or too close to another):\n" + _listed(bad) + "\n" if bad else ""
        messages = wording.messages(
            language=LANGUAGES[language].name,
            name=record.name,
            local_name=local_name(relation, language),
            kind=_KIND[record.kind],
            seeds=_listed([template.text for template in there]) or "(none yet)",
            taken=taken,
            count=str(missing + SPARE),
        )
        about = f"rephrase {language} {relation}, round {number}"
        return make_request(config, messages, Phrasings, wording.identity, about, variant=number)


def accept(made: Generated, candidate: Template, seeds: Sequence[Template], filters: Sequence[Filter]) -> None:
    """Put the candidate among the templates when every filter passes it beside those that are there, else among the rejects."""
    there = [*seeds, *made.templates]
    if any(template.text == candidate.text for template in there):
        made.rejects.append(_reject(candidate, "repeated", "it is there already, word for word"))
        return
    faults = faults_of(candidate, there, filters)
    made.rejects += faults
    if not faults:
        made.templates.append(candidate)


def rejected(stage: str, outcome: Outcome[Any], language: str, relation: str, about: str) -> Reject:
    """A question that ended without a value, as a reject."""
    return Reject(stage, outcome.fault, language, relation, about, outcome.reason)


def is_causal(text: str, relation_before_blank: bool) -> bool:
    """Whether a left-to-right model can be asked: the model's word on the relation, ours on the places."""
    before, _, after = text.partition(OBJECT)
    return relation_before_blank and SUBJECT in before and len(after) <= MAX_CAUSAL_SUFFIX


def _candidate(phrasing: Phrasing, relation: str, language: str, request: Request, outcome: Outcome[Phrasings]) -> Template | Reject:
    mended = repair(" ".join(phrasing.text.split()), language=language)
    if mended.text is None:
        return Reject(STAGE, "placeholders", language, relation, phrasing.text, mended.reason)
    return Template(
        language,
        relation,
        mended.text,
        is_causal(mended.text, phrasing.relation_before_blank),
        frame=" ".join(phrasing.frame.split()),
        provenance=f"llm:{outcome.answer.model if outcome.answer else request.model}",
        prompt_version=request.prompt,
        ledger_key=outcome.key,
    )


def _reject(candidate: Template, filter: str, reason: str) -> Reject:
    return Reject(STAGE, filter, candidate.language, candidate.relation, candidate.text, reason)


def _not_empty(answer: Phrasings) -> Phrasings:
    if not answer.phrasings:
        raise ShapeError("the list of phrasings is empty")
    return answer


def _listed(texts: Sequence[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)
