"""A small archive in the layout of the original LAMA, with lines invented for the tests."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import CAPITALS

TREX = "data/TREx/P36.jsonl"
LISTING = "data/relations.jsonl"


def relation_line(relation: str, label: str, kind: str) -> str:
    row = {"relation": relation, "template": "[X], [Y] .", "label": label, "description": "invented here", "type": kind}
    return json.dumps(row) + "\n"


def lama_line(subject: str, obj: str, subject_label: str, object_label: str, relation: str = "P36", **more: Any) -> str:
    evidence = {"sub_surface": subject_label, "obj_surface": object_label, "masked_sentence": "An invented sentence, [MASK]."}
    row = {
        "uuid": f"{subject}-{obj}",
        "obj_uri": obj,
        "obj_label": object_label,
        "sub_uri": subject,
        "sub_label": subject_label,
        "predicate_id": relation,
        "evidences": [evidence, evidence],
    }
    return json.dumps(row | more) + "\n"


def small_lama() -> dict[str, str]:
    """A small LAMA tree by member name: three capitals, and what the archive has beside T-REx."""
    return {
        LISTING: relation_line("P36", "capital", "1-1") + relation_line("P37", "official tongue", "N-1") + relation_line("P69", "x", "N-M"),
        TREX: "".join(lama_line(*capital) for capital in CAPITALS),
        "data/TREx/P37.jsonl": lama_line("Q142", "Q150", "France", "French", "P37"),
        "data/TREx/P9999.jsonl": "not read\n",
        "data/Google_RE/date_of_birth_test.jsonl": "not read\n",
        "__MACOSX/data/TREx/._P36.jsonl": "not read\n",
    }
