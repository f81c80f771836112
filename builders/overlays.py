"""Which of Wikidata's labels counts as the label of an item, and how missing ones become overlays (`<lang>.tsv`).

A language's own label comes first. Chinese: `zh-hans`, `zh-cn`, else `zh` converted to Simplified. Languages in Latin
script also take `mul`, Wikidata's label for all languages at once (names of people mostly stand there alone), where it
is in Latin script. Every answer is kept in a ledger: a run that broke off goes on, and nothing is asked twice. An
overlay that is there already is added to, its labels stay. Wikidata's labels are CC0.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rml_lama.builders.labels import clean_label, read_overlays, to_simplified
from rml_lama.builders.wikidata import BATCH, MAX_ITEM, Wikibase, ask_labels
from rml_lama.errors import DataError, OutputError
from rml_lama.languages import LANGUAGES
from rml_lama.ledger import Ledger, content_key
from rml_lama.records import Reject

__all__ = ["REJECTED", "FetchedLabels", "choose_label", "fetch_labels", "label_codes", "read_items"]

REJECTED = "rejected.jsonl"
_ITEM_ID = re.compile(r"Q[1-9][0-9]{0,9}")
_CHINESE = ("zh-hans", "zh-cn", "zh")
_ANY_LANGUAGE = "mul"
_FILE_NAMES = {"zh": ("zh-hans.tsv",)}  # other names under which an overlay may already be there

logger = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
Pair = tuple[str, str]  # item and language


@dataclass(frozen=True, slots=True)
class FetchedLabels:
    """Overlays after a fetch: files and the labels they hold, by language; what was new, redirected, and rejected."""

    files: Mapping[str, Path]
    labels: Mapping[str, int]
    asked: int  # items asked for over the network
    added: int
    redirects: int
    rejects: tuple[Reject, ...]

    def __str__(self) -> str:
        lines = [f"{path}: {self.labels[code]:,} labels" for code, path in self.files.items()]
        lines.append(f"items asked for: {self.asked:,}; labels added: {self.added:,}; redirected items: {self.redirects:,}")
        reasons = Counter((reject.filter, reject.language) for reject in self.rejects)
        lines += [f"rejected, {' '.join(filter(None, reason))}: {count:,}" for reason, count in sorted(reasons.items())]
        return "\n".join(lines)


def read_items(path: Path) -> list[str]:
    """Item ids from a text file (one a line; what follows a tab is passed over) or from the facts of a build folder.

    Raises `DataError` when it cannot be read or holds no id at all.
    """
    if path.is_dir():
        found = _items_of_build(path)
    else:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except OSError as error:
            raise DataError(f"cannot read the item ids: {error.strerror}", path) from error
        except UnicodeDecodeError as error:
            raise DataError("a file of item ids is UTF-8 text, one id a line; or give a build folder", path) from error
        found = {line.split("\t")[0].strip() for line in lines}
    if not any(map(_is_item, found)):
        raise DataError("no item id such as Q42", path)
    return sorted(found - {""}, key=_item_order)


def _items_of_build(folder: Path) -> set[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from rml_lama.hub.folder import read_manifest

    read_manifest(folder)
    path = folder / "data" / "facts.parquet"
    try:
        table = pq.read_table(path, columns=["subject_qid", "object_qid"])
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"the build has lost its facts ({error}); build it again", path) from error
    return {item for column in table.columns for item in column.to_pylist()}


def label_codes(code: str) -> tuple[str, ...]:
    """Wikidata's codes under which a label of a language may stand, the best first.

    >>> label_codes("zh"), label_codes("sw"), label_codes("bn")
    (('zh-hans', 'zh-cn', 'zh'), ('sw', 'mul'), ('bn',))
    """
    own = _CHINESE if code == "zh" else (code,)
    return (*own, _ANY_LANGUAGE) if LANGUAGES[code].scripts == ("LATIN",) else own


def choose_label(code: str, labels: Mapping[str, str]) -> str:
    """The label of a language among Wikidata's, clean; empty where there is none.

    >>> choose_label("zh", {"zh": "臺灣"}), choose_label("sw", {"mul": "Дуглас"})
    ('台湾', '')
    """
    for variant in label_codes(code):
        label = clean_label(labels.get(variant, ""))
        if variant == "zh":
            label = to_simplified(label)
        if label and (variant != _ANY_LANGUAGE or _is_latin(label)):
            return label
    return ""


def fetch_labels(
    items: Iterable[str],
    languages: Sequence[str],
    dest: Path,
    ledger: Ledger,
    *,
    service: Wikibase | None = None,
    progress: Progress = lambda done, total: None,
) -> FetchedLabels:
    """Add the labels that the overlays in `dest` lack, and list in `rejected.jsonl` what has none.

    `progress` is called with items answered and items asked for.
    Raises `FetchError` when the service cannot be asked (what came is in the ledger), `DataError` for a damaged
    overlay, `OutputError` when `dest` cannot be written.
    """
    service = service or Wikibase()
    items = sorted(set(items), key=_item_order)
    present = read_overlays(dest)[0] if any(dest.glob("*.tsv")) else {}
    overlays = {code: dict(present.get(code, {})) for code in languages}
    good = [item for item in items if _is_item(item)]
    rejects = [_reject("bad-id", "", item, "not an item id such as Q42") for item in items if not _is_item(item)]
    wanted = [(item, code) for item in good for code in languages if item not in overlays[code]]
    keys = {(item, code): content_key({"url": service.url, "item": item, "labels": label_codes(code)}) for item, code in wanted}
    asked = _ask({pair: key for pair, key in keys.items() if key not in ledger}, ledger, service, progress)
    redirects: set[str] = set()
    added = 0
    for (item, code), key in keys.items():
        answer = ledger.get(key)
        if "to" in answer:
            redirects.add(item)
        if label := choose_label(code, answer.get("labels", {})):
            overlays[code][item] = label
            added += 1
        else:
            rejects.append(_why_not(item, code, answer))
    files = _write(dest, overlays, rejects)
    return FetchedLabels(files, {code: len(overlays[code]) for code in files}, asked, added, len(redirects), tuple(_distinct(rejects)))


def _ask(keys: Mapping[Pair, str], ledger: Ledger, service: Wikibase, progress: Progress) -> int:
    """Ask for pairs of item and language, and keep each answer under its key; the number of items."""
    missing: dict[str, tuple[str, ...]] = {}
    for item, code in keys:
        missing[item] = (*missing.get(item, ()), code)
    groups: dict[tuple[str, ...], list[str]] = {}
    for item, codes in missing.items():
        groups.setdefault(codes, []).append(item)
    if missing and not service.contact:
        logger.warning("nobody is named who asks; give an e-mail address or a URL with --contact")
    done = 0
    for codes, items in groups.items():
        variants = tuple(dict.fromkeys(variant for code in codes for variant in label_codes(code)))
        for start in range(0, len(items), BATCH):
            answers = ask_labels(service, items[start : start + BATCH], variants)
            ledger.put_many({keys[item, code]: _part(answer, code) for item, answer in answers.items() for code in codes})
            done += len(answers)
            progress(done, len(missing))
    return done


def _part(answer: Mapping[str, Any], code: str) -> dict[str, Any]:
    """An answer without the labels that are nothing to a language."""
    if "labels" not in answer:
        return dict(answer)
    return {**answer, "labels": {variant: answer["labels"][variant] for variant in label_codes(code) if variant in answer["labels"]}}


def _why_not(item: str, code: str, answer: Mapping[str, Any]) -> Reject:
    if "refused" in answer:
        return _reject("bad-id", "", item, "the server does not take it for an id")
    if "missing" in answer:
        return _reject("missing-entity", "", item, "there is no such item (any more)")
    return _reject("no-label", code, item, f"no label under {', '.join(label_codes(code))}")


def _reject(filter: str, code: str, item: str, reason: str) -> Reject:
    return Reject("fetch", filter, code, "", item, reason)


def _distinct(rejects: Iterable[Reject]) -> list[Reject]:
    return sorted(set(rejects), key=lambda reject: (reject.filter, reject.language, _item_order(reject.item)))


def _write(dest: Path, overlays: Mapping[str, Mapping[str, str]], rejects: Iterable[Reject]) -> dict[str, Path]:
    """Write overlays that hold a label, and the rejects; each file whole or not at all."""
    files: dict[str, Path] = {}
    try:
        dest.mkdir(parents=True, exist_ok=True)
        for code, labels in overlays.items():
            if labels:
                names = [name for name in _FILE_NAMES.get(code, ()) if (dest / name).exists()]
                files[code] = dest / (names[0] if names else f"{code}.tsv")
                _replace(files[code], (f"{item}\t{labels[item]}" for item in sorted(labels, key=_item_order)))
        rows = ({"filter": r.filter, "language": r.language, "item": r.item, "reason": r.reason} for r in _distinct(rejects))
        _replace(dest / REJECTED, (json.dumps(row, ensure_ascii=False) for row in rows))
    except OSError as error:
        raise OutputError(f"cannot write labels to {dest}: {error.strerror}") from error
    return files


def _replace(path: Path, lines: Iterator[str]) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")
    part.replace(path)


def _is_item(item: str) -> bool:
    return bool(_ITEM_ID.fullmatch(item)) and int(item[1:]) <= MAX_ITEM


def _item_order(item: str) -> tuple[int, str]:
    return (int(item[1:]), item) if _is_item(item) else (0, item)


def _is_latin(label: str) -> bool:
    return all(unicodedata.name(char, "").startswith("LATIN") for char in label if char.isalpha())
