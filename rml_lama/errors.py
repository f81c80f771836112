"""The error tree: everything this package raises on purpose.

RmlLamaError
├── UsageError            exit code 2: the caller can mend it
│   ├── ConfigError           a config file or option: unknown key, wrong type, out of range
│   ├── DataError             input data: an archive, a label file, a template, a build folder
│   │   └── UnsafeArchiveError    an archive that tries to leave its folder or to explode
│   ├── OutputError           the output folder: not empty, not writable, no space left
│   ├── ModelError            a model that cannot be loaded or has no supported head
│   └── MissingExtraError     an optional package is not installed
└── WorkError             exit code 1: the work itself failed
    ├── FetchError            a download that did not finish or has the wrong checksum
    ├── LedgerError           the ledger of paid answers is damaged or lacks an answer
    └── ScoreError            a model gave numbers that cannot be ranked
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "ConfigError",
    "DataError",
    "FetchError",
    "LedgerError",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "RmlLamaError",
    "ScoreError",
    "UnsafeArchiveError",
    "UsageError",
    "WorkError",
]


class RmlLamaError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(RmlLamaError):
    """The input or the call is wrong and the caller can mend it."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration value is unknown, of the wrong type or out of range."""


class DataError(UsageError):
    """Input data is malformed; the message ends with the place, as `(file:line)`."""

    def __init__(self, what: str, path: str | Path | None = None, line: int | None = None) -> None:
        place = "" if path is None else f" ({path}{'' if line is None else f':{line}'})"
        super().__init__(what + place)
        self.path = path
        self.line = line


class UnsafeArchiveError(DataError):
    """An archive member would be written outside its folder, or is too large to be honest."""


class OutputError(UsageError):
    """The output folder cannot be used."""


class ModelError(UsageError):
    """The model cannot be loaded or scored; the message says what was looked for."""


class MissingExtraError(UsageError):
    """An optional dependency is missing; the message holds the pip command."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"the package {package!r} is needed here: pip install 'rml-lama[{extra}]'")


class WorkError(RmlLamaError):
    """The work was well asked for but failed."""


class FetchError(WorkError):
    """A download did not finish, or its bytes are not the expected ones."""


class LedgerError(WorkError):
    """The ledger is damaged, or an answer is not in it."""


class ScoreError(WorkError):
    """Scores that cannot be ranked (NaN, missing answer)."""
