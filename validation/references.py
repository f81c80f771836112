"""Good phrasings to compare with: by default the package's bank. A phrasing is never compared with itself.

Counts over a language say in how many *phrasings* a gram or word stands, so that the judged phrasing's own share can be
taken out exactly: a phrasing of the bank is judged as if it were not in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rml_lama.records import Template
from rml_lama.validation.forms import grams, plain, words

__all__ = ["References"]


class References:
    """Reference phrasings in plain form by language and relation, with the counts that filters ask for."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self._sets: dict[tuple[str, str], dict[str, None]] = {}
        for template in templates:
            self._sets.setdefault((template.language, template.relation), {})[plain(template.text)] = None
        self._grams: dict[str, Counter[str]] = {}
        self._words: dict[str, Counter[str]] = {}

    def __contains__(self, language: object) -> bool:
        return any(code == language for code, _ in self._sets)

    @property
    def languages(self) -> list[str]:
        """The languages that have references, in their order."""
        return list(dict.fromkeys(code for code, _ in self._sets))

    def of(self, language: str, relation: str) -> tuple[str, ...]:
        """All reference phrasings of a set, in their order."""
        return tuple(self._sets.get((language, relation), ()))

    def others(self, template: Template) -> list[str]:
        """The reference phrasings of the template's set without the template itself."""
        own = plain(template.text)
        return [text for text in self._sets.get((template.language, template.relation), ()) if text != own]

    def relations(self, language: str) -> list[str]:
        """The relations that have references in a language."""
        return [relation for code, relation in self._sets if code == language]

    def holds(self, template: Template) -> bool:
        """Whether the template is one of the references of its set."""
        return plain(template.text) in self._sets.get((template.language, template.relation), {})

    def holders(self, template: Template) -> list[str]:
        """The relations of the language that have the template's text among their references."""
        own = plain(template.text)
        return [relation for (code, relation), group in self._sets.items() if code == template.language and own in group]

    def gram_count(self, template: Template, gram: str) -> int:
        """In how many other reference phrasings of the language the gram stands."""
        return self._others_with(self._of_language(self._grams, template.language), template, gram, set(grams(template.text)))

    def word_count(self, template: Template, word: str) -> int:
        """In how many other reference phrasings of the language the word stands."""
        return self._others_with(self._of_language(self._words, template.language), template, word, set(words(plain(template.text))))

    def vocabulary(self, language: str) -> Counter[str]:
        """In how many reference phrasings of a language each word stands."""
        return self._of_language(self._words, language)

    def _others_with(self, counts: Counter[str], template: Template, item: str, own: set[str]) -> int:
        return counts[item] - (item in own and self.holds(template))

    def _of_language(self, table: dict[str, Counter[str]], language: str) -> Counter[str]:
        if language not in table:
            texts = [text for (code, _), group in self._sets.items() if code == language for text in group]
            self._grams[language] = _document_counts(map(grams, texts))
            self._words[language] = _document_counts(map(words, texts))
        return table[language]


def _document_counts(documents: Iterable[Sequence[str]]) -> Counter[str]:
    return Counter(item for document in documents for item in set(document))
