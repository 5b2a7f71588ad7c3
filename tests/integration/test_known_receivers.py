"""Receivers of migrate's signals whose code says what they do are decided by it; others are not."""

import functools
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import connections
from django.db.models.signals import post_migrate, post_save

from opsmigrate.preflight.walk import known_receivers
from opsmigrate.preflight.walk.known_receivers import GUARDIAN, WAGTAIL, fingerprint
from opsmigrate.preflight.walk.plain_receivers import is_plain
from tests.conftest import Answer, Ops, execute
from tests.integration.zoo_migrations import migrate

pytestmark = pytest.mark.newest

LOG = logging.getLogger("tests")
REMEMBERED: dict[str, int] = {}


@functools.cache
def slow() -> int:
    return 1


class Index:
    tracked = (Permission,)


def installs() -> bool:
    """Say whether it is switched on."""
    return getattr(project, "ZOO_INSTALL", False)


def work(using: str) -> None:
    execute(connections[using], "SELECT 1")


def saved(**kwargs: object) -> None:
    """Nothing."""


def forgets(**kwargs: object) -> None:
    """Forget, as guardian.shortcuts.clear_ct_cache does."""
    slow.cache_clear()
    REMEMBERED.clear()
    LOG.info("forgotten")


def clears(**kwargs: object) -> None:
    cache.clear()


def tracks(model: type) -> None:
    post_save.connect(saved, sender=model)


def connects(**kwargs: object) -> None:
    """As wagtail.signal_handlers does."""
    for model in Index.tracked:
        tracks(model)


def calls_later(**kwargs: object) -> None:
    """What it connects runs with this very migrate, and was not looked at."""
    post_migrate.connect(saved)


def switched(using: str, **kwargs: object) -> None:
    """As pgtrigger.apps and pghistory.apps do."""
    if installs():
        work(using)


def by_setting(using: str, **kwargs: object) -> None:
    if not project.DEBUG:
        return
    work(using)


def works(using: str, **kwargs: object) -> None:
    slow.cache_clear()
    work(using)


def fails(**kwargs: object) -> None:
    slow.cache_clear()
    1 / 0  # noqa: B018


def told(**kwargs: object) -> None:
    if kwargs["verbosity"]:
        work(str(kwargs["using"]))


def around(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(**kwargs: object) -> None:
        work("default")

    return run


@around
def wrapped(**kwargs: object) -> None:
    slow.cache_clear()


def calls_itself(**kwargs: object) -> None:
    calls_itself()


def takes(slow: Any, **kwargs: object) -> None:
    slow.cache_clear()


class Called:
    def __call__(self, **kwargs: object) -> None:
        slow.cache_clear()


@pytest.mark.parametrize("function", [forgets, clears, connects, switched, by_setting])
def test_code_that_plainly_touches_no_database_is_plain(function: Any) -> None:
    assert is_plain(function)


@pytest.mark.parametrize(
    "function",
    [
        works,
        fails,
        told,
        wrapped,
        calls_itself,
        takes,
        Called(),
        Called,
        slow,
        len,
        lambda **k: 1,
        calls_later,
    ],
)
def test_code_that_may_do_more_is_not(function: Any) -> None:
    assert not is_plain(function)


def test_a_setting_decides_whether_it_is(settings: Any) -> None:
    settings.ZOO_INSTALL = True
    assert not is_plain(switched)
    settings.DEBUG = True
    assert not is_plain(by_setting)


def test_a_cache_that_cannot_be_had_is_no_internal_error(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "nowhere.Cache"}}
    assert not is_plain(clears)


def test_a_cache_that_is_reached_through_a_file_or_a_network_is_not(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache"}}
    assert not is_plain(clears)


@contextmanager
def connected(*functions: Any) -> Iterator[None]:
    for function in functions:
        post_migrate.connect(function)
    try:
        yield
    finally:
        for function in functions:
            post_migrate.disconnect(function)


@pytest.fixture
def migrated(empty_database: str) -> str:
    for app in ("auth", "contenttypes"):
        assert migrate(empty_database, app) is None
    return empty_database


def test_plain_receivers_are_decided_and_others_of_the_same_name_are_not(
    migrated: str, ops: Ops
) -> None:
    def asked() -> Answer:
        return ops("preflight_migrate", "auth", database=migrated)

    with connected(forgets, connects, switched):
        assert asked().code == 0
    both = (forgets, renamed(works, like=forgets))
    for functions in (both, both[::-1]):
        with connected(*functions):
            answer = asked()
        assert answer.code == 3
        assert "nothing to migrate; 1 part of what" in answer.report["facts"]["summary"]


def renamed(function: Any, *, like: Any) -> Any:
    """Return the function under the name of another."""
    function.__qualname__, function.__module__ = like.__qualname__, like.__module__
    return function


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes a module for the time of a test."""

    def install(name: str, **names: Any) -> None:
        module = ModuleType(name)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, name, module)

    return install


def as_known(monkeypatch: pytest.MonkeyPatch, function: Any, name: str) -> Any:
    """Let the function be the receiver of a well-known app, with the text that was read."""
    texts = {**known_receivers.FINGERPRINTS, name: {fingerprint(function)}}
    monkeypatch.setattr(known_receivers, "FINGERPRINTS", texts)
    function.__module__, _, function.__qualname__ = name.rpartition(".")
    return function


def test_the_anonymous_user_of_guardian_is_looked_for(
    migrated: str, ops: Ops, installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("guardian.conf.settings", ANONYMOUS_USER_NAME="AnonymousUser")

    def receiver(**kwargs: object) -> None:
        slow()

    known = as_known(monkeypatch, receiver, GUARDIAN)
    with connected(known):
        answer = ops("preflight_migrate", "auth", database=migrated)
        assert answer.code == 3
        assert "makes the anonymous user" in answer.report["undecided"][0]["why"]
        user = "INSERT INTO auth_user (password, is_superuser, username, first_name, last_name,"
        user += " email, is_staff, is_active, date_joined)"
        user += " VALUES ('', false, 'AnonymousUser', '', '', '', false, true, now())"
        execute(connections[migrated], user)
        assert ops("preflight_migrate", "auth", database=migrated).code == 0
        # Another release may do something else.
        monkeypatch.setitem(known_receivers.FINGERPRINTS, GUARDIAN, {"0" * 16})
        answer = ops("preflight_migrate", "auth", database=migrated)
        assert answer.code == 3
        assert "only a rehearsal decides" in answer.report["undecided"][0]["why"]


class DraftStateMixin:
    """Stands in for wagtail.models.DraftStateMixin."""


class LockableMixin:
    """Stands in for wagtail.models.LockableMixin."""


class Advert(DraftStateMixin):
    _meta = SimpleNamespace(app_label="auth", model_name="group", verbose_name_raw="advert")


def test_the_permissions_of_wagtails_snippets_are_asked_with_djangos(
    migrated: str, ops: Ops, installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("wagtail.snippets.models", get_snippet_models=lambda: [Advert])
    installed("wagtail.models", DraftStateMixin=DraftStateMixin, LockableMixin=LockableMixin)

    def receiver(**kwargs: object) -> None:
        slow()

    with connected(as_known(monkeypatch, receiver, WAGTAIL)):
        assert ops("preflight_migrate", "auth", database=migrated).code == 0
        execute(connections[migrated], "ALTER TABLE auth_permission ALTER id RESTART WITH 1")
        answer = ops("preflight_migrate", "auth", database=migrated)

    assert (answer.code, answer.ids) == (1, ["insert-refused"])
    assert "inserts the permissions publish_group into" in answer.report["findings"][0]["message"]
