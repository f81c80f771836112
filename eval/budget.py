"""Group work into batches by a budget of tokens, and halve the budget when memory runs out: a run slows down, it does not die."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from rml_lama.errors import ScoreError

__all__ = ["TokenBudget", "default_tokens"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


def default_tokens(device: torch.device) -> int:
    """Tokens of a pass to start with: on a processor what stays near its caches, on an accelerator what keeps it busy."""
    return 1024 if device.type == "cpu" else 16_384


class TokenBudget:
    """At most `tokens` a batch, padding included; what did not fit into memory once is not tried again."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def run(self, items: Sequence[Item], width: Callable[[Item], int], work: Callable[[list[Item]], Sequence[Answer]]) -> list[Answer]:
        """Give items of like width to `work` in batches; returns its answers, one an item, in the order of `items`.

        Raises `ScoreError` when memory does not hold a single item.
        """
        widths = [width(item) for item in items]
        order = sorted(range(len(items)), key=lambda place: (widths[place], place))
        answers: dict[int, Answer] = {}
        start = 0
        while start < len(order):
            end = start + 1
            while end < len(order) and (end + 1 - start) * widths[order[end]] <= self.tokens:
                end += 1
            batch = order[start:end]
            try:
                found = work([items[place] for place in batch])
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                widest = widths[batch[-1]]
                if len(batch) == 1:
                    raise ScoreError(f"memory does not hold one sequence of {widest} tokens; use a smaller --dtype or model") from error
                self.tokens = len(batch) * widest // 2
                logger.warning("out of memory: passes are cut to %d tokens", self.tokens)
                continue
            answers.update(zip(batch, found, strict=True))
            start = end
        return [answers[place] for place in range(len(items))]


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "not enough memory" in str(error)
