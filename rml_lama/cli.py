"""The command line: one thin command a verb, no logic. Every error is one line and an exit code (`--debug` shows the trace)."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from rml_lama import __version__
from rml_lama.cli_neurons import neurons
from rml_lama.cli_scores import scores
from rml_lama.errors import RmlLamaError
from rml_lama.terminal import ConfigFile, Languages, Relations, progress_bar, split

if TYPE_CHECKING:
    from rml_lama.validation.fluency import Scorer

app = typer.Typer(
    name="rml-lama",
    help="RML-LAMA: factual knowledge of language models in 27 languages, several phrasings each.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(scores)
app.add_typer(neurons)
_debug = False


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
    what: Annotated[str, typer.Argument(help="What to fetch: mlama or labels.")],
    dest: Annotated[Path | None, typer.Option(help="Folder for what comes; default: data, or labels.")] = None,
    url: Annotated[str | None, typer.Option(help="Another address of the archive, or of the Wikibase's api.php.")] = None,
    sha256: Annotated[str | None, typer.Option(help="mlama: the checksum it must have; default: the one of the first fetch.")] = None,
    ids: Annotated[Path | None, typer.Option(help="labels: a file of item ids, one a line, or a build folder.")] = None,
    languages: Languages = None,
    ledger: Annotated[Path | None, typer.Option(help="labels: where answers are kept; default: DEST.ledger.jsonl.")] = None,
    contact: Annotated[str, typer.Option(help="labels: an e-mail address or URL at which Wikidata reaches you.")] = "",
) -> None:
    """Download the mLAMA archive with checksum and resume, or labels of items from Wikidata.

    Examples: `rml-lama fetch mlama --dest data`, `rml-lama fetch labels --ids out --languages sw,bn --dest labels`
    """
    from rml_lama.builders.command import fetch as fetch_

    with progress_bar() as bar:
        task = bar.add_task(what, total=None)

        def step(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        report = fetch_(what, dest, url=url, sha256=sha256, ids=ids, languages=languages, ledger=ledger, contact=contact, progress=step)
    typer.echo(report)


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
        relations=split(relations),
        all_facts=all_facts,
    )
    ledger = ledger or out.with_name(out.name + ".ledger.jsonl")
    inputs = {"mlama": mlama, "lama": lama, "labels": labels}
    if dry_run:
        typer.echo(generation_plan(options, config, **inputs, bank=bank or BANK, ledger=ledger))
        return
    with progress_bar() as bar:
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
    templates: Annotated[Path | None, typer.Option(help="A file of rows {language, relation, template}, or a bank's <lang>.jsonl.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for scores, rejects and report; called again, the run goes on.")] = None,
    preset: Annotated[str, typer.Option(help="light, full, or a TOML file of filters and thresholds.")] = "light",
    fluency: Annotated[
        str | None, typer.Option(help="A causal model for the filter fluency, with --preset full: a Hub id or `demo`.")
    ] = None,
    facts: Annotated[Path | None, typer.Option(help="A build whose labels show leaked answers.")] = None,
    translations: Annotated[Path | None, typer.Option(help="Outputs of translation systems, a TSV file.")] = None,
    calibrate: Annotated[Path | None, typer.Option(help="Refit the judge to a table of approved and rejected phrasings.")] = None,
    judge: Annotated[Path | None, typer.Option(help="Another judge; with --calibrate, where it is written.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="A review sheet <lang>.csv: written when it is not there, read when it is.")] = None,
    reader: Annotated[str, typer.Option(help="Who filled in the sheet; its readings go to <sheet>.jsonl or --out.")] = "person",
) -> None:
    """Check phrasings: every filter's score, the probability that a person approves, a verdict with its reasons, a report.

    Without --out it is a check: exit code 1 when something is refused.

    Example: `rml-lama validate --templates rows.jsonl --out checked`
    """
    from rml_lama.validation.command import Options, calibrate_judge, check_phrasings, exchange_sheet
    from rml_lama.validation.judge import JUDGE

    if sheet is not None:
        typer.echo(exchange_sheet(sheet, data, reader=reader, out=out))
        return
    with progress_bar() as bar:
        task = bar.add_task("checking", total=None)

        def step(what: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=what)

        scorer = _scorer(fluency) if fluency is not None else None
        options = Options(preset, facts, translations, scorer, judge or JUDGE, step)
        if calibrate is not None:
            said = calibrate_judge(calibrate, judge=judge or Path("judge.toml"), out=out, options=options)
        else:
            checked = check_phrasings(data, templates, out=out, options=options)
            said = checked.report.text()
    typer.echo(said)
    if calibrate is None and out is None and checked.refused:
        raise typer.Exit(1)


def _scorer(model: str) -> Scorer:
    from rml_lama.eval.likelihood import CausalLikelihood
    from rml_lama.eval.models import load_model

    return CausalLikelihood(load_model(model))


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


def _echo_counts(rows: dict[str, int], title: str) -> None:
    typer.echo(title)
    extra = ("facts", "templates", "rejected")
    languages = {name: count for name, count in rows.items() if name not in extra}
    typer.echo(f"queries: {sum(languages.values()):,} in {len(languages)} languages")
    for name in extra:
        typer.echo(f"{name}: {rows.get(name, 0):,}")


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
