"""What the commands need beside their work: the generation that a build is asked for and its plan, and what to fetch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rml_lama.builders.bank import read_bank
from rml_lama.builders.build import make_source
from rml_lama.config import BuildConfig, EndpointConfig, GenerateConfig, load_config
from rml_lama.errors import ConfigError
from rml_lama.languages import parse_languages
from rml_lama.ledger import Ledger
from rml_lama.records import RELATIONS

if TYPE_CHECKING:
    from rml_lama.builders.generate import Generation
    from rml_lama.validation.base import Filter

__all__ = ["fetch", "generating", "generation_plan", "preset_filters"]

NOTHING: Container[str] = frozenset()


@contextlib.contextmanager
def generating(
    config: Path | None,
    *,
    generate: bool,
    replay: bool,
    batch: bool,
    ledger: Path,
    max_cost: float | None,
    progress: Callable[[int], None],
) -> Iterator[Generation | None]:
    """The open generation that the flags ask for, or None for a plain build.

    Raises `ConfigError` for flags that do not fit together.
    """
    if not generate and not replay:
        if batch or max_cost is not None:
            raise ConfigError("--batch and --max-cost belong to --generate")
        yield None
        return
    if generate and replay:
        raise ConfigError("choose --generate or --replay: a replay asks nothing")
    from rml_lama.builders.generate import open_generation

    what = load_config(GenerateConfig, config, table="generate")
    how = load_config(EndpointConfig, config, table="endpoint", max_cost=max_cost)
    filters = preset_filters(what.preset)
    with open_generation(what, how, ledger, filters, replay=replay, batch=batch, progress=progress) as generation:
        yield generation


def preset_filters(preset: str) -> list[Filter]:
    """The filters of a preset, with the package's phrasings and labels to compare with."""
    from rml_lama.validation.labels import default_answers
    from rml_lama.validation.presets import Resources, make_filters
    from rml_lama.validation.references import References

    return make_filters(preset, Resources(References(read_bank()), default_answers()))


def generation_plan(
    options: BuildConfig,
    config: Path | None,
    *,
    mlama: Path | None = None,
    lama: Path | None = None,
    labels: Path | None = None,
    bank: Path,
    ledger: Path,
) -> str:
    """What a generation would ask and cost. Needs neither key nor network, and writes nothing."""
    from rml_lama.builders.endpoint import price_of
    from rml_lama.builders.plan import plan

    what = load_config(GenerateConfig, config, table="generate")
    how = load_config(EndpointConfig, config, table="endpoint")
    facts = []
    if what.rewrite:
        source = make_source(options, mlama=mlama, lama=lama, labels=labels)
        facts = [fact for fact in source.facts() if options.all_facts or fact.parallel]
    relations = options.relations or tuple(RELATIONS)
    templates = read_bank(options.languages, bank)
    price = price_of(what, how)
    with Ledger(ledger) if ledger.exists() else contextlib.nullcontext(NOTHING) as answered:
        plans = plan(what, templates, facts, relations, ledger=answered, price=price, repairs=how.repairs)
    return "\n".join(map(str, plans)) or "nothing to ask: set rephrase, translate_to or rewrite in the table [generate]"


def fetch(
    what: str,
    dest: Path | None = None,
    *,
    url: str | None = None,
    sha256: str | None = None,
    ids: Path | None = None,
    languages: str | None = None,
    ledger: Path | None = None,
    contact: str = "",
    progress: Callable[[int, int | None], None],
) -> str:
    """Fetch `mlama` or `labels` into `dest`, and say what came.

    Raises `ConfigError` for options that do not fit together, and what the fetching raises.
    """
    if what == "mlama":
        if ids is not None or languages is not None or ledger is not None or contact:
            raise ConfigError("--ids, --languages, --ledger and --contact belong to `rml-lama fetch labels`")
        from rml_lama.builders.fetch import MLAMA_URL, fetch_mlama

        return str(fetch_mlama(dest or Path("data"), url=url or MLAMA_URL, sha256=sha256, progress=progress))
    if what != "labels":
        raise ConfigError(f"cannot fetch {what!r}; known: mlama, labels")
    if ids is None or sha256 is not None:
        raise ConfigError("`rml-lama fetch labels` needs --ids FILE_OR_BUILD, and has no --sha256")
    from rml_lama.builders.overlays import fetch_labels, read_items
    from rml_lama.builders.wikidata import WIKIDATA_URL, Wikibase

    dest = dest or Path("labels")
    service, codes, items = Wikibase(url or WIKIDATA_URL, contact), parse_languages(languages), read_items(ids)
    with Ledger(ledger or dest.with_name(dest.name + ".ledger.jsonl")) as answers:
        return str(fetch_labels(items, codes, dest, answers, service=service, progress=progress))
