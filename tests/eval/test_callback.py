"""A real trainer on a tiny model: the benchmark's numbers are in its logs, and training goes on as without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rml_lama.errors import ConfigError
from rml_lama.eval.callback import FactCallback
from tests.eval.tiny_models import causal_models, make_tokenizer, seeded

pytestmark = pytest.mark.filterwarnings("ignore")


def trained(tmp_path: Path, callbacks: list[Any], *, tokenizer: Any = None) -> Any:
    """A trainer after two steps with an evaluation each."""
    from transformers import Trainer, TrainingArguments

    rows = [{"input_ids": ids, "labels": ids} for ids in torch.randint(3, 300, (4, 8), generator=torch.Generator().manual_seed(0)).tolist()]
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=2, eval_strategy="steps", eval_steps=1, report_to=[], use_cpu=True, save_strategy="no", seed=0
    )
    model = seeded(causal_models()["llama"], gain=1.0)
    trainer = Trainer(model, arguments, train_dataset=rows, eval_dataset=rows, processing_class=tokenizer)
    for callback in callbacks:
        if callback._log is not None:
            callback._log = trainer.log
        trainer.add_callback(callback)
    trainer.train()
    return trainer


def test_numbers_are_logged_and_training_is_undisturbed(tmp_path: Path, open_build: Path, options: dict[str, Any]) -> None:
    wanted = {**options, "limit_facts": 2}
    callback = FactCallback(open_build, tokenizer=make_tokenizer("byte-level"), log=print, **wanted)
    trainer = trained(tmp_path, [callback])
    assert [step for step, _ in callback.results] == [1, 2]
    logged = [line for line in trainer.state.log_history if "eval_rml_P@1" in line]
    assert len(logged) == 2
    assert logged[0]["eval_rml_P@1"] == callback.results[0][1].overall["P@1"].value
    assert {"eval_rml_MRR", "eval_rml_en_P@1", "eval_rml_ja_P@1"} <= set(logged[0])
    assert callback.results[0][1].signature.get("model") == "training@step-1"
    plain = trained(tmp_path, [])
    for ours, theirs in zip(trainer.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert all(parameter.requires_grad for parameter in trainer.model.parameters())


def test_the_tokenizer_of_the_trainer_will_do_and_the_history_is_the_log(tmp_path: Path, open_build: Path, options: dict[str, Any]) -> None:
    trainer = trained(tmp_path, [FactCallback(open_build, **{**options, "limit_facts": 1})], tokenizer=make_tokenizer("byte-level"))
    assert [line["step"] for line in trainer.state.log_history if "eval_rml_P@1" in line] == [1, 2]


def test_without_a_tokenizer(tmp_path: Path, open_build: Path) -> None:
    with pytest.raises(ConfigError, match="needs a tokenizer"):
        trained(tmp_path, [FactCallback(open_build)])
