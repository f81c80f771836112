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

__all__ = [
    "BuildConfig",
    "EndpointConfig",
    "EvaluateConfig",
    "GenerateConfig",
    "LocalizeConfig",
    "PriceConfig",
    "config_hash",
    "load_config",
]

_LANGUAGE_LISTS = ("rephrase", "translate_to", "rewrite")
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
class GenerateConfig:
    """What decides which phrasings a model is asked for, and so the bytes of a generated build: the table `[generate]`."""

    provider: str = "openai"  # a name for the service, part of every ledger key; the address is not
    model: str = Field(default="", max_length=200)
    rephrase: tuple[str, ...] = ()  # languages whose sets get new phrasings
    phrasings: int = Field(default=2, ge=1, le=50)  # accepted ones wanted, for each relation and language
    max_rounds: int = Field(default=4, ge=1, le=50)
    translate_from: str = "en"
    translate_to: tuple[str, ...] = ()
    translations: int = Field(default=6, ge=1, le=50)  # accepted ones wanted, for each relation and target
    translator: str = "llm"  # or a sequence-to-sequence model: a Hub id or a folder
    back_translate: bool = True
    preset: str = "light"  # filters that a new phrasing must pass: a preset of `rml-lama validate`, or a TOML file
    rewrite: tuple[str, ...] = ()  # languages whose filled queries are mended fact by fact
    rewrite_facts: int = Field(default=0, ge=0)  # facts of a relation and language, in the build's order; 0: all
    temperature: float = Field(default=0.7, ge=0, le=2)
    max_tokens: int = Field(default=1024, ge=16)
    seed: int = 0


@dataclass(frozen=True, slots=True, config=_STRICT)
class PriceConfig:
    """Dollars per million tokens."""

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)


@dataclass(frozen=True, slots=True, config=_STRICT)
class EndpointConfig:
    """How an endpoint is reached and what it may cost, none of which changes an answer: the table `[endpoint]`."""

    base_url: str = "https://api.openai.com/v1"
    api_key_env: str = "OPENAI_API_KEY"  # "": the server wants no key
    structured: Literal["json_schema", "json_object", "none"] = "json_schema"
    requests_per_minute: int = Field(default=0, ge=0)  # 0: no limit
    tokens_per_minute: int = Field(default=0, ge=0)
    concurrency: int = Field(default=8, ge=1, le=1024)
    timeout: float = Field(default=120.0, gt=0)  # seconds
    retries: int = Field(default=6, ge=0)
    repairs: int = Field(default=2, ge=0)
    max_cost: float | None = Field(default=None, ge=0)  # dollars
    prices: dict[str, PriceConfig] = Field(default_factory=dict)  # by model
    batch_discount: float = Field(default=0.5, ge=0, le=1)  # what a batched call costs, as a share of its price
    batch_poll_seconds: float = Field(default=30.0, gt=0)


@dataclass(frozen=True, slots=True, config=_STRICT)
class EvaluateConfig:
    """What decides the numbers of an evaluation, beside model and data. Every field is in the signature."""

    languages: tuple[str, ...] = ()  # empty: all of the build
    relations: tuple[str, ...] = ()  # empty: all of the build
    limit_facts: int = Field(default=0, ge=0)  # per relation, the first by hash of seed and fact id; 0: all
    limit_templates: int = Field(default=0, ge=0)  # per relation and language, in bank order; 0: all
    templates: Literal["causal", "all"] = "causal"
    score: Literal["answer", "answer+suffix", "sentence"] = "answer"
    masking: Literal["mask-joint", "pll-l2r"] = "mask-joint"  # of masked models
    norm: Literal["sum", "mean"] = "sum"
    prior: Literal["none", "pmi"] = "none"
    max_candidates: int = Field(default=0, ge=0)  # seeded sample with every gold answer in; 0: all
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    seed: int = 0
    resamples: int = Field(default=1000, ge=10)


@dataclass(frozen=True, slots=True, config=_STRICT)
class LocalizeConfig:
    """What decides a localization, beside model and data. Every field that changes a number is in the signature."""

    languages: tuple[str, ...] = ()  # empty: all of the build
    relations: tuple[str, ...] = ()  # empty: all of the build
    limit_facts: int = Field(default=5, ge=0)  # per relation, the first by hash of seed and fact id; 0: all
    limit_templates: int = Field(default=0, ge=0)  # per relation and language, in bank order; 0: all
    templates: Literal["causal", "all"] = "causal"
    method: str = "matrice"
    gate: Literal["first", "probability", "none"] | None = None  # this and the next six: the method's own, unless given
    normalise: Literal["max", "l2", "rank", "none"] | None = None
    contrast: float | None = Field(default=None, ge=0)  # how much of the background is subtracted
    contrast_part: Literal["all", "positive"] | None = None  # of the background: all of it, or what is above zero
    query_penalty: float | None = Field(default=None, ge=0)  # standard errors over phrasings
    exponent: float | None = Field(default=None, gt=0, le=1)  # of the power mean over languages; 1: the mean
    family_balanced: bool | None = None
    quadrature: str = "gauss-kronrod-sinh"
    objective: Literal["probability", "log-probability"] = "probability"
    steps: Literal["stepwise", "first", "joint"] = "stepwise"
    tolerance: float = Field(default=0.01, gt=0)  # of completeness, as a share of what the layer does
    background: int = Field(default=16, ge=0)  # unrelated facts of each language, subtracted as a contrast
    max_candidates: int = Field(default=50, ge=0)  # of the ranking that says whether the model knows the answer; 0: all
    top: int = Field(default=50, ge=1)  # neurons that are selected and reported for each fact
    select: Literal["top", "share-of-max", "fdr"] = "top"  # fdr: 5% false neurons against a shuffled null; at most `top`
    support_share: float = Field(default=0.8, gt=0, le=1)  # of the kept languages, for a neuron to be agnostic
    draws: int = Field(default=200, ge=10)  # of the bootstrap
    transfer: bool = True  # also suppress each language's neurons and measure in all languages
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    seed: int = 0


Config = TypeVar("Config", BuildConfig, GenerateConfig, EndpointConfig, EvaluateConfig, LocalizeConfig)
_TABLES: dict[type, tuple[str, ...]] = {BuildConfig: ("generate", "endpoint")}  # tables that a file may hold beside the keys


def load_config(kind: type[Config], path: Path | None, *, table: str = "", **overrides: Any) -> Config:
    """Read `kind` from a TOML file, or from one table of it (or take its defaults), and apply the overrides that are not None.

    Raises `DataError` for a file that is not readable TOML, `ConfigError` for what it says.
    """
    values = _read(path)
    place = f"[{table}] of {path}" if table else str(path or "options")
    if table:
        values = values.get(table, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{table!r} is not a table in {path}")
    else:
        values = {key: value for key, value in values.items() if key not in _TABLES.get(kind, ())}
    values |= {key: value for key, value in overrides.items() if value is not None}
    known = [field.name for field in fields(kind)]
    if unknown := sorted(set(values) - set(known)):
        raise ConfigError(f"unknown config key {', '.join(map(repr, unknown))} in {place}; known: {', '.join(known)}")
    try:
        config = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"config key {key!r}: {first['msg']} (got {first['input']!r}, from {place})") from error
    return _normalised(config)


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read the config: {error.strerror}", path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not a TOML file: {error}", path) from error


def _normalised(config: Config) -> Config:
    """Check languages and relations against the tables, and sort them, so that equal configs have equal hashes."""
    from rml_lama.languages import parse_languages
    from rml_lama.records import RELATIONS, relation_order

    if isinstance(config, EndpointConfig):
        return config
    if isinstance(config, GenerateConfig):
        lists: dict[str, Any] = {name: parse_languages(",".join(codes)) for name in _LANGUAGE_LISTS if (codes := getattr(config, name))}
        parse_languages(config.translate_from)
        return replace(config, **lists)
    if unknown := sorted(set(config.relations) - set(RELATIONS)):
        raise ConfigError(f"unknown relation {', '.join(map(repr, unknown))}; known: {' '.join(RELATIONS)}")
    languages = parse_languages(",".join(config.languages)) if config.languages else ()
    return replace(config, languages=languages, relations=tuple(sorted(set(config.relations), key=relation_order)))


def config_hash(*configs: BuildConfig | GenerateConfig | EvaluateConfig) -> str:
    """12 hexadecimal digits of the SHA-256 of the configs' canonical JSON."""
    parts = [asdict(config) for config in configs]
    canonical = json.dumps(parts[0] if len(parts) == 1 else parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
