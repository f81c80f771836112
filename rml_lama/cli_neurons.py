"""The command about neurons: localize. Thin, no logic; `cli.py` holds the rest and the errors."""

from __future__ import annotations

from typing import Annotated

import typer

from rml_lama.terminal import (
    ConfigFile,
    Data,
    Device,
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

__all__ = ["neurons"]

neurons = typer.Typer()


@neurons.command()
def localize(
    model: Model,
    data: Data,
    out: Out,
    method: Annotated[str | None, typer.Option(help="matrice, mean-contrast, dai2022, amig, neurgrad, random-matched, ...")] = None,
    languages: Languages = None,
    relations: Relations = None,
    limit_facts: LimitFacts = None,
    limit_templates: LimitTemplates = None,
    templates: TemplateKind = None,
    quadrature: Annotated[str | None, typer.Option(help="gauss-kronrod-sinh-K, -cubic-K, linspace-S, left-S or midpoint-S.")] = None,
    objective: Annotated[str | None, typer.Option(help="probability or log-probability.")] = None,
    steps: Annotated[str | None, typer.Option(help="Answers of several tokens: stepwise, first or joint.")] = None,
    background: Annotated[int | None, typer.Option(help="Unrelated facts of each language, subtracted as a contrast.")] = None,
    top: Annotated[int | None, typer.Option(help="Neurons reported for each fact.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None,
    device: Device = "cpu",
    revision: Revision = None,
    seed: Seed = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Time two queries, say what the run would cost, and stop.")] = False,
    config: ConfigFile = None,
) -> None:
    """Find the FFN neurons that serve each fact in every language, with intervals, certified by completeness.

    Example: `rml-lama localize demo --data out --out runs/neurons --languages en,ja,tr --limit-facts 2`
    """
    from rml_lama.config import LocalizeConfig, load_config
    from rml_lama.eval.localize import localize as localize_
    from rml_lama.eval.localize import plan_localization
    from rml_lama.languages import parse_languages

    options = load_config(
        LocalizeConfig,
        config,
        languages=parse_languages(languages) if languages else None,
        relations=split(relations),
        limit_facts=limit_facts,
        limit_templates=limit_templates,
        templates=templates,
        method=method,
        quadrature=quadrature,
        objective=objective,
        steps=steps,
        background=background,
        top=top,
        dtype=dtype,
        seed=seed,
    )
    if dry_run:
        typer.echo(plan_localization(model, data, options, device=device, revision=revision))
        return
    with progress_steps("loading the model") as step:
        result = localize_(model, data, options, out=out, device=device, revision=revision, progress=step)
    typer.echo(result.table())
    typer.echo(str(result.signature))
