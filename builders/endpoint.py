"""From the config's tables to a dispatcher: the price of the model, limits, budget, and the transport."""

from __future__ import annotations

from collections.abc import Callable

from rml_lama.builders.budget import Budget, Limits, Price
from rml_lama.builders.dispatch import Dispatcher
from rml_lama.builders.llm import OpenAITransport, Transport, api_key, open_client
from rml_lama.config import EndpointConfig, GenerateConfig
from rml_lama.errors import ConfigError
from rml_lama.ledger import Ledger

__all__ = ["make_dispatcher", "price_of"]

BATCH_SIZE = 50_000  # requests in a batch, at most: the providers' own limit


def make_dispatcher(
    config: GenerateConfig,
    endpoint: EndpointConfig,
    ledger: Ledger,
    *,
    replay: bool = False,
    batch: bool = False,
    progress: Callable[[int], None] = lambda calls: None,
) -> Dispatcher:
    """A dispatcher for the config's model. Replaying, it has no transport, and needs neither key nor network.

    Raises `ConfigError` for a missing key or price, `MissingExtraError` where `openai` is not installed.
    """
    if replay:
        return Dispatcher(ledger, None, repairs=endpoint.repairs, progress=progress)
    budget = Budget(price_of(config, endpoint, batch=batch), endpoint.max_cost)
    limits = Limits()
    concurrency = BATCH_SIZE
    if not batch:
        limits = Limits(requests_per_minute=endpoint.requests_per_minute, tokens_per_minute=endpoint.tokens_per_minute)
        concurrency = endpoint.concurrency
    transport = _transport(config, endpoint, ledger, batch=batch)
    return Dispatcher(ledger, transport, limits, budget, concurrency, endpoint.repairs, progress)


def price_of(config: GenerateConfig, endpoint: EndpointConfig, *, batch: bool = False) -> Price:
    """The model's price. Raises `ConfigError` when a ceiling is set and the price is unknown."""
    listed = endpoint.prices.get(config.model)
    if listed is None:
        if endpoint.max_cost is not None:
            raise ConfigError(f"--max-cost needs a price: add [endpoint.prices.{config.model!r}] with prompt and completion to the config")
        return Price()
    share = endpoint.batch_discount if batch else 1.0
    return Price(listed.prompt * share, listed.completion * share)


def _transport(config: GenerateConfig, endpoint: EndpointConfig, ledger: Ledger, *, batch: bool) -> Transport | None:
    if not config.model:
        return None
    key = api_key(endpoint.api_key_env)
    client = open_client(endpoint.base_url, key=key, timeout=endpoint.timeout, retries=endpoint.retries)
    direct = OpenAITransport(client, key, endpoint.structured)
    if not batch:
        return direct
    from rml_lama.builders.batch import BatchTransport

    return BatchTransport(direct, ledger, poll_seconds=endpoint.batch_poll_seconds)
