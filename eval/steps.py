"""Turn queries into units: the tokens that the model reads, with the gold answer's tokens fed one after another (teacher-forced).

`stepwise` makes one unit an answer token (its attribution is the mean over them), `first` keeps the first only, `joint`
makes one unit whose F is the product, with the site at the last prompt token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from rml_lama.errors import ModelError
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.unit import Unit
from rml_lama.records import Query

__all__ = ["Steps", "neutral_unit", "units_of"]

Steps = Literal["stepwise", "first", "joint"]


def units_of(loaded: LoadedModel, query: Query, *, steps: Steps = "stepwise") -> list[Unit]:
    """The units of one query. Raises `ModelError` when nothing stands before the blank or the answer has no token."""
    if getattr(loaded.model.config, "is_encoder_decoder", False):
        return _encoded(loaded, query, steps)
    return _masked(loaded, query, steps) if loaded.kind == "masked" else _causal(loaded, query, steps)


def neutral_unit(loaded: LoadedModel, unit: Unit) -> Unit:
    """The same unit with every token but the first replaced by a neutral one (for `amig`'s baseline).

    The neutral token is the tokenizer's unknown, padding or end token, whichever it has; masked models keep the mask.
    """
    tokenizer = loaded.tokenizer
    neutral = next((token for token in (tokenizer.unk_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id) if token is not None), 0)
    keep = {0, unit.site} if loaded.kind == "masked" else {0}
    tokens = tuple(token if place in keep else neutral for place, token in enumerate(unit.tokens))
    return Unit(tokens, unit.site, unit.targets, unit.source, unit.rival)


def _causal(loaded: LoadedModel, query: Query, steps: Steps) -> list[Unit]:
    prompt, whole = (
        list(ids) for ids in loaded.tokenizer([query.prompt.rstrip(), query.prompt + query.answer], add_special_tokens=False)["input_ids"]
    )
    shared = 0  # the answer is read together with the prompt; what that changes of the prompt's end counts with the answer
    while shared < min(len(prompt), len(whole) - 1) and prompt[shared] == whole[shared]:
        shared += 1
    context, answer = [*_start(loaded.tokenizer), *whole[:shared]], whole[shared:]
    if not context:
        raise ModelError(f"nothing stands before the blank of {query.prompt!r}, and the model has no start token")
    return _after(context, answer, steps)


def _after(context: list[int], answer: list[int], steps: Steps, source: tuple[int, ...] = ()) -> list[Unit]:
    """Units of an answer that follows a context."""
    last = len(context) - 1
    if steps == "joint":
        tokens = (*context, *answer[:-1])
        return [Unit(tokens, last, tuple((last + place, token) for place, token in enumerate(answer)), source)]
    count = 1 if steps == "first" else len(answer)
    return [Unit((*context, *answer[:place]), last + place, ((last + place, answer[place]),), source) for place in range(count)]


def _masked(loaded: LoadedModel, query: Query, steps: Steps) -> list[Unit]:
    """Masks in the answer's places; in the step of token t those before it are filled in."""
    tokenizer = loaded.tokenizer
    if tokenizer.mask_token_id is None:
        raise ModelError(f"the tokenizer of {loaded.name!r} has no mask token")
    text = query.prompt + query.answer + query.suffix
    encoded = tokenizer(text, return_offsets_mapping=True)
    start, end = len(query.prompt), len(query.prompt) + len(query.answer)
    ids = list(encoded["input_ids"])
    places = [place for place, (a, b) in enumerate(encoded["offset_mapping"]) if a < end and b > start and b > a and text[a:b].strip()]
    if not places:
        raise ModelError(f"the tokenizer gives no token for {query.answer!r} in {text!r}")

    def masked(filled: int) -> tuple[int, ...]:
        hidden = set(places[filled:])
        return tuple(tokenizer.mask_token_id if place in hidden else token for place, token in enumerate(ids))

    if steps == "joint":
        return [Unit(masked(0), places[0], tuple((place, ids[place]) for place in places))]
    count = 1 if steps == "first" else len(places)
    return [Unit(masked(step), places[step], ((places[step], ids[places[step]]),)) for step in range(count)]


def _encoded(loaded: LoadedModel, query: Query, steps: Steps) -> list[Unit]:
    """T5's manner: a sentinel in the blank, the decoder begins with the start token and the sentinel."""
    tokenizer = loaded.tokenizer
    sentinel = tokenizer.convert_tokens_to_ids("<extra_id_0>")
    if sentinel is None or sentinel == tokenizer.unk_token_id:
        raise ModelError(f"the tokenizer of {loaded.name!r} has no sentinel: looked for <extra_id_0>")
    source = tuple(tokenizer(query.prompt + "<extra_id_0>" + query.suffix)["input_ids"])
    answer = list(tokenizer(query.answer, add_special_tokens=False)["input_ids"])
    if not answer:
        raise ModelError(f"the tokenizer gives no token for {query.answer!r}")
    return _after([int(loaded.model.config.decoder_start_token_id), sentinel], answer, steps, source)


def _start(tokenizer: Any) -> Sequence[int]:
    """What the tokenizer puts before a text on its own, such as BOS; never what it puts after."""
    probe, bare = tokenizer("a")["input_ids"], tokenizer("a", add_special_tokens=False)["input_ids"]
    return list(probe[: len(probe) - len(bare)]) if probe[-len(bare) :] == bare else list(probe[:1])
