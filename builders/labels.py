"""Clean a label, convert Chinese to Simplified, and read label overlays (`QID<TAB>label`)."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from rml_lama.builders.archive import file_sha256
from rml_lama.errors import DataError
from rml_lama.languages import LANGUAGES

__all__ = ["clean_label", "read_overlays", "to_simplified"]

# Marks of writing direction, byte-order marks and soft hyphens say nothing in a label. The joiners U+200C and U+200D
# stay: Persian and the Indic scripts spell with them.
_STRAY = dict.fromkeys([0x00AD, 0x061C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF])
_ALIASES = {"zh-hans": "zh"}
_ITEM_ID = re.compile(r"Q[1-9]\d*")


@functools.lru_cache(maxsize=1 << 16)
def clean_label(label: str) -> str:
    """NFC, white space folded, stray control marks removed.

    >>> clean_label(" Rio\\u200e  de Janeiro ")
    'Rio de Janeiro'
    """
    if label.isascii() and "  " not in label and label == label.strip() and label.isprintable():
        return label
    return " ".join(unicodedata.normalize("NFC", label.translate(_STRAY)).split())


@functools.cache
def _converter() -> object:
    from opencc import OpenCC

    return OpenCC("t2s")


@functools.lru_cache(maxsize=1 << 16)
def to_simplified(label: str) -> str:
    """A Chinese label in Simplified characters (OpenCC `t2s`).

    >>> to_simplified("臺灣")
    '台湾'
    """
    return _converter().convert(label)  # type: ignore[attr-defined, no-any-return]


def read_overlays(folder: Path | None) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Labels by language and item from `<lang>.tsv` files, and the SHA-256 of each file.

    Raises `DataError` for an unreadable folder, a file named after no known language, a line that has not two columns,
    a bad item id, an empty label, or a repeated item with another label.
    """
    if folder is None:
        return {}, {}
    if not folder.is_dir():
        raise DataError("the labels folder is not a folder that can be read", folder)
    labels: dict[str, dict[str, str]] = {}
    checksums: dict[str, str] = {}
    files = sorted(folder.glob("*.tsv"))
    if not files:
        raise DataError("no .tsv file in the labels folder; expected files such as sw.tsv", folder)
    for file in files:
        code = _ALIASES.get(file.stem, file.stem)
        if code not in LANGUAGES:
            raise DataError(f"a label file for the unknown language {file.stem!r}; known: {' '.join([*LANGUAGES, *_ALIASES])}", file)
        if code in labels:
            raise DataError(f"a second label file for {code!r}", file)
        labels[code] = dict(_read_file(file))
        checksums[file.name] = file_sha256(file)
    return labels, checksums


def _read_file(file: Path) -> Mapping[str, str]:
    labels: dict[str, str] = {}
    try:
        rows = file.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"cannot read: {error.strerror}", file) from error
    for number, raw in enumerate(rows, 1):
        try:
            line = raw.decode("utf-8-sig").rstrip("\r")
        except UnicodeDecodeError as error:
            raise DataError("invalid UTF-8", file, number) from error
        if not line.strip():
            continue
        columns = line.split("\t")
        if len(columns) != 2:
            raise DataError(f"{len(columns)} columns where QID<TAB>label was expected", file, number)
        item, label = columns[0].strip(), clean_label(columns[1])
        if not _ITEM_ID.fullmatch(item):
            raise DataError(f"{item!r} is not an item id such as Q42", file, number)
        if not label:
            raise DataError(f"an empty label for {item}", file, number)
        if labels.setdefault(item, label) != label:
            raise DataError(f"a second, different label for {item}", file, number)
    return labels
