"""A Redis of one's own: started, restarted, looked into."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from opsmigrate.pgtools.run import dying_with_us
from scripts.demonstration.background import free_port

SECONDS = 10.0


class RedisServer:
    """Debian's redis-server, in memory only: what it held is gone when it is started again."""

    def __init__(self, folder: Path, *, keeps: bool = False) -> None:
        """Take a folder for its log; with `keeps`, it writes each change to a file first."""
        program = shutil.which("redis-server")
        assert program, "redis-server is not installed: apt install redis-server"
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port("127.0.0.1")
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._argv = [
            *dying_with_us(),
            *(program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)),
            *("--save", "", "--appendonly", "yes" if keeps else "no", "--appendfsync", "always"),
            *("--logfile", str(folder / "redis.log")),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self.client().ping()
                return
            except Exception:
                assert self._process.poll() is None, "redis-server ended"
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            self._process.wait(SECONDS)
            self._process = None

    def client(self) -> Any:
        """Return a client of it."""
        import redis

        return redis.Redis(port=self.port, socket_timeout=5)

    def everything(self) -> str:
        """Return all that it holds, as text: keys, values, members, fields, scores."""
        client, said = self.client(), []
        for key in client.keys("*"):
            kind = client.type(key).decode()
            read = {
                "string": lambda k: [client.get(k)],
                "list": lambda k: client.lrange(k, 0, -1),
                "set": lambda k: list(client.smembers(k)),
                "zset": lambda k: client.zrange(k, 0, -1),
                "hash": lambda k: [item for pair in client.hgetall(k).items() for item in pair],
            }[kind]
            said += [key, *(each for each in read(key) if each is not None)]
        return "\n".join(each.decode("utf-8", "replace") for each in said)


@contextmanager
def redis_server(folder: Path, *, keeps: bool = False) -> Iterator[RedisServer]:
    """Run a Redis of one's own."""
    server = RedisServer(folder, keeps=keeps)
    server.start()
    try:
        yield server
    finally:
        server.kill()
