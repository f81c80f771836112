"""What the commands share: options that several of them take, and the progress bar."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = [
    "ConfigFile",
    "Data",
    "Device",
    "Dtype",
    "Languages",
    "LimitFacts",
    "LimitTemplates",
    "Model",
    "Out",
    "Relations",
    "Revision",
    "Seed",
    "TemplateKind",
    "progress_bar",
    "progress_steps",
    "split",
]

Languages = Annotated[str | None, typer.Option(help="Comma-separated codes; default: all of them.", metavar="en,de")]
Relations = Annotated[str | None, typer.Option(help="Comma-separated relations; default: all of them.", metavar="P36,P37")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file; options given here win over it.")]

Model = Annotated[str, typer.Argument(help="A Hub id, a folder, a .gguf file, or `demo` (Gemma 3 270M from PyPI).")]
Data = Annotated[Path, typer.Option(help="A build folder.")]
Out = Annotated[Path, typer.Option(help="The result folder; called again, the run goes on where it stopped.")]
LimitFacts = Annotated[int | None, typer.Option(help="Facts per relation, drawn by seed; 0: all.")]
LimitTemplates = Annotated[int | None, typer.Option(help="Phrasings per relation and language, in bank order; 0: all.")]
TemplateKind = Annotated[str | None, typer.Option(help="causal or all.")]
Dtype = Annotated[str | None, typer.Option(help="float32, bfloat16, float16 or auto.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, ...")]
Revision = Annotated[str | None, typer.Option(help="Revision of a Hub model.")]
Seed = Annotated[int | None, typer.Option(help="Seed of every draw.")]


def split(text: str | None) -> tuple[str, ...] | None:
    """The parts of a comma-separated list, None for none.

    >>> split("P36, P37")
    ('P36', 'P37')
    """
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else None


def progress_bar() -> Progress:
    """A progress bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    quiet = logging.getLogger().getEffectiveLevel() > logging.INFO
    return Progress(*columns, console=console, disable=quiet or not console.is_terminal)


@contextlib.contextmanager
def progress_steps(first: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar with one task, which is called with what is done, of how many, and what is being done."""
    with progress_bar() as bar:
        task = bar.add_task(first, total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)
