"""Translate phrasings with a sequence-to-sequence model through transformers: NLLB, M2M100, Marian, MADLAD and their kin.

How a family is told the target language is decided here: a forced first token (NLLB, M2M100), a mark before the text
(MADLAD `<2de>`, multilingual Marian `>>deu<<`), or nothing (a Marian model of one pair). Answers go into the ledger
like those of an endpoint: they are slow rather than dear.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rml_lama.builders.base import Translation
from rml_lama.builders.placeholders import repair
from rml_lama.errors import LedgerError, MissingExtraError, ModelError
from rml_lama.languages import ALL_CODES, LANGUAGES
from rml_lama.ledger import Ledger, content_key
from rml_lama.records import Reject, Template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["FLORES", "ISO_639_3", "Seq2SeqTranslator", "language_mark"]

STAGE = "translate"
BEAMS, MAX_NEW_TOKENS = 4, 96

# Codes by which Marian models name a target, in the order of the languages' table; FLORES adds the script.
ISO_639_3 = dict(
    zip(
        ALL_CODES,
        "eng deu nld dan fra spa ita por rus ukr pol bul ell fas ben heb ara tur hun fin jpn kor zho vie ind tha swh".split(),  # noqa: SIM905
        strict=True,
    )
)
_FLORES_SCRIPTS = {
    "CYRILLIC": "Cyrl",
    "GREEK": "Grek",
    "ARABIC": "Arab",
    "BENGALI": "Beng",
    "HEBREW": "Hebr",
    "HANGUL": "Hang",
    "THAI": "Thai",
}
_FLORES_OTHER = {"fa": "pes_Arab", "ar": "arb_Arab", "ja": "jpn_Jpan", "zh": "zho_Hans"}
FLORES = {
    code: _FLORES_OTHER.get(code, f"{ISO_639_3[code]}_{_FLORES_SCRIPTS.get(row.scripts[0], 'Latn')}") for code, row in LANGUAGES.items()
}


@dataclass(frozen=True, slots=True)
class Mark:
    """How a model is told the languages: the tokenizer's source language, a text prefix, a forced first token's name."""

    source: str = ""
    prefix: str = ""
    forced: str = ""


def language_mark(tokenizer: PreTrainedTokenizerBase, source: str, target: str) -> Mark:
    """Find the family's way among the tokens it knows. Raises `ModelError` for a language that it does not know."""
    if _knows(tokenizer, FLORES["en"]) or _knows(tokenizer, FLORES["de"]):  # NLLB
        return Mark(_known(tokenizer, FLORES[source], source), "", _known(tokenizer, FLORES[target], target))
    if _knows(tokenizer, "__en__"):  # M2M100
        _known(tokenizer, f"__{source}__", source)
        return Mark(source, "", _known(tokenizer, f"__{target}__", target))
    if _knows(tokenizer, "<2en>"):  # MADLAD
        return Mark(prefix=_known(tokenizer, f"<2{target}>", target) + " ")
    if any(mark.startswith(">>") and mark.endswith("<<") for mark in tokenizer.get_vocab()):  # Marian with several targets
        names = (f">>{ISO_639_3[target]}<<", f">>{target}<<", f">>{FLORES[target]}<<", f">>cmn_{FLORES[target][-4:]}<<")
        found = next((name for name in names if _knows(tokenizer, name)), names[0])
        return Mark(prefix=_known(tokenizer, found, target) + " ")
    return Mark()


def _knows(tokenizer: PreTrainedTokenizerBase, mark: str) -> bool:
    number = tokenizer.convert_tokens_to_ids(mark)
    return bool(number is not None and number != tokenizer.unk_token_id)


def _known(tokenizer: PreTrainedTokenizerBase, mark: str, language: str) -> str:
    if not _knows(tokenizer, mark):
        raise ModelError(f"the translation model does not know the language {language!r} (its vocabulary has no {mark})")
    return mark


@dataclass(slots=True)
class Seq2SeqTranslator:
    """A local translation model; loaded at the first question that the ledger has no answer to."""

    model: str
    ledger: Ledger
    back_translate: bool = True
    replay: bool = False
    device: str = "cpu"
    _loaded: tuple[Any, Any] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def translate(self, template: Template, target: str) -> Translation:
        key, text = await self._translated(template.text, template.language, target)
        mended = repair(" ".join(text.split()), source=template.text, language=target)
        if mended.text is None:
            return Translation(None, Reject(STAGE, "placeholders", target, template.relation, text, mended.reason))
        made = Template(
            target,
            template.relation,
            mended.text,
            causal=template.causal and mended.text.find("[X]") < mended.text.find("[Y]"),
            provenance=f"mt:{self.model}",
            parent=template.template_id,
            ledger_key=key,
        )
        return Translation(made, None)

    async def back(self, template: Template, source: str) -> str | None:
        """The phrasing in the language `source`; None when reading back is off."""
        if not self.back_translate:
            return None
        _, text = await self._translated(template.text, template.language, source)
        return repair(text, source=template.text, language=source).text or text

    async def _translated(self, text: str, source: str, target: str) -> tuple[str, str]:
        """Ledger key and translation."""
        key = content_key({"model": self.model, "text": text, "source": source, "target": target, "beams": BEAMS})
        if key not in self.ledger:
            if self.replay:
                raise LedgerError(f"the ledger {self.ledger.path} has no translation of {text!r} into {target} (key {key})")
            async with self._turn:
                answer = await asyncio.to_thread(self._generate, text, source, target)
            self.ledger.put(key, {"text": answer, "model": self.model})
        return key, str(self.ledger.get(key)["text"])

    def _generate(self, text: str, source: str, target: str) -> str:
        import torch

        tokenizer, model = self._load()
        mark = language_mark(tokenizer, source, target)
        if mark.source:
            tokenizer.src_lang = mark.source
        inputs = tokenizer(mark.prefix + text, return_tensors="pt").to(self.device)
        forced = {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(mark.forced)} if mark.forced else {}
        with torch.inference_mode():
            made = model.generate(**inputs, **forced, num_beams=BEAMS, do_sample=False, max_new_tokens=MAX_NEW_TOKENS)
        return str(tokenizer.decode(made[0], skip_special_tokens=True)).strip()

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            try:
                from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
            except ImportError as error:
                raise MissingExtraError("transformers", "eval") from error
            try:
                tokenizer = AutoTokenizer.from_pretrained(self.model)
                model = AutoModelForSeq2SeqLM.from_pretrained(self.model)
            except (OSError, ValueError) as error:
                raise ModelError(f"cannot load the translation model {self.model!r}: {error}") from error
            self._loaded = tokenizer, model.to(self.device).eval()
        return self._loaded
