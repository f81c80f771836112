"""Configs: strict keys, types and ranges, equal hashes for equal meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from rml_lama.config import BuildConfig, EvaluateConfig, config_hash, load_config
from rml_lama.errors import ConfigError, DataError


def test_defaults_and_overrides(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('track = "lama"\nlanguages = ["ja", "en"]\n')
    config = load_config(BuildConfig, file, all_facts=True, track=None)
    assert (config.track, config.languages, config.all_facts) == ("lama", ("en", "ja"), True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 1", "unknown config key 'colour'"),
        ("track = 'closed'", "config key 'track'"),
        ("languages = ['xx']", "unknown language 'xx'"),
        ("relations = ['P0']", "unknown relation 'P0'"),
        ("version = 'one'", "config key 'version'"),
    ],
)
def test_bad_values_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(BuildConfig, file)


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the config"):
        load_config(BuildConfig, tmp_path / "missing.toml")
    file = tmp_path / "c.toml"
    file.write_text("track = ")
    with pytest.raises(DataError, match="not a TOML file"):
        load_config(BuildConfig, file)


def test_out_of_range() -> None:
    with pytest.raises(ConfigError, match="limit_facts"):
        load_config(EvaluateConfig, None, limit_facts=-1)


def test_hashes_follow_meaning() -> None:
    first = load_config(EvaluateConfig, None, languages=("ja", "en"), relations=("P37", "P36"))
    second = load_config(EvaluateConfig, None, languages=("en", "ja"), relations=("P36", "P37"))
    assert config_hash(first) == config_hash(second)
    assert config_hash(first) != config_hash(load_config(EvaluateConfig, None, seed=1))
