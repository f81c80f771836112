"""TOML files to frozen dataclasses; an unknown key, a wrong type or a value out of range is a `ConfigError`."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from rml_lama.errors import ConfigError, DataError
from rml_lama.languages import ALL_CODES

__all__ = ["BuildConfig", "EvaluateConfig", "config_hash", "load_config"]

_STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=False)


@dataclass(frozen=True, slots=True, config=_STRICT)
class BuildConfig:
    """What decides the bytes of a build, beside its inputs."""

    track: Literal["open", "lama"] = "open"
    languages: tuple[str, ...] = ALL_CODES
    relations: tuple[str, ...] = ()  # empty: all that the source and the bank have
    all_facts: bool = False  # False: the parallel facts only
    version: str = Field(default="1.0.0", pattern=r"^\d+\.\d+\.\d+$")


@dataclass(frozen=True, slots=True, config=_STRICT)
class EvaluateConfig:
    """What decides the numbers of an evaluation, beside model and data. Every field is in the signature."""

    languages: tuple[str, ...] = ()  # empty: all of the build
    relations: tuple[str, ...] = ()  # empty: all of the build
    limit_facts: int = Field(default=0, ge=0)  # per relation, the first by hash of seed and fact id; 0: all
    limit_templates: int = Field(default=0, ge=0)  # per relation and language, in bank order; 0: all
    templates: Literal["causal", "all"] = "causal"
    score: Literal["answer", "answer+suffix"] = "answer"
    norm: Literal["sum", "mean"] = "sum"
    max_candidates: int = Field(default=0, ge=0)  # seeded sample with every gold answer in; 0: all
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    seed: int = 0
    resamples: int = Field(default=1000, ge=10)


Config = TypeVar("Config", BuildConfig, EvaluateConfig)


def load_config(kind: type[Config], path: Path | None, **overrides: Any) -> Config:
    """Read `kind` from a TOML file (or its defaults) and apply the overrides that are not None.

    Raises `DataError` for a file that is not readable TOML, `ConfigError` for what it says.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"cannot read the config: {error.strerror}", path) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise DataError(f"not a TOML file: {error}", path) from error
    values |= {key: value for key, value in overrides.items() if value is not None}
    known = [field.name for field in fields(kind)]
    if unknown := sorted(set(values) - set(known)):
        raise ConfigError(f"unknown config key {', '.join(map(repr, unknown))} in {path or 'options'}; known: {', '.join(known)}")
    try:
        config = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"config key {key!r}: {first['msg']} (got {first['input']!r}, from {path or 'options'})") from error
    return _normalised(config)


def _normalised(config: Config) -> Config:
    """Check languages and relations against the tables, and sort them, so that equal configs have equal hashes."""
    from rml_lama.languages import parse_languages
    from rml_lama.records import RELATIONS, relation_order

    if unknown := sorted(set(config.relations) - set(RELATIONS)):
        raise ConfigError(f"unknown relation {', '.join(map(repr, unknown))}; known: {' '.join(RELATIONS)}")
    languages = parse_languages(",".join(config.languages)) if config.languages else ()
    return replace(config, languages=languages, relations=tuple(sorted(set(config.relations), key=relation_order)))


def config_hash(config: BuildConfig | EvaluateConfig) -> str:
    """12 hexadecimal digits of the SHA-256 of the config's canonical JSON."""
    canonical = json.dumps(asdict(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
