"""Carry phrasings into another language, slots kept, and read them back for the filters.

Two backends behind one contract: a chat endpoint (`LlmTranslator`) and a sequence-to-sequence model
(`rml_lama.builders.seq2seq`). Translations are asked for in waves until enough are accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sacrebleu.metrics.chrf import CHRF

from rml_lama.builders.base import Translation, Translator
from rml_lama.builders.dispatch import Dispatcher, Outcome
from rml_lama.builders.placeholders import repair
from rml_lama.builders.prompts import local_name, prompt
from rml_lama.builders.rephrase import Generated, accept, is_causal, rejected
from rml_lama.builders.request import AnswerShape, Request, ShapeError, make_request
from rml_lama.config import GenerateConfig
from rml_lama.languages import LANGUAGES
from rml_lama.records import RELATIONS, Template
from rml_lama.validation.base import Filter

__all__ = ["BackTranslation", "LlmTranslator", "TranslatedText", "translate_set"]

STAGE = "translate"
_CHRF = CHRF(word_order=2)  # chrF++


class TranslatedText(AnswerShape):
    """The answer to the prompt `translate`."""

    translation: str
    frame: str
    relation_before_blank: bool


class BackTranslation(AnswerShape):
    """The answer to the prompt `back_translate`."""

    translation: str


@dataclass(frozen=True, slots=True)
class LlmTranslator:
    """Translates through a chat endpoint, one phrasing a question."""

    dispatcher: Dispatcher
    config: GenerateConfig

    async def translate(self, template: Template, target: str) -> Translation:
        request = self.request(self.config, template, target)
        outcome = await self.dispatcher.ask(request, TranslatedText, lambda value: _with_slots(value, template.text, target))
        if outcome.value is None:
            return Translation(None, rejected(STAGE, outcome, target, template.relation, template.text))
        answer = outcome.value
        made = Template(
            target,
            template.relation,
            answer.translation,
            is_causal(answer.translation, answer.relation_before_blank),
            frame=" ".join(answer.frame.split()),
            provenance=f"llm:{_model(outcome, request)}",
            parent=template.template_id,
            prompt_version=request.prompt,
            ledger_key=outcome.key,
        )
        return Translation(made, None)

    async def back(self, template: Template, source: str) -> str | None:
        """The phrasing in the language `source`, translated by somebody who has not seen where it came from; None without an answer."""
        if not self.config.back_translate:
            return None
        outcome = await self.dispatcher.ask(self.back_request(self.config, template, source), BackTranslation, lambda answer: answer)
        return None if outcome.value is None else outcome.value.translation

    @staticmethod
    def request(config: GenerateConfig, template: Template, target: str) -> Request:
        wording = prompt("translate")
        messages = wording.messages(
            source=LANGUAGES[template.language].name,
            target=LANGUAGES[target].name,
            name=RELATIONS[template.relation].name,
            local_name=local_name(template.relation, target),
            text=template.text,
        )
        return make_request(config, messages, TranslatedText, wording.identity, f"translate {template.template_id} into {target}")

    @staticmethod
    def back_request(config: GenerateConfig, template: Template, source: str) -> Request:
        wording = prompt("back_translate")
        messages = wording.messages(source=LANGUAGES[source].name, target=LANGUAGES[template.language].name, text=template.text)
        return make_request(config, messages, BackTranslation, wording.identity, f"read {template.template_id} back into {source}")


async def translate_set(
    translator: Translator, sources: Sequence[Template], target: str, there: Sequence[Template], n: int, filters: Sequence[Filter]
) -> Generated:
    """Up to `n` accepted translations into `target` of phrasings of one relation, taken in order, in waves of what is missing.

    `there` are the phrasings that the target has already. Each accepted one carries the chrF++ of its back-translation
    with its source in `scores["back_translation"]`, where the translator reads back.
    """
    made = Generated()
    waiting = list(sources)
    while waiting and len(made.templates) < n:
        wave, waiting = waiting[: n - len(made.templates)], waiting[n - len(made.templates) :]
        translations = await asyncio.gather(*(_translated(translator, source, target) for source in wave))
        for translation in translations:
            if translation.template is None:
                made.rejects += [translation.reject] if translation.reject else []
            else:
                accept(made, translation.template, there, filters)
    return made


async def _translated(translator: Translator, source: Template, target: str) -> Translation:
    """One translation with its back-translation score."""
    translation = await translator.translate(source, target)
    if translation.template is None:
        return translation
    back = await translator.back(translation.template, source.language)
    if back is None:
        return translation
    score = _CHRF.sentence_score(back, [source.text]).score
    scores: Mapping[str, float] = {"back_translation": round(score, 2)}
    return Translation(replace(translation.template, scores=scores), None)


def _with_slots(answer: TranslatedText, source: str, target: str) -> TranslatedText:
    mended = repair(" ".join(answer.translation.split()), source=source, language=target)
    if mended.text is None:
        raise ShapeError(f"the translation must hold [X] once and [Y] once ({mended.reason})")
    return answer.model_copy(update={"translation": mended.text})


def _model(outcome: Outcome[TranslatedText], request: Request) -> str:
    return outcome.answer.model if outcome.answer and outcome.answer.model else request.model
