"""Batches keep to the budget; memory that runs out halves it and loses no answer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rml_lama.errors import ScoreError
from rml_lama.eval.budget import TokenBudget, default_tokens


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(1, 60))
def test_answers_come_in_the_order_of_the_items(widths: list[int], tokens: int) -> None:
    seen: list[list[int]] = []

    def work(batch: list[int]) -> list[int]:
        seen.append(batch)
        return [width * 10 for width in batch]

    assert TokenBudget(tokens).run(widths, lambda width: width, work) == [width * 10 for width in widths]
    assert all(len(batch) == 1 or len(batch) * max(batch) <= tokens for batch in seen)
    assert sorted(width for batch in seen for width in batch) == sorted(widths)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory")]
)
def test_a_pass_that_does_not_fit_is_cut(error: Exception) -> None:
    sizes: list[int] = []

    def work(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        if len(batch) > 3:
            raise error
        return batch

    budget = TokenBudget(100)
    assert budget.run([10] * 12, lambda width: width, work) == [10] * 12
    assert sizes == [10, 5, 2, 2, 2, 2, 2, 2]
    assert budget.tokens == 25


def test_what_can_never_fit_is_an_error_and_other_errors_pass() -> None:
    def fails(batch: list[int]) -> list[int]:
        raise MemoryError

    with pytest.raises(ScoreError, match="one sequence of 7 tokens"):
        TokenBudget(10).run([7], lambda width: width, fails)

    def breaks(batch: list[int]) -> list[int]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        TokenBudget(10).run([7], lambda width: width, breaks)


def test_an_accelerator_is_kept_busy() -> None:
    assert default_tokens(torch.device("cuda")) > default_tokens(torch.device("cpu"))
