"""Score a small part of the benchmark while a model is trained: a transformers `TrainerCallback`.

    trainer = Trainer(model, ..., processing_class=tokenizer)
    trainer.add_callback(FactCallback("out", log=trainer.log, languages=["en", "ja"], limit_facts=5))

Each evaluation of the trainer then also logs `eval_rml_P@1`, `eval_rml_MRR` and `eval_rml_<language>_P@1`, which serve as
`metric_for_best_model` too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from rml_lama.errors import ConfigError
from rml_lama.eval.evaluate import evaluate
from rml_lama.eval.models import LoadedModel, kind_of

if TYPE_CHECKING:
    from rml_lama.eval.results import Result

__all__ = ["FactCallback"]

_DEFAULTS: dict[str, Any] = {"limit_facts": 5, "limit_templates": 2, "max_candidates": 50, "resamples": 200}
_METRICS = ("P@1", "MRR")


class FactCallback(TrainerCallback):
    """Evaluates at every evaluation of the trainer; `results` keeps the step and the result of each.

    `options` are fields of `EvaluateConfig`; by default a small draw of facts, phrasings and candidates. `log` is the
    trainer's method of that name; without it the numbers are in the trainer's history only.
    Raises `ConfigError` when neither it nor the trainer has a tokenizer.
    """

    def __init__(
        self, data: Path | str, *, tokenizer: Any = None, log: Callable[[dict[str, float]], None] | None = None, **options: Any
    ) -> None:
        self._data = Path(data)
        self._tokenizer = tokenizer
        self._log = log
        self._options = {**_DEFAULTS, **options}
        self.results: list[tuple[int, Result]] = []

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Score the model as it is; it trains on afterwards as before."""
        model, tokenizer = kwargs["model"], self._tokenizer or kwargs.get("processing_class")
        if tokenizer is None:
            raise ConfigError("FactCallback needs a tokenizer: give it as tokenizer=..., or to the trainer as processing_class=...")
        was_training = model.training
        model.eval()
        try:
            dtype = str(model.dtype).removeprefix("torch.")
            loaded = LoadedModel("training", f"step-{state.global_step}", kind_of(model.config, "training"), dtype, model, tokenizer)
            result = evaluate(loaded, self._data, **self._options)
        finally:
            model.train(was_training)
        self.results.append((state.global_step, result))
        logs = {f"eval_rml_{metric}": result.overall[metric].value for metric in _METRICS}
        logs |= {f"eval_rml_{code}_P@1": scores["P@1"].value for code, scores in result.languages.items()}
        if kwargs.get("metrics") is not None:
            kwargs["metrics"].update(logs)
        if self._log is not None:
            self._log(logs)
        else:
            state.log_history.append({**logs, "step": state.global_step})
