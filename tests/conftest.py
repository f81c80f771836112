"""Fixtures: a small bank, a small mLAMA archive, the shared real data, and tiny random models without network."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("RML_LAMA_SHARED", ROOT.parent / "shared" / "data"))

CAPITALS = [("Q142", "Q90", "France", "Paris"), ("Q183", "Q64", "Germany", "Berlin"), ("Q38", "Q220", "Italy", "Rome")]
GERMAN = {"France": "Frankreich", "Germany": "Deutschland", "Italy": "Italien", "Rome": "Rom", "Paris": "Paris", "Berlin": "Berlin"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the shared data on machines without it, and say so."""
    skip = pytest.mark.skip(reason=f"no mLAMA archive in {SHARED}; set RML_LAMA_SHARED")
    for item in items:
        if "shared" in item.keywords and not (SHARED / "mlama1.1.zip").exists():
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has its own datasets cache: its key holds a folder's base name only."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("datasets")))


@pytest.fixture(scope="session")
def shared() -> Path:
    return SHARED


def mlama_line(subject: str, obj: str, subject_label: str, object_label: str, uuid: str) -> str:
    row = {"sub_uri": subject, "obj_uri": obj, "sub_label": subject_label, "obj_label": object_label, "lineid": 0, "uuid": uuid}
    return json.dumps(row, ensure_ascii=False) + "\n"


@pytest.fixture
def mlama_files() -> dict[str, str]:
    """A small mLAMA tree by member name: three capitals, in English and all other first-tier languages."""
    from rml_lama.languages import FIRST_TIER

    files = {}
    for code in FIRST_TIER:
        lines = []
        for subject, obj, subject_label, object_label in CAPITALS:
            if code == "de":
                subject_label, object_label = GERMAN[subject_label], GERMAN[object_label]
            lines.append(mlama_line(subject, obj, subject_label, object_label, f"{subject}-{obj}"))
        files[f"mlama1.1/{code}/P36.jsonl"] = "".join(lines)
    return files


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[..., Path]:
    """Write a zip file from member names and contents."""

    def make(files: dict[str, str | bytes], name: str = "mlama1.1.zip") -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in files.items():
                archive.writestr(member, content)
        return path

    return make


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A bank of two phrasings of P36 in English and German."""
    folder = tmp_path / "bank"
    folder.mkdir()
    rows = {
        "en": [("The capital of [X] is the city of [Y].", True), ("[Y] is the capital of [X].", False)],
        "de": [("Die Hauptstadt von [X] ist [Y].", True), ("[Y] ist die Hauptstadt von [X].", False)],
    }
    for code, phrasings in rows.items():
        lines = [json.dumps({"relation": "P36", "text": text, "causal": causal}, ensure_ascii=False) for text, causal in phrasings]
        (folder / f"{code}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def open_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The open track in four languages."""
    from rml_lama.builders.build import build
    from rml_lama.config import BuildConfig

    out = tmp_path_factory.mktemp("builds") / "open"
    build(out, BuildConfig(languages=("en", "de", "ja", "th")))
    return out


@pytest.fixture(scope="session")
def word_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A byte-level BPE tokenizer trained on a few sentences, with BOS before every text, as GPT-like models have it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(["The capital of France is the city of Paris. Rome is the capital of Italy."] * 20, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", mask_token="<mask>")


@pytest.fixture
def no_leftovers(tmp_path: Path) -> Iterator[Path]:
    """A folder for outputs in which a failed command must leave nothing."""
    folder = tmp_path / "outputs"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == [], "a failed command left something behind"
