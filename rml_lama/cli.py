"""The command line: one thin command a verb, no logic. Every error is one line and an exit code (`--debug` shows the trace)."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from rml_lama import __version__
from rml_lama.errors import ConfigError, RmlLamaError

if TYPE_CHECKING:
    from rich.progress import Progress

app = typer.Typer(
    name="rml-lama",
    help="RML-LAMA: factual knowledge of language models in 27 languages, several phrasings each.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
_debug = False

Languages = Annotated[str | None, typer.Option(help="Comma-separated codes; default: all of them.", metavar="en,de")]
Relations = Annotated[str | None, typer.Option(help="Comma-separated relations; default: all of them.", metavar="P36,P37")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file; options given here win over it.")]


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Warnings and errors only, no progress.")] = False,
) -> None:
    global _debug
    _debug = debug
    logging.basicConfig(level=logging.WARNING if quiet else logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    for noisy in ("httpx", "httpcore", "datasets", "urllib3", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def fetch(
    what: Annotated[str, typer.Argument(help="What to fetch: mlama.")],
    dest: Annotated[Path, typer.Option(help="Folder for the archive and what it holds.")] = Path("data"),
    url: Annotated[str | None, typer.Option(help="Another address of the archive.")] = None,
    sha256: Annotated[str | None, typer.Option(help="The checksum it must have; default: the one of the first fetch.")] = None,
) -> None:
    """Download the mLAMA archive with checksum and resume, and unpack it safely.

    Example: `rml-lama fetch mlama --dest data`
    """
    from rml_lama.builders.fetch import MLAMA_URL, fetch_mlama

    if what != "mlama":
        raise ConfigError(f"cannot fetch {what!r}; known: mlama")
    with _progress() as bar:
        task = bar.add_task("mLAMA", total=None)
        folder = fetch_mlama(
            dest, url=url or MLAMA_URL, sha256=sha256, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    typer.echo(folder)


@app.command()
def build(
    out: Annotated[Path, typer.Argument(help="The build folder to write or replace.")],
    track: Annotated[str | None, typer.Option(help="open (no download needed) or lama (full).")] = None,
    mlama: Annotated[Path | None, typer.Option(help="mLAMA as a zip file or a folder, for the track lama.")] = None,
    lama: Annotated[Path | None, typer.Option(help="The original LAMA instead: English, other languages by --labels.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Folder of label overlays such as sw.tsv.")] = None,
    languages: Languages = None,
    relations: Relations = None,
    all_facts: Annotated[bool | None, typer.Option("--all-facts", help="Also facts that are not labelled in every language.")] = None,
    bank: Annotated[Path | None, typer.Option(help="Another template bank: a folder of <lang>.jsonl files.")] = None,
    generate: Annotated[bool, typer.Option("--generate", help="Ask a language model for more, as [generate] in the config says.")] = False,
    replay: Annotated[bool, typer.Option("--replay", help="As --generate, from the ledger alone: no network, no key.")] = False,
    batch: Annotated[bool, typer.Option("--batch", help="Ask through the provider's Batch API.")] = False,
    ledger: Annotated[Path | None, typer.Option(help="Where answers are kept; default: <OUT>.ledger.jsonl.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="Dollars that this run may not pass.")] = None,
    save_bank: Annotated[Path | None, typer.Option(help="Also write the phrasings, with the new ones, as a bank.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what --generate would ask and cost, and stop.")] = False,
    config: ConfigFile = None,
) -> None:
    """Build the benchmark: queries, facts, phrasings and rejects as Parquet files with a card and a manifest.

    Example: `rml-lama build out --track open --languages en,ja`
    """
    from rml_lama.builders.bank import BANK
    from rml_lama.builders.build import build as build_
    from rml_lama.builders.command import generating, generation_plan
    from rml_lama.config import BuildConfig, load_config
    from rml_lama.languages import parse_languages

    options = load_config(
        BuildConfig,
        config,
        track=track,
        languages=parse_languages(languages) if languages else None,
        relations=_split(relations),
        all_facts=all_facts,
    )
    ledger = ledger or out.with_name(out.name + ".ledger.jsonl")
    inputs = {"mlama": mlama, "lama": lama, "labels": labels}
    if dry_run:
        typer.echo(generation_plan(options, config, **inputs, bank=bank or BANK, ledger=ledger))
        return
    with _progress() as bar:
        task = bar.add_task("building", total=None)

        def step(relation: str, rows: int) -> None:
            bar.update(task, description=f"{relation}: {rows:,} queries")

        def called(calls: int) -> None:
            bar.update(task, description=f"{calls:,} calls")

        with generating(
            config, generate=generate, replay=replay, batch=batch, ledger=ledger, max_cost=max_cost, progress=called
        ) as generation:
            summary = build_(out, options, **inputs, bank=bank or BANK, generation=generation, save_bank=save_bank, progress=step)
    _echo_counts(summary.rows, f"{summary.path}  data:{summary.data}")
    for name, count in dict(summary.source.get("counts", {})).items():
        typer.echo(f"source {name.replace('_', ' ')}: {count:,}")
    for name, count in summary.generated.items():
        typer.echo(f"generated, {name}: {count:,}")


@app.command()
def validate(
    data: Annotated[Path | None, typer.Argument(help="A build folder; default: the phrasings of the package.")] = None,
    templates: Annotated[Path | None, typer.Option(help="A file of phrasings, <lang>.jsonl.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="A review sheet <lang>.csv: written when it is not there, read when it is.")] = None,
    reader: Annotated[str, typer.Option(help="Who filled in the sheet.")] = "person",
    out: Annotated[Path | None, typer.Option(help="Where readings of a sheet go; default: <sheet>.jsonl.")] = None,
) -> None:
    """Check phrasings, and write or read a review sheet for people.

    Example: `rml-lama validate out --sheet de.csv`
    """
    from rml_lama.validation.command import check_phrasings, exchange_sheet

    if sheet is not None:
        typer.echo(exchange_sheet(sheet, data, reader=reader, out=out))
        return
    report, failures = check_phrasings(data, templates)
    typer.echo(report)
    if failures:
        raise typer.Exit(1)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A Hub id, a local folder, or `demo` (Gemma 3 270M from PyPI).")],
    data: Annotated[Path, typer.Option(help="A build folder.")],
    out: Annotated[Path, typer.Option(help="The result folder; called again, the run goes on where it stopped.")],
    languages: Languages = None,
    relations: Relations = None,
    limit_facts: Annotated[int | None, typer.Option(help="Facts per relation, drawn by seed.")] = None,
    limit_templates: Annotated[int | None, typer.Option(help="Phrasings per relation and language, in bank order.")] = None,
    templates: Annotated[str | None, typer.Option(help="causal or all.")] = None,
    score: Annotated[str | None, typer.Option(help="answer or answer+suffix.")] = None,
    norm: Annotated[str | None, typer.Option(help="sum or mean of the answer tokens' log-probabilities.")] = None,
    max_candidates: Annotated[int | None, typer.Option(help="At most so many candidates a query, drawn by seed.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    revision: Annotated[str | None, typer.Option(help="Revision of a Hub model.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every draw.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many queries and candidates, and stop.")] = False,
    config: ConfigFile = None,
) -> None:
    """Rank every candidate answer of every query and say how often the right one comes first, with intervals.

    Example: `rml-lama evaluate demo --data out --out runs/gemma --languages en,ja --limit-facts 20`
    """
    from rml_lama.config import EvaluateConfig, load_config
    from rml_lama.eval.evaluate import evaluate as evaluate_
    from rml_lama.eval.evaluate import plan
    from rml_lama.languages import parse_languages

    options = load_config(
        EvaluateConfig,
        config,
        languages=parse_languages(languages) if languages else None,
        relations=_split(relations),
        limit_facts=limit_facts,
        limit_templates=limit_templates,
        templates=templates,
        score=score,
        norm=norm,
        max_candidates=max_candidates,
        dtype=dtype,
        seed=seed,
    )
    if dry_run:
        typer.echo(plan(data, options))
        return
    with _progress() as bar:
        task = bar.add_task("loading the model", total=None)

        def step(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        result = evaluate_(model, data, options, out=out, device=device, revision=revision, progress=step)
    typer.echo(result.table())
    typer.echo(str(result.signature))


@app.command()
def localize(
    model: Annotated[str, typer.Argument(help="A Hub id, a local folder, or `demo` (Gemma 3 270M from PyPI).")],
    data: Annotated[Path, typer.Option(help="A build folder.")],
    out: Annotated[Path, typer.Option(help="The result folder; called again, the run goes on where it stopped.")],
    method: Annotated[str | None, typer.Option(help="matrice, mean-contrast, dai2022, amig, neurgrad, random-matched, ...")] = None,
    languages: Languages = None,
    relations: Relations = None,
    limit_facts: Annotated[int | None, typer.Option(help="Facts per relation, drawn by seed; 0: all.")] = None,
    limit_templates: Annotated[int | None, typer.Option(help="Phrasings per relation and language, in bank order.")] = None,
    templates: Annotated[str | None, typer.Option(help="causal or all.")] = None,
    quadrature: Annotated[str | None, typer.Option(help="gauss-kronrod-cubic-K, linspace-S, left-S or midpoint-S.")] = None,
    objective: Annotated[str | None, typer.Option(help="probability or log-probability.")] = None,
    steps: Annotated[str | None, typer.Option(help="Answers of several tokens: stepwise, first or joint.")] = None,
    background: Annotated[int | None, typer.Option(help="Unrelated facts of each language, subtracted as a contrast.")] = None,
    top: Annotated[int | None, typer.Option(help="Neurons reported for each fact.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    revision: Annotated[str | None, typer.Option(help="Revision of a Hub model.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every draw.")] = None,
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
        relations=_split(relations),
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
    with _progress() as bar:
        task = bar.add_task("loading the model", total=None)

        def step(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        result = localize_(model, data, options, out=out, device=device, revision=revision, progress=step)
    typer.echo(result.table())
    typer.echo(str(result.signature))


@app.command("neuron-report")
def neuron_report(
    run: Annotated[Path, typer.Argument(help="A folder that `localize` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page: one HTML file that needs no network.")],
) -> None:
    """Write the page of a localization: where the neurons are, how far languages agree, what transfers, how sure it is.

    Example: `rml-lama neuron-report runs/neurons -o neurons.html`
    """
    from rml_lama.eval.localization import Localization
    from rml_lama.eval.neuron_report import write_page

    write_page(Localization.load(run), out)
    typer.echo(out)


@app.command()
def plot(
    run: Annotated[Path, typer.Argument(help="A result folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture: .png, .svg, .html or .json.")],
    metric: Annotated[str, typer.Option(help="P@1, P@5 or MRR.")] = "P@1",
) -> None:
    """Draw a result by language, with intervals.

    Example: `rml-lama plot runs/gemma -o languages.png`
    """
    from rml_lama.eval.plots import language_chart, save_chart
    from rml_lama.eval.results import Result

    save_chart(language_chart(Result.load(run), metric), out)
    typer.echo(out)


@app.command()
def info(path: Annotated[Path, typer.Argument(help="A build folder or a result folder.")]) -> None:
    """Say what a build or a result folder holds.

    Example: `rml-lama info out`
    """
    if (path / "localization.json").exists():
        from rml_lama.eval.localization import Localization

        found = Localization.load(path)
        typer.echo(found.table())
        typer.echo(str(found.signature))
        return
    if (path / "result.json").exists():
        from rml_lama.eval.results import Result

        result = Result.load(path)
        typer.echo(result.table())
        typer.echo(str(result.signature))
        return
    from rml_lama.hub.folder import read_manifest

    manifest = read_manifest(path)
    _echo_counts(manifest["rows"], f"{path}  data:{manifest['data']}  version:{manifest['version']}")


def _split(text: str | None) -> tuple[str, ...] | None:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else None


def _echo_counts(rows: dict[str, int], title: str) -> None:
    typer.echo(title)
    extra = ("facts", "templates", "rejected")
    languages = {name: count for name, count in rows.items() if name not in extra}
    typer.echo(f"queries: {sum(languages.values()):,} in {len(languages)} languages")
    for name in extra:
        typer.echo(f"{name}: {rows.get(name, 0):,}")


def _progress() -> Progress:
    """A progress bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    quiet = logging.getLogger().getEffectiveLevel() > logging.INFO
    return Progress(*columns, console=console, disable=quiet or not console.is_terminal)


def main() -> NoReturn:
    """Run the command line; errors raised on purpose become one line and their exit code."""
    try:
        app(standalone_mode=True)
    except RmlLamaError as error:
        if _debug:
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("stopped; what was done is kept, and the same command goes on from there", err=True)
        sys.exit(130)
    sys.exit(0)


if __name__ == "__main__":
    main()
