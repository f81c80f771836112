"""Tiny random models of each translation family: each is told its target language in its own way; answers are kept and replayed."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rml_lama.builders.bank import read_bank
from rml_lama.builders.build import default_filters
from rml_lama.builders.seq2seq import FLORES, ISO_639_3, Seq2SeqTranslator, language_mark
from rml_lama.builders.translate import translate_set
from rml_lama.errors import LedgerError, ModelError
from rml_lama.languages import ALL_CODES
from rml_lama.ledger import Ledger
from rml_lama.records import Template

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
sentencepiece = pytest.importorskip("sentencepiece")

SOURCE = Template("en", "P36", "The capital of [X] is [Y].", True, "capital is")
TARGET = "Die Hauptstadt von [X] ist [Y]."
SIZES = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
SIZES |= {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 256}


@pytest.fixture(scope="session")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentencepiece model of English and German phrasings, trained here."""
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "text.txt").write_text("\n".join(template.text for template in read_bank(("en", "de"))), encoding="utf-8")
    options = {
        "model_prefix": str(folder / "spm"),
        "vocab_size": 500,
        "pad_id": 3,
        "minloglevel": 5,
        "user_defined_symbols": ["[X]", "[Y]"],
    }
    sentencepiece.SentencePieceTrainer.train(input=str(folder / "text.txt"), **options)
    return folder / "spm.model"


def vocabulary(pieces: Path, *marks: str) -> dict[str, int]:
    """Pieces by number, with more tokens at the end."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    names += [piece for number in range(len(processor)) if (piece := processor.id_to_piece(number)) not in names]
    return {name: number for number, name in enumerate([*names, *marks])}


def save(folder: Path, tokenizer: Any, config: Any, kind: Any) -> Path:
    torch.manual_seed(0)
    kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def nllb(folder: Path, pieces: Path) -> Path:
    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3} | {
        char: number for number, char in enumerate("abcdefghijklmnopqrstuvwxyz▁[].XY", 4)
    }
    tokenizer = transformers.NllbTokenizer(vocab=vocab, merges=[], src_lang="eng_Latn")
    config = transformers.M2M100Config(vocab_size=len(tokenizer), **SIZES, pad_token_id=1, bos_token_id=0, eos_token_id=2)
    return save(folder, tokenizer, config, transformers.M2M100ForConditionalGeneration)


def m2m100(folder: Path, pieces: Path) -> Path:
    vocab = folder / "vocab.json"
    vocab.write_text(json.dumps(vocabulary(pieces)), encoding="utf-8")
    tokenizer = transformers.M2M100Tokenizer(str(vocab), str(pieces), src_lang="en", tgt_lang="de")
    config = transformers.M2M100Config(
        vocab_size=len(tokenizer.encoder) + len(tokenizer.lang_code_to_id) + tokenizer.num_madeup_words,
        **SIZES,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    return save(folder, tokenizer, config, transformers.M2M100ForConditionalGeneration)


def marian(folder: Path, pieces: Path, *marks: str) -> Path:
    vocab = folder / "vocab.json"
    vocab.write_text(json.dumps(vocabulary(pieces, *marks)), encoding="utf-8")
    tokenizer = transformers.MarianTokenizer(str(pieces), str(pieces), str(vocab), source_lang="en", target_lang="de")
    special = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 1, "forced_eos_token_id": 2}
    config = transformers.MarianConfig(vocab_size=len(tokenizer), **SIZES, **special)
    return save(folder, tokenizer, config, transformers.MarianMTModel)


def many_marian(folder: Path, pieces: Path) -> Path:
    return marian(folder, pieces, ">>deu<<", ">>cmn_Hans<<")


def madlad(folder: Path, pieces: Path) -> Path:
    names = [name for name in vocabulary(pieces) if name not in ("<s>", "<unk>", "<pad>", "</s>")]
    vocab = [(name, -float(number)) for number, name in enumerate(["<unk>", "<s>", "</s>", "<pad>", "<2en>", "<2de>", *names])]
    tokenizer = transformers.T5Tokenizer(vocab=vocab, extra_ids=0, additional_special_tokens=["<2en>", "<2de>"])
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    config = transformers.T5Config(vocab_size=len(tokenizer), **sizes, pad_token_id=3, eos_token_id=2, decoder_start_token_id=3)
    return save(folder, tokenizer, config, transformers.T5ForConditionalGeneration)


FAMILIES: dict[str, Callable[[Path, Path], Path]] = {
    "nllb": nllb,
    "m2m100": m2m100,
    "marian": marian,
    "marian-many": many_marian,
    "madlad": madlad,
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.jsonl") as opened:
        yield opened


@pytest.fixture
def make(tmp_path: Path, pieces: Path) -> Callable[[str], Path]:
    def made(family: str) -> Path:
        folder = tmp_path / family
        folder.mkdir()
        return FAMILIES[family](folder, pieces)

    return made


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_answers_and_every_answer_is_accounted_for(family: str, make: Callable[[str], Path], ledger: Ledger) -> None:
    translator = Seq2SeqTranslator(str(make(family)), ledger)
    made = asyncio.run(translate_set(translator, [SOURCE], "de", [], 1, default_filters()))
    assert len(made.templates) + len(made.rejects) == 1
    assert len(ledger) >= 1
    before = list(ledger)
    assert asyncio.run(translate_set(translator, [SOURCE], "de", [], 1, default_filters())) == made
    assert list(ledger) == before, "the second time everything comes from the ledger"


@pytest.mark.parametrize(
    ("family", "source", "prefix", "forced"),
    [
        ("nllb", "eng_Latn", "", "deu_Latn"),
        ("m2m100", "en", "", "__de__"),
        ("marian", "", "", ""),
        ("marian-many", "", ">>deu<< ", ""),
        ("madlad", "", "<2de> ", ""),
    ],
)
def test_each_family_is_told_the_language_in_its_own_way(
    family: str, source: str, prefix: str, forced: str, make: Callable[[str], Path]
) -> None:
    mark = language_mark(transformers.AutoTokenizer.from_pretrained(make(family)), "en", "de")
    assert (mark.source, mark.prefix, mark.forced) == (source, prefix, forced)


@pytest.mark.parametrize("family", ["marian-many", "madlad"])
def test_an_unknown_target_is_a_clear_error(family: str, make: Callable[[str], Path], ledger: Ledger) -> None:
    translator = Seq2SeqTranslator(str(make(family)), ledger)
    with pytest.raises(ModelError, match="does not know the language 'th'"):
        asyncio.run(translator.translate(SOURCE, "th"))


def test_multilingual_marian_knows_chinese_by_its_script(make: Callable[[str], Path]) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(make("marian-many"))
    assert language_mark(tokenizer, "en", "zh").prefix == ">>cmn_Hans<< "


@pytest.mark.parametrize(("family", "token"), [("nllb", "deu_Latn"), ("m2m100", "__de__")])
def test_the_first_token_is_the_target_language(
    family: str, token: str, make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(family)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    seen: list[Any] = []
    generate = transformers.M2M100ForConditionalGeneration.generate

    def listening(self: Any, **options: Any) -> Any:
        made = generate(self, **options)
        seen.append((options["input_ids"][0].tolist(), made[0].tolist()))
        return made

    monkeypatch.setattr(transformers.M2M100ForConditionalGeneration, "generate", listening)
    with Ledger(folder / "ledger.jsonl") as ledger:
        asyncio.run(Seq2SeqTranslator(str(folder), ledger).translate(SOURCE, "de"))
    ((read, made),) = seen
    assert made[1] == tokenizer.convert_tokens_to_ids(token)
    assert read[0] == tokenizer.convert_tokens_to_ids("eng_Latn" if family == "nllb" else "__en__")


def test_a_model_that_has_learnt_its_pair_gives_the_translation_with_its_provenance(make: Callable[[str], Path], ledger: Ledger) -> None:
    folder = make("marian")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.MarianMTModel.from_pretrained(folder)
    pair = tokenizer(SOURCE.text, text_target=TARGET, return_tensors="pt")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        model(**pair).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    translator = Seq2SeqTranslator(str(folder), ledger, back_translate=False)
    made = asyncio.run(translate_set(translator, [SOURCE], "de", [], 1, default_filters()))
    (template,) = made.templates
    assert (template.text, template.causal) == (TARGET, True)
    assert (template.provenance, template.parent) == (f"mt:{folder}", SOURCE.template_id)
    assert template.ledger_key in ledger


def test_a_replay_needs_no_model_and_names_what_is_missing(make: Callable[[str], Path], ledger: Ledger) -> None:
    folder = make("marian")
    first = asyncio.run(Seq2SeqTranslator(str(folder), ledger).translate(SOURCE, "de"))
    for file in folder.iterdir():
        file.unlink()
    replay = Seq2SeqTranslator(str(folder), ledger, replay=True)
    assert asyncio.run(replay.translate(SOURCE, "de")) == first
    with pytest.raises(LedgerError, match=r"no translation of 'The capital of .*' into fr"):
        asyncio.run(replay.translate(SOURCE, "fr"))


def test_a_model_that_is_not_there_is_a_clear_error(tmp_path: Path, ledger: Ledger) -> None:
    with pytest.raises(ModelError, match="cannot load the translation model"):
        asyncio.run(Seq2SeqTranslator(str(tmp_path / "nothing"), ledger).translate(SOURCE, "de"))


def test_the_code_tables_are_whole() -> None:
    assert list(FLORES) == list(ISO_639_3) == list(ALL_CODES)
    assert Counter(map(len, ISO_639_3.values())) == {3: 27}
    assert (FLORES["fa"], FLORES["zh"], FLORES["ru"], FLORES["sw"]) == ("pes_Arab", "zho_Hans", "rus_Cyrl", "swh_Latn")
