"""The definitions, word for word: one sentence at a time, every number from the model's own logits. The fast paths equal these."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from rml_lama.eval.base import Ask


def log_probabilities(logits: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(logits.double(), dim=-1)


@torch.inference_mode()
def causal(model: Any, tokenizer: Any, ask: Ask, scope: str) -> np.ndarray:
    """Each candidate's text on its own, without padding; every token after the common beginning is scored."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    bos = list(
        itertools.takewhile(lambda token: token != encoded["input_ids"][encoded["special_tokens_mask"].index(0)], encoded["input_ids"])
    )
    end = "" if scope == "answer" else ask.suffix
    prompt = bos + tokenizer(ask.prompt.rstrip(), add_special_tokens=False)["input_ids"]
    wholes = [bos + tokenizer(ask.prompt + candidate + end, add_special_tokens=False)["input_ids"] for candidate in ask.candidates]
    if scope == "sentence":
        first = max(len(bos), 1)
    else:
        same = [sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(prompt, ids, strict=False))) for ids in wholes]
        first = min(min(count, len(ids) - 1) for count, ids in zip(same, wholes, strict=True))
    scores = []
    for ids in wholes:
        found = log_probabilities(model(torch.tensor([ids])).logits[0])
        scores.append(sum(float(found[place - 1, ids[place]]) for place in range(first, len(ids))))
    return np.array(scores)


def _inside(tokenizer: Any, ask: Ask, candidate: str) -> tuple[list[int], list[int], Any]:
    text = ask.prompt + candidate + ask.suffix
    encoded = tokenizer(text, return_offsets_mapping=True)
    span = set(range(len(ask.prompt), len(ask.prompt) + len(candidate)))
    places = [i for i, (a, b) in enumerate(encoded["offset_mapping"]) if set(range(a, b)) & span and text[a:b].strip()]
    return list(encoded["input_ids"]), places, encoded


@torch.inference_mode()
def masked(model: Any, tokenizer: Any, ask: Ask, masking: str, *, sentence: bool = False) -> np.ndarray:
    scores = []
    for candidate in ask.candidates:
        ids, places, encoded = _inside(tokenizer, ask, candidate)
        words = encoded.word_ids(0)
        if sentence:
            places = [place for place, word in enumerate(words) if word is not None]
        score = 0.0
        for place in places:
            hidden = places if masking == "mask-joint" else [other for other in places if other >= place and words[other] == words[place]]
            hidden_ids = [tokenizer.mask_token_id if i in hidden else token for i, token in enumerate(ids)]
            score += float(log_probabilities(model(torch.tensor([hidden_ids])).logits[0])[place, ids[place]])
        scores.append(score)
    return np.array(scores)


@torch.inference_mode()
def encoder_decoder(model: Any, tokenizer: Any, ask: Ask) -> np.ndarray:
    sentinel = tokenizer.convert_tokens_to_ids("<extra_id_0>")
    scores = []
    for candidate in ask.candidates:
        ids, places, _ = _inside(tokenizer, ask, candidate)
        answer = ids[places[0] : places[-1] + 1]
        encoder = torch.tensor([[*ids[: places[0]], sentinel, *ids[places[-1] + 1 :]]])
        decoder = torch.tensor([[model.config.decoder_start_token_id, sentinel, *answer]])
        found = log_probabilities(model(input_ids=encoder, decoder_input_ids=decoder).logits[0])
        scores.append(sum(float(found[1 + number, token]) for number, token in enumerate(answer)))
    return np.array(scores)
