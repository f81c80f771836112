"""The stages `rephrase`, `translate` and `rewrite` of a build with a language model, or of its replay from the ledger.

Sets of phrasings are independent of each other and asked for side by side; within a set one question follows the
other. So the result depends on the ledger's answers only, not on when they came.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rml_lama.builders.bank import read_bank
from rml_lama.builders.base import Translator
from rml_lama.builders.dispatch import Dispatcher
from rml_lama.builders.endpoint import make_dispatcher
from rml_lama.builders.rephrase import Generated, Rephraser
from rml_lama.builders.rewrite import Rewriter, Rewrites
from rml_lama.builders.translate import LlmTranslator, translate_set
from rml_lama.config import EndpointConfig, GenerateConfig
from rml_lama.errors import ConfigError, LedgerError, RmlLamaError
from rml_lama.ledger import Ledger
from rml_lama.records import Fact, Reject, Template, by_relation
from rml_lama.validation.base import Filter
from rml_lama.validation.runner import faults_of

__all__ = ["Generation", "open_generation"]

logger = logging.getLogger(__name__)
Value = TypeVar("Value")


@dataclass(slots=True)
class Generation:
    """An open generation: what it makes, and the report of what came of every question."""

    config: GenerateConfig
    dispatcher: Dispatcher
    translator: Translator
    filters: Sequence[Filter]
    runner: asyncio.Runner
    outcomes: Counter[str] = field(default_factory=Counter)

    def templates(self, bank: Sequence[Template], relations: Sequence[str]) -> Generated:
        """New phrasings for the bank: rephrased ones first, which are then translated with those of the bank.

        Raises `BudgetError`, `EndpointError`, `LedgerError` or `WorkError` when the run cannot go on; no answer is lost.
        """
        sets = by_relation(bank)
        found = self._all(self._phrasings(relation, sets) for relation in relations)
        made = Generated()
        for stage in zip(*(rephrased for rephrased, _ in found)), zip(*(translated for _, translated in found)):
            for language in stage:
                for each in language:
                    made.add(each)
        self._count(made.rejects)
        for template in made.templates:
            self.outcomes[f"{'translate' if template.parent else 'rephrase'}: accepted"] += 1
        return made

    async def _phrasings(
        self, relation: str, sets: Mapping[tuple[str, str], Sequence[Template]]
    ) -> tuple[list[Generated], list[Generated]]:
        """What one relation gains: by rephrasing in each language of `rephrase`, then by translation into each of `translate_to`."""
        config, rephraser = self.config, Rephraser(self.dispatcher, self.config, self.filters)
        there = {code: list(sets.get((code, relation), ())) for code in (*config.rephrase, *config.translate_to, config.translate_from)}
        rephrased = await _gathered(rephraser.rephrase(relation, code, there[code], config.phrasings) for code in config.rephrase)
        for code, each in zip(config.rephrase, rephrased, strict=True):
            there[code] += each.templates
        sources = there[config.translate_from]
        translated = await _gathered(
            translate_set(self.translator, sources, code, there[code], config.translations, self.filters)
            for code in config.translate_to
            if code != config.translate_from
        )
        return rephrased, translated

    def rewrites(self, facts: Sequence[Fact], bank: Mapping[tuple[str, str], Sequence[Template]]) -> Rewrites:
        """Mended queries of the facts of one relation, in the languages of `rewrite`."""
        made, rewriter = Rewrites(), Rewriter(self.dispatcher, self.config)
        for each in self._all(
            rewriter.rewrite(fact, code, templates)
            for code in self.config.rewrite
            for fact in [fact for fact in facts if code in fact.labels][: self.config.rewrite_facts or None]
            if (templates := bank.get((code, fact.relation)))
        ):
            made.found |= each.found
            made.rejects += each.rejects
            made.unchanged += each.unchanged
        self._count(made.rejects)
        self.outcomes["rewrite: accepted"] += len(made.found)
        self.outcomes["rewrite: unchanged"] += made.unchanged
        return made

    @property
    def report(self) -> dict[str, Any]:
        """What came of the questions, for the manifest: no counter here depends on how often the run was stopped."""
        return {"model": self.config.model, "translator": self.config.translator, "outcomes": dict(sorted(self.outcomes.items()))}

    def _all(self, work: Iterator[Coroutine[Any, Any, Value]]) -> list[Value]:
        return self.runner.run(_side_by_side(work, self.dispatcher))

    def _count(self, rejects: Sequence[Reject]) -> None:
        for reject in rejects:
            self.outcomes[f"{reject.stage}: {reject.filter}"] += 1


async def _side_by_side(work: Iterator[Coroutine[Any, Any, Value]], dispatcher: Dispatcher) -> list[Value]:
    """The results in order; at the first error, or when interrupted, what is in flight is waited for and kept."""
    try:
        return await _gathered(work)
    except* RmlLamaError as errors:
        raise _first(errors) from None
    finally:
        await dispatcher.drain()


async def _gathered(work: Iterator[Coroutine[Any, Any, Value]]) -> list[Value]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]


def _first(errors: BaseExceptionGroup[RmlLamaError]) -> RmlLamaError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, RmlLamaError)
    return error


@contextlib.contextmanager
def open_generation(
    config: GenerateConfig,
    endpoint: EndpointConfig,
    ledger_path: Path,
    filters: Sequence[Filter],
    *,
    replay: bool = False,
    batch: bool = False,
    progress: Callable[[int], None] = lambda calls: None,
) -> Iterator[Generation]:
    """Everything a generation holds, closed at the end: ledger, client, event loop, and a lock against a second run.

    Raises `ConfigError` for a config without work or model, or a missing key, `LedgerError` when another run holds the
    ledger or, replaying, when there is none.
    """
    if not (config.rephrase or config.translate_to or config.rewrite):
        raise ConfigError("nothing to generate: set rephrase, translate_to or rewrite in the table [generate]")
    if not config.model and (config.rephrase or config.rewrite or config.translator == "llm"):
        raise ConfigError("set `model` in the table [generate] of the config")
    if replay and not ledger_path.is_file():
        raise LedgerError(f"there is no ledger at {ledger_path} to replay")
    with contextlib.ExitStack() as stack:
        ledger = stack.enter_context(Ledger(ledger_path))
        if not replay:
            stack.enter_context(_alone(ledger_path))
        runner = stack.enter_context(asyncio.Runner())
        dispatcher = make_dispatcher(config, endpoint, ledger, replay=replay, batch=batch, progress=progress)
        transport = dispatcher.transport
        if transport is not None:
            stack.callback(lambda: runner.run(transport.close()))
        # What filters load at their first use (language profiles, statistics of the bank) must not hold up answers that wait.
        faults_of(next(iter(read_bank(("en",)))), (), filters)
        gc.freeze()  # nor need the collector walk all of it again and again
        stack.callback(gc.unfreeze)
        yield Generation(config, dispatcher, _translator(config, dispatcher, replay=replay), filters, runner)
        logger.info("%s", _summary(dispatcher))


def _translator(config: GenerateConfig, dispatcher: Dispatcher, *, replay: bool) -> Translator:
    if config.translator == "llm":
        return LlmTranslator(dispatcher, config)
    from rml_lama.builders.seq2seq import Seq2SeqTranslator

    return Seq2SeqTranslator(config.translator, dispatcher.ledger, back_translate=config.back_translate, replay=replay)


@contextlib.contextmanager
def _alone(ledger: Path) -> Iterator[None]:
    """Hold the ledger's run lock: two runs would ask, and pay for, the same questions."""
    with ledger.with_suffix(ledger.suffix + ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LedgerError(f"another run is generating with the ledger {ledger}; wait for it, or take another --ledger") from error
        yield


def _summary(dispatcher: Dispatcher) -> str:
    counts, budget = dispatcher.counts, dispatcher.budget
    text = f"{counts['calls']:,} calls, {counts['from the ledger']:,} answers from the ledger, {counts['repairs']:,} repairs"
    text += f"; {budget.prompt_tokens:,} + {budget.completion_tokens:,} tokens"
    return text + (f", ${budget.spent:.4f}" if budget.price.prompt or budget.price.completion else "")
