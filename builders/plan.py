"""What a generation would ask, before anything is asked: questions, tokens and dollars (`--dry-run`)."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from rml_lama.builders.budget import Price, estimated_tokens, most_tokens
from rml_lama.builders.rephrase import Rephraser
from rml_lama.builders.request import Request
from rml_lama.builders.rewrite import Rewriter, filled_sentences
from rml_lama.builders.translate import LlmTranslator
from rml_lama.config import GenerateConfig
from rml_lama.records import Fact, Template, by_relation

__all__ = ["Plan", "plan"]


@dataclass(slots=True)
class Plan:
    """Counts of one stage's first questions; later rounds and repairs come on top, up to `most_questions` in all."""

    stage: str
    questions: int = 0
    answered: int = 0  # in the ledger already
    tokens: int = 0  # an estimate for what is not answered
    dollars: float = 0.0
    most_questions: int = 0
    most_dollars: float = 0.0

    def add(self, request: Request, ledger: Container[str], price: Price, times: int) -> None:
        self.questions += 1
        self.most_questions += times
        if request.key in ledger:
            self.answered += 1
            return
        prompt_tokens, completion_tokens = most_tokens(request)
        likely = estimated_tokens(request)
        self.tokens += likely
        self.dollars += price.of(prompt_tokens // 3, likely - prompt_tokens // 3)
        self.most_dollars += times * price.of(prompt_tokens, completion_tokens)

    def __str__(self) -> str:
        text = f"{self.stage}: {self.questions:,} questions to begin with ({self.answered:,} answered in the ledger), "
        text += f"at most {self.most_questions:,}; about {self.tokens:,} tokens"
        return text + (f", ${self.dollars:.2f}; at most ${self.most_dollars:.2f}" if self.most_dollars else "")


def plan(
    config: GenerateConfig,
    bank: Sequence[Template],
    facts: Sequence[Fact],
    relations: Sequence[str],
    *,
    ledger: Container[str],
    price: Price,
    repairs: int,
) -> list[Plan]:
    """A plan for each stage that has work. A sequence-to-sequence translator costs no dollars and is not listed."""
    sets = by_relation(bank)
    tries = 1 + repairs
    plans = [Plan("rephrase"), Plan("translate"), Plan("rewrite")]
    for request in _rephrase(config, sets, relations):
        plans[0].add(request, ledger, price, config.max_rounds * tries)
    if config.translator == "llm":
        for request in _translate(config, sets, relations):
            plans[1].add(request, ledger, price, tries)
    for request in _rewrite(config, sets, facts):
        plans[2].add(request, ledger, price, tries)
    return [each for each in plans if each.questions]


Sets = dict[tuple[str, str], list[Template]]


def _rephrase(config: GenerateConfig, sets: Sets, relations: Sequence[str]) -> Iterator[Request]:
    for code in config.rephrase:
        for relation in relations:
            yield Rephraser.request(config, relation, code, sets.get((code, relation), ()), (), config.phrasings, 1)


def _translate(config: GenerateConfig, sets: Sets, relations: Sequence[str]) -> Iterator[Request]:
    for code in config.translate_to:
        for relation in relations:
            if code == config.translate_from:
                continue
            for template in sets.get((config.translate_from, relation), [])[: config.translations]:
                yield LlmTranslator.request(config, template, code)
                if config.back_translate:  # the translation is not there yet: its source has about its length
                    yield LlmTranslator.back_request(config, template, config.translate_from)


def _rewrite(config: GenerateConfig, sets: Sets, facts: Sequence[Fact]) -> Iterator[Request]:
    asked: dict[tuple[str, str], int] = {}
    for fact in facts:
        for code in config.rewrite:
            number = asked[code, fact.relation] = asked.get((code, fact.relation), 0) + (code in fact.labels)
            templates = sets.get((code, fact.relation))
            if code in fact.labels and templates and not 0 < config.rewrite_facts < number:
                yield Rewriter.request(config, fact, code, filled_sentences(fact, code, templates))
