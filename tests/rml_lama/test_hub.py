"""A build as `datasets` reads it: whole, sliced, streaming, after a rebuild, and in older versions."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from rml_lama.builders.build import build
from rml_lama.config import BuildConfig
from rml_lama.errors import ConfigError, DataError
from rml_lama.hub.folder import read_manifest
from tests.conftest import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

CHECK = """
import json, sys
from datasets import load_dataset, get_dataset_config_names
out = sys.argv[1]
ja = load_dataset(out, "ja", split="test")
stream = next(iter(load_dataset(out, "ja", split="test", streaming=True)))
print(json.dumps({
    "configs": sorted(get_dataset_config_names(out)), "ja": len(ja), "row": ja[0], "stream": stream == ja[0],
    "slice": len(load_dataset(out, "de", split="test[:10]")), "all": len(load_dataset(out, split="test")),
    "facts": len(load_dataset(out, "facts", split="test")), "templates": len(load_dataset(out, "templates", split="test")),
    "rejected": len(load_dataset(out, "rejected", split="test")),
}))
"""


def loaded(python: str, out: Path, cache: Path) -> dict[str, object]:
    """What `datasets` of another interpreter sees in a build."""
    environment = {**os.environ, "HF_DATASETS_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run([python, "-c", CHECK, str(out)], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("version", ["here", "3.6.0", "2.21.0"])
def test_every_version_of_datasets_loads_alike(open_build: Path, tmp_path: Path, version: str) -> None:
    import sys

    python = Path(sys.executable) if version == "here" else ROOT / ".compat" / version / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no environment with datasets {version}: run `make compat`")
    rows = read_manifest(open_build)["rows"]
    found = loaded(str(python), open_build, tmp_path / "cache")
    row = found.pop("row")
    assert found == {
        "configs": sorted(["all", "en", "de", "ja", "th", "facts", "templates", "rejected"]),
        "ja": rows["ja"],
        "stream": True,
        "slice": 10,
        "all": rows["en"] + rows["de"] + rows["ja"] + rows["th"],
        "facts": rows["facts"],
        "templates": rows["templates"],
        "rejected": rows["rejected"],
    }
    assert isinstance(row, dict)
    assert row["cloze"] == row["prompt"] + "[Y]" + row["suffix"]
    assert row["answer"] in row["answers"]


def test_a_rebuild_is_seen(tmp_path: Path) -> None:
    from datasets import load_dataset

    out = tmp_path / "out"
    build(out, BuildConfig(languages=("en",), relations=("P36",)))
    first = load_dataset(str(out), "en", split="test", cache_dir=str(tmp_path / "cache"))
    build(out, BuildConfig(languages=("en",), relations=("P30",)))
    second = load_dataset(str(out), "en", split="test", cache_dir=str(tmp_path / "cache"))
    assert (first[0]["relation"], second[0]["relation"]) == ("P36", "P30")


def test_a_config_without_a_row_is_left_out(tmp_path: Path) -> None:
    """`datasets` cannot load an empty split."""
    out = tmp_path / "out"
    build(out, BuildConfig(languages=("en",), relations=("P36",)))
    assert "rejected" not in read_manifest(out)["configs"]
    assert "config_name: rejected" not in (out / "README.md").read_text()


def test_the_builder_class_gives_the_same_rows(open_build: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    from rml_lama.hub.dataset import RmlLama

    for name in ("ja", "all", "facts", "templates", "rejected"):
        builder = RmlLama(name, data_dir=open_build, cache_dir=str(tmp_path / "class"))
        builder.download_and_prepare()
        ours = builder.as_dataset(split="test")
        theirs = load_dataset(str(open_build), name, split="test", cache_dir=str(tmp_path / "plain"))
        assert ours.features == theirs.features
        assert ours.to_list()[:50] == theirs.to_list()[:50]
        assert len(ours) == len(theirs)


def test_the_builder_class_sees_a_rebuild_and_names_what_is_missing(tmp_path: Path) -> None:
    from rml_lama.hub.dataset import RmlLama

    out = tmp_path / "out"
    rows = []
    for relation in ("P36", "P30"):
        build(out, BuildConfig(languages=("en",), relations=(relation,)))
        builder = RmlLama("en", data_dir=out, cache_dir=str(tmp_path / "cache"))
        builder.download_and_prepare()
        rows.append(builder.as_dataset(split="test")[0]["relation"])
    assert rows == ["P36", "P30"]
    with pytest.raises(ConfigError, match="no config 'ja'"):
        RmlLama("ja", data_dir=out)
    with pytest.raises(DataError, match="not a build folder"):
        RmlLama("ja", data_dir=tmp_path)


def test_damaged_manifests_are_named(tmp_path: Path) -> None:
    (tmp_path / "MANIFEST.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        read_manifest(tmp_path)
    (tmp_path / "MANIFEST.json").write_text("{}")
    with pytest.raises(DataError, match="not the manifest of a build"):
        read_manifest(tmp_path)


def test_the_wheel_holds_only_the_package(tmp_path: Path) -> None:
    """Built from the files that git knows, away from the source tree."""
    import shutil
    import sys
    import zipfile

    source = tmp_path / "source"
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in names:
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        members = archive.namelist()
        tops = {name.split("/")[0] for name in members}
        assert archive.read("rml_lama/dataset_card.md") == (ROOT / "dataset_card.md").read_bytes()
    assert tops == {"rml_lama", next(top for top in tops if top.endswith(".dist-info"))}
    modules = [name.removesuffix(".py").replace("/", ".") for name in members if name.endswith(".py")]
    assert "rml_lama.builders.build" in modules
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); import rml_lama; assert rml_lama.__file__.startswith({str(wheel)!r}); "
    code += "from rml_lama.builders.bank import read_bank"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
