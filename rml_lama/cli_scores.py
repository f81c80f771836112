"""The commands about scores: evaluate, table, plot, compare, report. Thin, no logic; `cli.py` holds the rest and the errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rml_lama.terminal import (
    ConfigFile,
    Data,
    Device,
    Dtype,
    Languages,
    LimitFacts,
    LimitTemplates,
    Model,
    Out,
    Relations,
    Revision,
    Seed,
    TemplateKind,
    progress_steps,
    split,
)

if TYPE_CHECKING:
    from rml_lama.config import EvaluateConfig

__all__ = ["scores"]

scores = typer.Typer()

Run = Annotated[Path, typer.Argument(help="A result folder.")]
Picture = Annotated[Path, typer.Option("--out", "-o", help="The picture: .png, .svg, .html or .json.")]


@scores.command()
def evaluate(
    model: Model,
    data: Data,
    out: Out,
    languages: Languages = None,
    relations: Relations = None,
    limit_facts: LimitFacts = None,
    limit_templates: LimitTemplates = None,
    templates: TemplateKind = None,
    score: Annotated[str | None, typer.Option(help="answer, answer+suffix or sentence.")] = None,
    masking: Annotated[str | None, typer.Option(help="mask-joint or pll-l2r, for masked models.")] = None,
    norm: Annotated[str | None, typer.Option(help="sum or mean of the tokens' log-probabilities.")] = None,
    prior: Annotated[str | None, typer.Option(help="none, or pmi: less the score without the subject.")] = None,
    max_candidates: Annotated[int | None, typer.Option(help="At most so many candidates a query, drawn by seed.")] = None,
    dtype: Dtype = None,
    device: Device = "cpu",
    device_map: Annotated[str | None, typer.Option(help="auto: spread the model over the devices that are there.")] = None,
    quantization: Annotated[str, typer.Option(help="8bit or 4bit, through bitsandbytes.")] = "none",
    revision: Revision = None,
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code", help="Run code that the model brings along.")] = False,
    seed: Seed = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count queries and candidates, time a few if the model is on this machine, and stop.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Rank every candidate answer of every query and say how often the right one comes first, with intervals.

    Example: `rml-lama evaluate demo --data out --out runs/gemma --languages en,ja --limit-facts 20`
    """
    from rml_lama.config import EvaluateConfig, load_config
    from rml_lama.eval.evaluate import evaluate as evaluate_
    from rml_lama.languages import parse_languages

    options = load_config(
        EvaluateConfig,
        config,
        languages=parse_languages(languages) if languages else None,
        relations=split(relations),
        limit_facts=limit_facts,
        limit_templates=limit_templates,
        templates=templates,
        score=score,
        masking=masking,
        norm=norm,
        prior=prior,
        max_candidates=max_candidates,
        dtype=dtype,
        seed=seed,
    )
    load: dict[str, object] = {"device": device, "device_map": device_map, "quantization": quantization}
    load |= {"revision": revision, "trust_remote_code": trust_remote_code}
    if dry_run:
        _say_plan(model, data, options, load)
        return
    with progress_steps("loading the model") as step:
        result = evaluate_(model, data, options, out=out, load=load, progress=step)
    typer.echo(result.table())
    typer.echo(str(result.signature))


def _say_plan(model: str, data: Path, options: EvaluateConfig, load: dict[str, object]) -> None:
    from rml_lama.eval.evaluate import estimate, plan
    from rml_lama.eval.models import DEMO

    typer.echo(plan(data, options))
    if model == DEMO or Path(model).exists():  # nothing is downloaded for an estimate
        typer.echo(estimate(model, data, options, load=load))


@scores.command()
def table(
    run: Run,
    by: Annotated[str, typer.Option(help="language, relation, family, script or stratum.")] = "language",
    format: Annotated[str, typer.Option(help="markdown, latex, csv or json.")] = "markdown",
) -> None:
    """Print the scores of a run as a table, with intervals.

    Example: `rml-lama table runs/gemma --by relation --format latex`
    """
    from rml_lama.eval.results import Result

    typer.echo(Result.load(run).table(by, format=format))


@scores.command()
def plot(
    run: Run,
    out: Picture,
    kind: Annotated[str, typer.Option(help="languages, agreement, phrasings, calibration or risk.")] = "languages",
    metric: Annotated[str, typer.Option(help="P@1, P@5, MRR, margin or Brier, for languages.")] = "P@1",
) -> None:
    """Draw a result: by language with intervals, or one of the other charts.

    Example: `rml-lama plot runs/gemma -o languages.png`
    """
    from rml_lama.eval.plots import save_chart
    from rml_lama.eval.results import Result

    save_chart(Result.load(run).plot(kind, metric=metric), out)
    typer.echo(out)


@scores.command()
def compare(
    first: Annotated[Path, typer.Argument(help="The result folder of one model.")],
    second: Annotated[Path, typer.Argument(help="The result folder of another one.")],
    metric: Annotated[str, typer.Option(help="P@1 or MRR.")] = "P@1",
    ignore: Annotated[str | None, typer.Option(help="Keys of the signature that may differ, such as dtype.")] = None,
) -> None:
    """Say whether the first model is better, worse or tied: paired by query, clustered by fact, Holm over languages.

    Example: `rml-lama compare runs/gemma runs/qwen`
    """
    from rml_lama.eval.comparison import compare as compare_
    from rml_lama.eval.results import Result

    typer.echo(compare_(Result.load(first), Result.load(second), metric=metric, ignore=split(ignore) or ()).table())


@scores.command()
def report(
    run: Annotated[Path, typer.Argument(help="A result folder of `evaluate` or `localize`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page: one .html file that needs no network.")],
    data: Annotated[Path | None, typer.Option(help="The build folder, for the sentences of the examples.")] = None,
) -> None:
    """Write a run as one page: of scores (languages, agreement, phrasings, calibration, examples) or of neurons (where, how sure).

    Example: `rml-lama report runs/gemma -o report.html --data out`
    """
    if (run / "localization.json").exists():
        from rml_lama.eval.localization import Localization
        from rml_lama.eval.neuron_report import write_page

        write_page(Localization.load(run), out)
        typer.echo(out)
        return
    from rml_lama.eval.report import write_report
    from rml_lama.eval.results import Result

    typer.echo(write_report(Result.load(run), out, data=data))
