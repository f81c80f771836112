"""A loopback endpoint in a thread (to look into it) or as a process of its own (to time and kill beside it)."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.builders.loopback import Server


@dataclass
class Running:
    """A server and the address to ask it at."""

    server: Server
    base_url: str


async def _listen(server: Server, port: Future[int], stop: asyncio.Event) -> None:
    """Serve until told to stop, then end every connection."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port.set_result(listening.sockets[0].getsockname()[1])
    await stop.wait()
    listening.close()
    connections = asyncio.all_tasks() - {asyncio.current_task()}
    for connection in connections:
        connection.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    await asyncio.sleep(0.01)  # transports close in the next turn of the loop


@pytest.fixture
def endpoint() -> Iterator[Callable[..., Running]]:
    """Start servers in threads of this process; all stop at the end of the test."""
    with contextlib.ExitStack() as stack:

        def start(**options: object) -> Running:
            server, port, stop = Server(**options), Future[int](), asyncio.Event()  # type: ignore[arg-type]
            runner = asyncio.Runner()
            thread = threading.Thread(target=runner.run, args=(_listen(server, port, stop),))
            loop = runner.get_loop()
            thread.start()
            stack.callback(runner.close)
            stack.callback(thread.join)
            stack.callback(loop.call_soon_threadsafe, stop.set)
            return Running(server, f"http://127.0.0.1:{port.result(timeout=10)}/v1")

        yield start


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
