"""What the commands share: options that several of them take, and the progress bar."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["ConfigFile", "Languages", "Relations", "progress_bar", "split"]

Languages = Annotated[str | None, typer.Option(help="Comma-separated codes; default: all of them.", metavar="en,de")]
Relations = Annotated[str | None, typer.Option(help="Comma-separated relations; default: all of them.", metavar="P36,P37")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file; options given here win over it.")]


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
