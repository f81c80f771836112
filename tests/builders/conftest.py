"""A loopback endpoint in a thread (to look into it) or as a process of its own (to time and kill beside it)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.builders.loopback import Server


@dataclass
class Running:
    """A server and the address to ask it at."""

    server: Server
    base_url: str


@pytest.fixture
def endpoint() -> Iterator[Callable[..., Running]]:
    """Start servers in threads of this process; all stop at the end of the test."""
    loops: list[asyncio.AbstractEventLoop] = []
    threads: list[threading.Thread] = []

    def start(**options: object) -> Running:
        server = Server(**options)  # type: ignore[arg-type]
        loop = asyncio.new_event_loop()
        listening = loop.run_until_complete(asyncio.start_server(server.serve, "127.0.0.1", 0))
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        loops.append(loop)
        threads.append(thread)
        return Running(server, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1")

    yield start
    for loop, thread in zip(loops, threads, strict=True):

        def stop(loop: asyncio.AbstractEventLoop = loop) -> None:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.call_later(0.05, loop.stop)

        loop.call_soon_threadsafe(stop)
        thread.join()


@pytest.fixture
def endpoint_process(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start `loopback.py` with command-line options; the base URL."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> str:
        port_file = tmp_path / f"port{len(processes)}"
        processes.append(subprocess.Popen([sys.executable, str(Path(__file__).parent / "loopback.py"), str(port_file), *options]))
        while not port_file.exists():
            assert processes[-1].poll() is None, "the server did not start"
            time.sleep(0.02)
        return f"http://127.0.0.1:{port_file.read_text()}/v1"

    yield start
    for process in processes:
        process.kill()
        process.wait()
