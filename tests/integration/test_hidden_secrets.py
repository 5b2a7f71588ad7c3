"""No secret, and no piece of one, in anything that is said: reports, messages, tracebacks."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from django.db import connections

from opsmigrate.management.commands import backup_db
from tests.acceptance import accept, check_of
from tests.aliases import alias_of
from tests.conftest import Answer, Ops
from tests.sites import site_that_answers

pytestmark = pytest.mark.adversary

FIRST, LAST = "Tt0pHa1f", "B0ttomHa1f"
BASE_URLS = (
    "ftp://admin:{0}@h/",
    "http://admin:{0}@h/",
    "http://admin:{0}@h:99999/",
    "http://admin:{0}@[::1/",
    "http://admin:{0}@h:port/",
    "http://admin:8080/{0}@h/",
    "http:/admin:{0}@h/",
    "admin:{0}@h",
    "{0}",
    "http://{0}@h",
    "http://h/?password={0}",
    "http://h/#{0}",
    "http://admin%3A{0}%40h/",
    "http://h:{0}/",
    "http://h\\{0}/",
)
DATABASE_URLS = (
    "postgres://u:{0}@h/db",
    "postgres://u:12/{0}@h/db",
    "postgres://u:{0}@h:port/db",
    "postgres://u:{0}@[h/db",
    "postgres://u:12?x={0}@h/db",
    "postgres://u:12#{0}@h/db",
    "postgres//u:{0}@h/db",
    "postgres:u:{0}@h/db",
    "mysql://u:{0}@h/db",
    "{0}",
    "://u:{0}@h/db",
)
# How two halves may stand together: what a parser takes for a border is between them.
JOINED = tuple(f"{FIRST}{mark}{LAST}" for mark in ("", "/", "?", "#", "@", ":", "%", " ", "[", "'"))


def require_hidden(text: str, *secrets: str) -> None:
    """Require that no secret stands there, in any form in which it may be written."""
    for secret in secrets:
        encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
        for form in (secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]):
            assert form not in text
        assert encoded not in text


def require_halves_hidden(answer: Answer, *folders: Path) -> None:
    files = [path.read_text("utf-8") for folder in folders for path in folder.iterdir()]
    for text in (answer.stdout, answer.stderr, *files):
        require_hidden(text, FIRST, LAST)


@pytest.mark.parametrize("address", BASE_URLS)
def test_a_mistyped_address_of_the_site_is_not_repeated(
    migrated: str, ops: Ops, tmp_path: Path, settings: Any, address: str
) -> None:
    for secret in JOINED:
        for form in ("json", "text"):
            given = address.format(secret)
            answer = accept(
                ops, migrated, tmp_path, base_url=given, check=["migrations-on-disk"], format=form,
                traceback=True,
            )  # fmt: skip
            assert answer.code == 2, (given, answer.stdout)
            require_halves_hidden(answer, tmp_path)


@pytest.mark.parametrize("address", DATABASE_URLS)
def test_a_mistyped_address_of_the_database_is_not_repeated(
    manage: Callable[..., Answer], address: str
) -> None:
    # The plain one makes the first of them right.
    for secret in JOINED[1:] if address == DATABASE_URLS[0] else JOINED[:2]:
        answer = manage("backup_db", "--traceback", "-v", "3", url=address.format(secret))
        assert answer.code != 0
        require_halves_hidden(answer)


def test_an_address_typed_for_an_alias_is_not_repeated(
    empty_database: str, ops: Ops, tmp_path: Path
) -> None:
    for secret in JOINED:
        address = f"postgres://u:{secret}@h/db"
        for command, options in (
            ("backup_db", {"database": address}),
            ("preflight_migrate", {"database": empty_database, "rehearse_on": address,
                                   "rehearse": "clone"}),
        ):  # fmt: skip
            require_halves_hidden(ops(command, traceback=True, **options))


@pytest.mark.parametrize("secret", ["p'w\" é/%+long", "plain-and-long", "w:x@y/z"])
def test_a_traceback_has_no_secret_of_the_settings_nor_of_the_environment(
    empty_database: str, ops: Ops, monkeypatch: pytest.MonkeyPatch, settings: Any, secret: str
) -> None:
    settings.SOME_API_KEY = f"key {secret}"
    monkeypatch.setenv("DATABASE_URL", f"postgres://u:{quote(f'env {secret}', safe='')}@h/db")
    secrets = [f"key {secret}", f"env {secret}", f"db {secret}"]

    def crash(self: object, run: object, **options: object) -> None:
        forms = [f(each) for each in secrets for f in (str, repr, quote_plus, _quoted)]
        raise RuntimeError("; ".join(forms))

    monkeypatch.setattr(backup_db.Command, "run", crash)
    other = {**connections[empty_database].settings_dict, "PASSWORD": f"db {secret}"}
    for form in ("json", "text"):
        with alias_of("other", **other):
            answer = ops("backup_db", database=empty_database, traceback=True, format=form)
        assert "RuntimeError" in answer.stdout
        assert "Traceback" in answer.stderr
        require_hidden(answer.stdout + answer.stderr, *secrets)


def _quoted(text: str) -> str:
    return quote(text, safe="")


@pytest.mark.usefixtures("own_registry")
def test_no_cookie_of_the_site_stands_in_any_report(
    migrated: str, ops: Ops, tmp_path: Path, settings: Any
) -> None:
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "UAT": {"URLS": [{"url": "/"}, {"url": "/x"}]}}
    secret = f"{FIRST}-{LAST}/+="

    def answers(path: str, number: int) -> tuple[int, dict[str, str], bytes]:
        cookie = f'sessionid="{secret}{number}"; Path=/'
        # A page of an error that shows what it was asked with, as frameworks do.
        return 500, {"Set-Cookie": cookie}, f"<p>you came with {secret}{number}</p>".encode()

    with site_that_answers(answers) as url:
        answer = accept(ops, migrated, tmp_path, base_url=url, tag=["site"], verbosity=3)

    assert answer.code == 1
    headers = check_of(answer, "security-headers")
    assert "content-type:" in headers["detail"]
    assert "set-cookie" not in headers["detail"]
    assert "sessionid" in answer.stdout
    require_halves_hidden(answer, tmp_path)
