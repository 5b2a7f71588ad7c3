"""The project's own code, asked in this process: the second vantage point beside the live site."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.test import Client

from opsmigrate.conf import Settings
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.uat.context import Context
from opsmigrate.uat.login_redirect import SET_LOGIN
from opsmigrate.uat.outcome import Failed, NotRun
from opsmigrate.uat.overridden_settings import overridden_settings

COOKIE_SESSIONS = "django.contrib.sessions.backends.signed_cookies"
ANY_HOST = "*"
# Settings are overridden for the whole process: two at a time would put back each other's.
_alone = threading.Lock()


class LocalClient:
    """A visitor of the project's own code; nothing is written, and no mail goes out."""

    def __init__(self, client: Client, *, secure: bool) -> None:
        self._client = client
        self._secure = secure

    def get(self, path: str) -> Any:
        """Return Django's response to a GET."""
        return self._client.get(path, secure=self._secure)


@contextmanager
def local_client(context: Context, *, anonymous: bool = False) -> Iterator[LocalClient]:
    """Yield a visitor who is logged in as the account of LOGIN, where there is one.

    The session stands in a signed cookie: one in the database would have to be written, and so
    would the time of a login. Raises NotRun where the project answers to no host.
    """
    host = _host(context)
    with (
        _alone,
        overridden_settings(SESSION_ENGINE=COOKIE_SESSIONS),
        project_search_path(context.connection),
    ):
        client = Client(raise_request_exception=False, SERVER_NAME=host)
        # Middleware picks its session engine when it is loaded, and keeps it.
        client.handler.load_middleware()
        cookie = None if anonymous else _session_cookie(context)
        if cookie:
            client.cookies[django_settings.SESSION_COOKIE_NAME] = cookie
        yield LocalClient(
            client, secure=bool(django_settings.SECURE_SSL_REDIRECT) or _is_https(context)
        )


def username_of(settings: Settings) -> str:
    """Return the account's name, or an empty text."""
    return (settings.uat.login or {}).get("username", "")


def _is_https(context: Context) -> bool:
    return context.site is not None and context.site.is_https


def _host(context: Context) -> str:
    allowed = list(django_settings.ALLOWED_HOSTS)
    if not allowed and django_settings.DEBUG:
        return "localhost"
    if not allowed:
        raise NotRun(
            "ALLOWED_HOSTS is empty: this release answers requests for no host",
            hint="set ALLOWED_HOSTS in the settings",
        )
    if context.site is not None:
        return context.site.host
    return "localhost" if allowed[0] == ANY_HOST else allowed[0].lstrip(".")


def _session_cookie(context: Context) -> str | None:
    name = username_of(context.settings)
    if not name:
        return None
    model = get_user_model()
    try:
        user = model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist as error:
        raise Failed(f"there is no user {name!r} in this database", hint=SET_LOGIN) from error
    store = import_module(COOKIE_SESSIONS).SessionStore()
    store[SESSION_KEY] = user._meta.pk.value_to_string(user)
    store[BACKEND_SESSION_KEY] = django_settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    return str(store.session_key)
