"""What `rml-lama build --generate` needs beside a build: the generation of a config file, and its plan."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rml_lama.builders.bank import read_bank
from rml_lama.builders.build import default_filters, make_source
from rml_lama.config import BuildConfig, EndpointConfig, GenerateConfig, load_config
from rml_lama.errors import ConfigError
from rml_lama.ledger import Ledger
from rml_lama.records import RELATIONS

if TYPE_CHECKING:
    from rml_lama.builders.generate import Generation

__all__ = ["generating", "generation_plan"]

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
    with open_generation(what, how, ledger, default_filters(), replay=replay, batch=batch, progress=progress) as generation:
        yield generation


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
