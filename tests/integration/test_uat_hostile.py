"""A site that drips, or whose pages take long to read: every page has its end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connections
from django.test import override_settings

from opsmigrate.uat import site, timed
from tests.acceptance import accept, check_of
from tests.conftest import Ops
from tests.json_reports import parsed
from tests.sites import site_that_answers

pytestmark = pytest.mark.adversary

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
SECONDS = 1.0
# All of these together: the deadline, three times, and what a busy machine adds.
SECONDS_AT_MOST = 60


@contextmanager
def dripping(beginning: bytes, drop: bytes) -> Iterator[str]:
    """Yield the address of a site that sends the beginning, and then a drop every 50 ms."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def drip(client: socket.socket) -> None:
        with client:
            try:
                client.recv(65_536)
                client.sendall(beginning)
                while not over.wait(0.05):
                    client.sendall(drop)
            except OSError:
                return

    def accept_all() -> None:
        while not over.is_set():
            try:
                client = listening.accept()[0]
            except OSError:
                continue
            threads.append(threading.Thread(target=drip, args=(client,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        threads.append(threading.Thread(target=accept_all))
        threads[0].start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            for thread in threads:
                thread.join()


DRIPS = {
    "a body": (HEAD + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "a body without an end": (HEAD + b"\r\n", b"x"),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "a header": (HEAD + b"X-Long: ", b"x"),
    "headers": (HEAD, b"X-Many: x\r\n"),
    "a status line": (b"", b"H"),
}


@pytest.mark.parametrize("name", DRIPS)
def test_a_page_that_comes_byte_by_byte_ends_the_baseline_with_its_address(
    name: str, empty_database: str, ops: Ops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed, "SECONDS_FOR_AN_ANSWER", SECONDS)
    monkeypatch.setattr(site, "ATTEMPTS", 1)
    file = tmp_path / "before.json"
    with (
        dripping(*DRIPS[name]) as url,
        override_settings(OPSMIGRATE={"UAT": {"URLS": [{"url": "/"}]}}),
    ):
        answers = []

        def save() -> None:
            answers.append(
                ops("run_uat", database=empty_database, base_url=url, save_baseline=str(file))
            )
            connections.close_all()

        thread = threading.Thread(target=save, daemon=True)
        thread.start()
        thread.join(SECONDS_AT_MOST)
        assert answers, "it did not end"

    [answer] = answers
    assert (answer.code, answer.ids) == (3, ["baseline-incomplete"])
    message = answer.report["findings"][0]["message"]
    assert f"{url}/: no whole answer within 1 s" in message
    assert not file.exists()


PAGES = {
    "markup without an end": ["<!-" * 700_000, "<!-" * 700_000],
    "few distinct words": ["yes no maybe " * 30_000, "no yes " * 45_000],
    "similar rows": [f"<tr><td>Payment<td>{time}" * 20_000 for time in ("12:00:01", "12:00:02")],
    "a number without an end": ["&#" + "9" * 1_000_000, "&#" + "9" * 1_000_000],
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_is_long_to_read_is_read_and_compared(
    name: str, empty_database: str, ops: Ops, tmp_path: Path
) -> None:
    pages = PAGES[name]
    file = tmp_path / "before.json"

    def answers(path: str, number: int) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, f"Total 7 EUR {pages[number % 2]}".encode()

    with (
        site_that_answers(answers) as url,
        override_settings(OPSMIGRATE={"UAT": {"URLS": [{"url": "/"}]}}),
    ):
        saved = ops("run_uat", database=empty_database, base_url=url, save_baseline=str(file))
        compared = accept(
            ops,
            empty_database,
            tmp_path,
            base_url=url,
            baseline=str(file),
            check=["baseline-pages"],
        )

    assert saved.code == 0, saved.stdout
    assert parsed(file.read_text())["pages"]["/"]["words"][:3] == ["Total", "7", "EUR"]
    assert check_of(compared, "baseline-pages")["message"].startswith("1 page is unchanged")
