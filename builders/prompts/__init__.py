"""The prompts, as files: `<name>.toml` with a version, a system text and a user text with `$slots`.

A prompt's identity is its name, version and a hash of its text, so that an edited prompt never gets an old prompt's
answers from the ledger (docs/decisions/0005).
"""

from __future__ import annotations

import csv
import functools
import hashlib
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from string import Template as Text

from rml_lama.builders.request import Message
from rml_lama.records import RELATIONS

__all__ = ["PROMPTS", "Prompt", "local_name", "prompt"]

PROMPTS = ("rephrase", "rewrite", "translate", "back_translate")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One versioned prompt."""

    name: str
    version: str
    system: str
    user: str

    @property
    def identity(self) -> str:
        """Name, version and hash of the text, as `rephrase@1-3f2a9c`."""
        digest = hashlib.sha256(f"{self.system}\0{self.user}".encode()).hexdigest()
        return f"{self.name}@{self.version}-{digest[:6]}"

    def messages(self, **values: str) -> tuple[Message, ...]:
        """The filled-in conversation. Raises `KeyError` for a slot without a value."""
        return tuple(Message(role, Text(text).substitute(values)) for role, text in (("system", self.system), ("user", self.user)))


@functools.cache
def prompt(name: str) -> Prompt:
    """The prompt of that name."""
    values = tomllib.loads((files(__package__) / f"{name}.toml").read_text(encoding="utf-8"))
    return Prompt(name, values["version"], values["system"].strip(), values["user"].strip())


@functools.cache
def _glossary() -> dict[tuple[str, str], str]:
    text = (files(__package__) / "glossary.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return {(row["relation"], code): name for row in rows for code, name in row.items() if code != "relation" and name}


def local_name(relation: str, language: str) -> str:
    """What the relation is called in the language; the English name where the glossary has none.

    >>> local_name("P36", "de")
    'Hauptstadt'
    """
    return _glossary().get((relation, language), RELATIONS[relation].name)
