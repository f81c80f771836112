"""The 27 languages, in one table: code, name, branch, family, script, joiner, final mark, detector codes.

`family` is the top-level family (11 of them), used for family-balanced means; `branch` is the subgroup of
Indo-European languages (elsewhere it repeats the family). `joiner` stands between two words of a cloze.
"""

from __future__ import annotations

from dataclasses import dataclass

from rml_lama.errors import ConfigError

__all__ = ["ALL_CODES", "FIRST_TIER", "LANGUAGES", "Language", "language", "parse_languages"]


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the benchmark.

    `scripts` are Unicode script prefixes as they appear in character names; `langdetect`, `py3langid`, `lingua` and
    `babel` are the codes by which those libraries know the language, None where they do not.
    """

    code: str
    name: str
    branch: str
    family: str
    scripts: tuple[str, ...]
    joiner: str
    final: str
    langdetect: str | None
    py3langid: str | None
    lingua: str | None
    babel: str
    first_tier: bool = True


def _row(
    code: str,
    name: str,
    branch: str,
    family: str,
    scripts: str,
    *,
    joiner: str = " ",
    final: str = ".",
    langdetect: str | None = "same",
    py3langid: str | None = "same",
    lingua: str | None = "same",
    babel: str = "same",
    first_tier: bool = True,
) -> Language:
    def same(detector: str | None) -> str | None:
        return code if detector == "same" else detector

    return Language(
        code,
        name,
        branch,
        family,
        tuple(scripts.split()),
        joiner,
        final,
        same(langdetect),
        same(py3langid),
        same(lingua),
        same(babel) or code,
        first_tier,
    )


_IE = "Indo-European"

LANGUAGES: dict[str, Language] = {
    row.code: row
    for row in (
        _row("en", "English", "Germanic", _IE, "LATIN"),
        _row("de", "German", "Germanic", _IE, "LATIN"),
        _row("nl", "Dutch", "Germanic", _IE, "LATIN"),
        _row("da", "Danish", "Germanic", _IE, "LATIN"),
        _row("fr", "French", "Romance", _IE, "LATIN"),
        _row("es", "Spanish", "Romance", _IE, "LATIN"),
        _row("it", "Italian", "Romance", _IE, "LATIN"),
        _row("pt", "Portuguese", "Romance", _IE, "LATIN"),
        _row("ru", "Russian", "Slavic", _IE, "CYRILLIC"),
        _row("uk", "Ukrainian", "Slavic", _IE, "CYRILLIC"),
        _row("pl", "Polish", "Slavic", _IE, "LATIN"),
        _row("bg", "Bulgarian", "Slavic", _IE, "CYRILLIC"),
        _row("el", "Greek", "Hellenic", _IE, "GREEK"),
        _row("fa", "Persian", "Indo-Iranian", _IE, "ARABIC"),
        _row("bn", "Bengali", "Indo-Iranian", _IE, "BENGALI", final="।", first_tier=False),
        _row("he", "Hebrew", "Semitic", "Afro-Asiatic", "HEBREW"),
        _row("ar", "Arabic", "Semitic", "Afro-Asiatic", "ARABIC"),
        _row("tr", "Turkish", "Turkic", "Turkic", "LATIN"),
        _row("hu", "Hungarian", "Uralic", "Uralic", "LATIN"),
        _row("fi", "Finnish", "Uralic", "Uralic", "LATIN"),
        _row("ja", "Japanese", "Japonic", "Japonic", "HIRAGANA KATAKANA CJK", joiner="", final="。"),
        _row("ko", "Korean", "Koreanic", "Koreanic", "HANGUL"),
        _row(
            "zh", "Chinese (Simplified)", "Sino-Tibetan", "Sino-Tibetan", "CJK", joiner="", final="。", langdetect="zh-cn", babel="zh_Hans"
        ),
        _row("vi", "Vietnamese", "Austroasiatic", "Austroasiatic", "LATIN"),
        _row("id", "Indonesian", "Austronesian", "Austronesian", "LATIN"),
        _row("th", "Thai", "Kra-Dai", "Kra-Dai", "THAI", joiner="", final="", first_tier=False),
        _row("sw", "Swahili", "Niger-Congo", "Niger-Congo", "LATIN", first_tier=False),
    )
}

ALL_CODES: tuple[str, ...] = tuple(LANGUAGES)
FIRST_TIER: tuple[str, ...] = tuple(code for code, row in LANGUAGES.items() if row.first_tier)


def language(code: str) -> Language:
    """The row of one language.

    Raises `ConfigError` for a code that is not among the 27.

    >>> language("ja").joiner, language("ja").family
    ('', 'Japonic')
    """
    try:
        return LANGUAGES[code]
    except KeyError:
        raise ConfigError(f"unknown language {code!r}; known: {' '.join(ALL_CODES)}") from None


def parse_languages(text: str | None) -> tuple[str, ...]:
    """Codes from a comma-separated list, in table order and without repeats; all 27 for None.

    Raises `ConfigError` for an unknown code or an empty list.

    >>> parse_languages("ja, en")
    ('en', 'ja')
    """
    if text is None:
        return ALL_CODES
    wanted = {language(part.strip()).code for part in text.split(",") if part.strip()}
    if not wanted:
        raise ConfigError(f"no language in {text!r}; known: {' '.join(ALL_CODES)}")
    return tuple(code for code in ALL_CODES if code in wanted)
