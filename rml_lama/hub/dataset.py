"""An importable dataset builder over a build folder, for code that wants a class rather than a path.

    from rml_lama.hub.dataset import RmlLama
    builder = RmlLama("ja", data_dir="out")
    builder.download_and_prepare()
    queries = builder.as_dataset(split="test")

`load_dataset("out", "ja")` gives the same rows and needs no class; this one works in datasets 2.21 to 5.2, and as a
classic script up to 3.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from rml_lama.errors import ConfigError
from rml_lama.hub.folder import read_manifest
from rml_lama.hub.schema import FACTS, QUERIES, REJECTED, TEMPLATES
from rml_lama.languages import ALL_CODES

__all__ = ["RmlLama"]

_SCHEMAS: dict[str, pa.Schema] = {"facts": FACTS, "templates": TEMPLATES, "rejected": REJECTED}


class RmlLama(datasets.ArrowBasedBuilder):  # type: ignore[misc]
    """RML-LAMA from a build folder, given as `data_dir`; a config for each language, and all, facts, templates, rejected."""

    BUILDER_CONFIGS: ClassVar[list[datasets.BuilderConfig]] = [
        datasets.BuilderConfig(name=name, version=datasets.Version("1.0.0")) for name in ("all", *ALL_CODES, *_SCHEMAS)
    ]
    DEFAULT_CONFIG_NAME = "all"

    def __init__(self, config_name: str = "all", data_dir: str | Path | None = None, **options: Any) -> None:
        folder = None if data_dir is None else Path(data_dir).resolve()
        if folder is not None:  # the cache must not survive a rebuild: its key holds the content
            manifest = read_manifest(folder)
            if config_name not in manifest["configs"]:
                raise ConfigError(f"the build {folder} has no config {config_name!r}; it has {' '.join(manifest['configs'])}")
            options.setdefault("hash", manifest["configs"][config_name]["sha256"])
        super().__init__(config_name=config_name, data_dir=None if folder is None else str(folder), **options)

    def _info(self) -> datasets.DatasetInfo:
        schema = _SCHEMAS.get(self.config.name, QUERIES)
        return datasets.DatasetInfo(features=datasets.Features.from_arrow_schema(schema), license="see the card of the build")

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        if self.config.data_dir is None:
            raise ConfigError("give the build folder: RmlLama('ja', data_dir='out')")
        folder = Path(self.config.data_dir)
        paths = [str(folder / name) for name in read_manifest(folder)["configs"][self.config.name]["files"]]
        return [datasets.SplitGenerator(name=datasets.Split.TEST, gen_kwargs={"paths": dl_manager.download_and_extract(paths)})]

    def _generate_tables(self, paths: list[str]) -> Iterator[tuple[str, pa.Table]]:
        for path in paths:
            for number, batch in enumerate(pq.ParquetFile(path).iter_batches()):
                yield f"{Path(path).name}-{number}", pa.Table.from_batches([batch])
