"""An OpenAI-compatible server on loopback for tests: it answers from the template bank, and misbehaves by plan.

    python tests/builders/loopback.py PORT_FILE [--latency S] [--faults NAME,NAME] [--every N] [--log FILE]

Answers depend on the question alone; what goes wrong depends on the question and on how often it was asked. The log
holds a line for every call that was answered in full (what a provider would charge for).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rml_lama.builders.bank import read_bank
from rml_lama.languages import LANGUAGES
from rml_lama.records import RELATIONS, Template, by_relation

NAMES = {row.name: code for code, row in LANGUAGES.items()}
RELATION_NAMES = {relation.name: relation.id for relation in RELATIONS.values()}
# Faults that pass (asked again, the question is answered), and faults of the answer itself.
PASSING = ("429", "500", "cut", "stall")
LASTING = ("invalid-json", "wrong-shape", "truncated", "wrong-language", "duplicates", "refusal")


@dataclass
class Server:
    """State of the server: the bank to answer from, the plan, and what was asked."""

    latency: float = 0.0
    faults: tuple[str, ...] = ()
    every: int = 5  # one question in so many meets a fault
    stall: float = 30.0
    log: Path | None = None
    sets: dict[tuple[str, str], list[Template]] = field(default_factory=lambda: by_relation(read_bank()))
    asked: Counter[str] = field(default_factory=Counter)
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    batch_plan: list[str] = field(default_factory=list)  # for each batch in turn: "", "expire", "partial", "fail"
    batch_looks: int = 2  # a batch is over when it is looked at for so many times
    batch_status: int = 200  # any other one is the answer to every call of the Batch API
    authorization: set[str] = field(default_factory=set)
    script: list[tuple[int, bytes]] = field(default_factory=list)  # status and body of the first answers, whatever was asked
    paid: list[str] = field(default_factory=list)  # questions that were answered in full, in turn
    echo_key: bool = False  # put the API key into what is answered
    most_in_flight: int = 0
    _in_flight: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Requests of one connection, one after the other."""
        gone = (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError)
        with contextlib.suppress(*gone), contextlib.closing(writer):  # a client may hang up at any time
            while line := await reader.readline():
                method, path, _ = line.decode().split(" ", 2)
                headers: dict[str, str] = {}
                while (header := (await reader.readline()).decode().strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.authorization.add(headers.get("authorization", ""))
                if not await self._answer(method, path, headers, body, writer):
                    break

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        if path.endswith("/chat/completions"):
            return await self._chat(json.loads(body), headers.get("authorization", ""), writer)
        status, answer = self.batch_api(method, path, headers, body)
        await send(writer, status, answer if isinstance(answer, bytes) else json.dumps(answer).encode())
        return True

    async def _chat(self, question: dict[str, Any], authorization: str, writer: asyncio.StreamWriter) -> bool:
        key = digest(question)
        self.asked[key] += 1
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        await asyncio.sleep(self.latency)
        self._in_flight -= 1
        if self.script:
            await send(writer, *self.script.pop(0))
            return True
        fault = self.fault_of(question)
        if fault in PASSING and self.asked[key] <= 1:
            if fault == "429":
                await send(writer, 429, error("rate_limit", "slow down"), {"retry-after": "0.2"})
            elif fault == "500":
                await send(writer, 500, error("server_error", "oops"))
            elif fault == "cut":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{")
                await writer.drain()
                return False
            else:
                await asyncio.sleep(self.stall)
                return False
            return True
        completion = self.completion(question, fault)
        if self.echo_key:
            completion["model"] += f" {authorization}"
        await send(writer, 200, json.dumps(completion).encode())
        self.paid.append(key)
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(key + "\n")
        return True

    def fault_of(self, question: dict[str, Any]) -> str:
        number = int(digest(question["messages"][:2])[:8], 16)
        return self.faults[number // self.every % len(self.faults)] if self.faults and number % self.every == 0 else ""

    def completion(self, question: dict[str, Any], fault: str = "") -> dict[str, Any]:
        """A chat completion; a lasting fault spoils it, until the repair loop has complained twice."""
        complaints = sum(message["role"] == "user" for message in question["messages"]) - 1
        content = json.dumps(self.content(question, wrong_language=fault == "wrong-language"), ensure_ascii=False)
        message: dict[str, Any] = {"role": "assistant", "content": content}
        finish = "stop"
        if fault == "refusal":
            message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
        elif fault == "invalid-json" and complaints < 1:
            message["content"] = "Sure! " + content[:-3]
        elif fault == "wrong-shape" and complaints < 5:
            message["content"] = json.dumps({"answer": content})
        elif fault == "truncated" and complaints < 1:
            message["content"], finish = content[: len(content) // 2], "length"
        elif fault == "duplicates" and "phrasings" in content:
            phrasings = json.loads(content)["phrasings"]
            message["content"] = json.dumps({"phrasings": phrasings[:1] * len(phrasings)})
        usage = {"prompt_tokens": sum(len(m["content"]) for m in question["messages"]) // 4, "completion_tokens": len(content) // 4}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": question["model"] + "-2026",
            "choices": [choice],
            "usage": usage,
        }

    def content(self, question: dict[str, Any], *, wrong_language: bool = False) -> dict[str, Any]:
        """What the question asks for, from the bank."""
        system, user = (message["content"] for message in question["messages"][:2])
        names = [NAMES[name] for name in re.findall("|".join(map(re.escape, NAMES)), system)]
        if "phrasings" in user:
            relation = RELATION_NAMES[re.search(r"Relation: (.*?) \(", user)[1]]  # type: ignore[index]
            code = "sw" if wrong_language else names[0]
            count = int(re.search(r"Write (\d+) new", user)[1])  # type: ignore[index]
            fresh = [template for template in self.sets[code, relation] if template.text not in user]
            return {"phrasings": [_phrasing(template) for template in fresh[:count]]}
        if "numbers" in user or "every number once" in user:
            lines = re.findall(r"^(\d+)\. (.*)$", user, re.MULTILINE)
            return {"sentences": [{"number": int(number), "text": text.replace(" ist ", " ist bekanntlich ")} for number, text in lines]}
        if "relation_before_blank" in user:
            relation = RELATION_NAMES[re.search(r'the relation "(.*?)"', user)[1]]  # type: ignore[index]
            template = self.counterpart(user.splitlines()[2], "sw" if wrong_language else names[1], relation)
            return {"translation": template.text, "frame": template.frame, "relation_before_blank": template.causal}
        text = user.splitlines()[0]
        return {"translation": self.counterpart(text, names[1]).text if "[X]" in text else text}

    def counterpart(self, text: str, code: str, relation: str = "") -> Template:
        """The phrasing of another language that stands at the same place of its set: there and back again is the same phrasing."""
        kin = next(kin for (_, other), kin in self.sets.items() if relation in ("", other) and text in [one.text for one in kin])
        made = self.sets[code, kin[0].relation]
        return made[[one.text for one in kin].index(text) % len(made)]

    def batch_api(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any] | bytes]:
        """Files and batches."""
        if self.batch_status != 200:
            return self.batch_status, error("refused", f"not for {headers.get('authorization')}")
        parts = path.split("?")[0].strip("/").split("/")[1:]
        if parts == ["files"]:
            name = f"file-{len(self.files)}"
            boundary = b"--" + headers["content-type"].split("boundary=")[1].encode()
            part = next(part for part in body.split(boundary) if b"filename=" in part)
            self.files[name] = part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
            return 200, {
                "id": name,
                "object": "file",
                "bytes": 0,
                "created_at": 0,
                "filename": "f",
                "purpose": "batch",
                "status": "processed",
            }
        if parts[0] == "files":
            return 200, self.files[parts[1]]
        if parts == ["batches"] and method == "POST":
            asked = json.loads(body)
            name = f"batch_{len(self.batches)}"
            self.batches[name] = {"id": name, "object": "batch", "created_at": 0, "status": "in_progress", "looks": 0, **asked}
            return 200, self.batches[name]
        if parts == ["batches"]:
            return 200, {"object": "list", "data": list(self.batches.values()), "has_more": False}
        batch = self.batches[parts[1]]
        batch["looks"] += 1
        if batch["looks"] >= self.batch_looks and batch["status"] == "in_progress":
            self._finish(batch)
        return 200, batch

    def _finish(self, batch: dict[str, Any]) -> None:
        number = list(self.batches).index(batch["id"])
        plan = self.batch_plan[number] if number < len(self.batch_plan) else ""
        questions = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        batch["status"] = {"expire": "expired", "fail": "failed"}.get(plan, "completed")
        if plan == "fail":
            batch["errors"] = {"object": "list", "data": [{"code": "invalid", "message": "the file is not welcome", "line": 1}]}
            return
        done, failed = [], []
        for place, row in enumerate(reversed(questions)):  # not in the order they came
            if plan == "expire" and place % 2:
                failed.append({"custom_id": row["custom_id"], "response": None, "error": {"code": "batch_expired", "message": "late"}})
            elif plan == "partial" and place % 3 == 0:
                failed.append({"custom_id": row["custom_id"], "response": {"status_code": 500, "body": {}}, "error": None})
            else:
                self.asked[digest(row["body"])] += 1
                done.append(
                    {
                        "custom_id": row["custom_id"],
                        "response": {"status_code": 200, "body": self.completion(row["body"], self.fault_of(row["body"]))},
                        "error": None,
                    }
                )
        for kind, rows in (("output", done), ("error", failed)):
            if rows:
                self.files[f"{batch['id']}-{kind}"] = "".join(json.dumps(row) + "\n" for row in rows).encode()
                batch[f"{kind}_file_id"] = f"{batch['id']}-{kind}"


def _phrasing(template: Template) -> dict[str, Any]:
    return {"text": template.text, "frame": template.frame, "relation_before_blank": template.causal}


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def error(code: str, message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": code, "code": code}}).encode()


async def send(writer: asyncio.StreamWriter, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    await writer.drain()


async def run(server: Server, port_file: Path) -> None:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port_file.with_suffix(".part").write_text(str(listening.sockets[0].getsockname()[1]))
    port_file.with_suffix(".part").rename(port_file)
    async with listening:
        await listening.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port_file", type=Path)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--faults", default="")
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--stall", type=float, default=30.0)
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    faults = tuple(filter(None, options.faults.split(",")))
    asyncio.run(run(Server(options.latency, faults, options.every, options.stall, options.log), options.port_file))


if __name__ == "__main__":
    main()
