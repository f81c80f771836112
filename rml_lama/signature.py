"""The one-line signature of a score, in the manner of sacrebleu: every key that changes the number is in it.

Two scores may stand in one column only when their signatures are equal but for the model.
"""

from __future__ import annotations

from dataclasses import dataclass

from rml_lama.errors import DataError

__all__ = ["Signature"]

_HEAD = "rml"


@dataclass(frozen=True, slots=True)
class Signature:
    """Ordered `key:value` pairs; values hold neither `|` nor line breaks.

    >>> str(Signature((("v", "1.0.0"), ("metric", "P@1"))))
    'rml|v:1.0.0|metric:P@1'
    >>> Signature.parse("rml|v:1.0.0|metric:P@1").get("metric")
    'P@1'
    """

    pairs: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "|".join((_HEAD, *(f"{key}:{value.replace('|', '/')}" for key, value in self.pairs)))

    def get(self, key: str) -> str | None:
        """The value of one key, None if absent."""
        return dict(self.pairs).get(key)

    @classmethod
    def parse(cls, line: str) -> Signature:
        """The inverse of `str`. Raises `DataError` for a line that is not a signature."""
        head, *parts = line.strip().split("|")
        if head != _HEAD or not all(":" in part for part in parts):
            raise DataError(f"not a signature: {line!r}; expected 'rml|key:value|...'")
        return cls(tuple((part.partition(":")[0], part.partition(":")[2]) for part in parts))

    def differences(self, other: Signature, ignore: tuple[str, ...] = ("model",)) -> dict[str, tuple[str | None, str | None]]:
        """The keys whose values differ, with both values: empty when the scores are comparable.

        >>> Signature.parse("rml|n:5|norm:sum").differences(Signature.parse("rml|n:5|norm:mean"))
        {'norm': ('sum', 'mean')}
        """
        mine, theirs = dict(self.pairs), dict(other.pairs)
        keys = [*mine, *(key for key in theirs if key not in mine)]
        return {key: (mine.get(key), theirs.get(key)) for key in keys if key not in ignore and mine.get(key) != theirs.get(key)}
