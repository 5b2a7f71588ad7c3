"""The project's own site, served on loopback by this very process for the time of a run."""

from __future__ import annotations

import re
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.servers.basehttp import (
    ThreadedWSGIServer,
    WSGIRequestHandler,
    get_internal_wsgi_application,
)
from django.core.signals import got_request_exception
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http.request import validate_host

from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.opening import pin_of
from opsmigrate.uat.outcome import Failed, NotRun
from opsmigrate.uat.overridden_settings import overridden_settings
from opsmigrate.uat.served_site import Crash, Served
from opsmigrate.uat.site import Site, path_of, site_at
from opsmigrate.uat.site_sessions import SiteSessions, refused_to_write

HOST = "127.0.0.1"
# What a project without ALLOWED_HOSTS answers to while DEBUG is on (HttpRequest.get_host).
DEBUG_HOSTS = (".localhost", HOST, "[::1]")
SECONDS_BETWEEN_LOOKS = 0.02
DOMAIN = re.compile(r";\s*domain=[^;]*", re.IGNORECASE)
GIVE_A_SITE = "give the address of the running site with --base-url"

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


@contextmanager
def site_of_run(
    given: Site | None,
    connection: BaseDatabaseWrapper,
    login: Mapping[str, str] | None,
    *,
    serve: bool,
) -> Iterator[tuple[Site | None, NotRun]]:
    """Yield the site that was given, else one that is served where `serve`; or None, and why."""
    no_site = NotRun("no site was given", hint=GIVE_A_SITE)
    if given is not None or not serve:
        yield given, no_site
        return
    with ExitStack() as stack:
        site = None
        try:
            _require_same_database(connection)
            site = stack.enter_context(served_site(login))
        except NotRun as reason:
            no_site = reason
        yield site, no_site


def _require_same_database(connection: BaseDatabaseWrapper) -> None:
    """Raise NotRun where the site would ask another database, or could not be kept from writing."""
    pin = pin_of(connection)
    if connection.alias != DEFAULT_DB_ALIAS:
        raise NotRun(
            "no site was given, and this run does not serve it: its code uses the alias default, "
            f"not {connection.alias}",
            hint=GIVE_A_SITE,
        )
    if pin is not None and pin.per_transaction:
        raise NotRun(
            "no site was given, and this run does not serve it: behind a pooler its sessions "
            "cannot be made read-only",
            hint=f"connect directly to the server; or {GIVE_A_SITE}",
        )


@contextmanager
def served_site(login: Mapping[str, str] | None) -> Iterator[Site]:
    """Serve the project's WSGI application in threads of this process, and yield where.

    Its sessions do not write, but for the rows of a login at the `url` of `login`, and no mail goes
    out. Raises NotRun where the application cannot be had, or answers to no host.
    """
    application = _application()
    allowed = _allowed_host()
    served = Served(secure=_wants_tls())
    sessions = SiteSessions()
    with overridden_settings(), sessions.held(), _crashes_noted(served), _server() as server:
        base_url = f"http://{HOST}:{server.server_port}"
        proxy = _Proxy(application, base_url, allowed, served, sessions, _login_path(login))
        server.set_app(proxy)
        site = site_at(base_url)
        yield Site(site.base_url, site.scheme, site.host, site.port, served=served)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the report has the answers."""


class _Server(ThreadedWSGIServer):
    def server_bind(self) -> None:
        # Not HTTPServer's, which asks a name server for the name of the address.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])
        self.setup_environ()


@contextmanager
def _server() -> Iterator[_Server]:
    try:
        server = _Server((HOST, 0), _Quiet)
    except OSError as error:
        raise NotRun(f"this run could not serve the site: {error}", hint=GIVE_A_SITE) from error
    thread = threading.Thread(
        target=server.serve_forever,
        kwargs={"poll_interval": SECONDS_BETWEEN_LOOKS},
        name="uat site",
        daemon=True,
    )
    thread.start()
    try:
        yield server
    finally:
        try:
            server.shutdown()
        finally:
            server.server_close()


class _Proxy:
    """What stands before the application, as a proxy that ends TLS does: it asks as one would."""

    def __init__(
        self,
        application: Application,
        base_url: str,
        allowed: str | None,
        served: Served,
        sessions: SiteSessions,
        login_path: str | None,
    ) -> None:
        self._application = application
        self._base_url = base_url
        self._scheme = "https" if served.secure else "http"
        self._host = allowed or base_url.partition("://")[2]
        self._sessions = sessions
        self._login_path = login_path

    @property
    def _outside(self) -> str:
        """Where the application believes itself to be."""
        return f"{self._scheme}://{self._host}"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        is_login = environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] == self._login_path
        self._ask_from_outside(environ)

        def answer(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [self._as_seen_here(*each) for each in headers], *rest)

        # A session that stayed open may write what this request may not.
        connections.close_all()
        with self._sessions.writing(is_login):
            return self._application(environ, answer)

    def _ask_from_outside(self, environ: dict[str, Any]) -> None:
        environ["HTTP_HOST"] = self._host
        environ["wsgi.url_scheme"] = self._scheme
        if ":" not in self._host:
            environ["SERVER_NAME"] = self._host
            environ["SERVER_PORT"] = "443" if self._scheme == "https" else "80"
        header = django_settings.SECURE_PROXY_SSL_HEADER
        if header and self._scheme == "https":
            environ[header[0]] = header[1]
        for name in ("HTTP_ORIGIN", "HTTP_REFERER"):
            if name in environ:
                environ[name] = environ[name].replace(self._base_url, self._outside, 1)
        mounted = (django_settings.FORCE_SCRIPT_NAME or "").rstrip("/")
        if mounted and environ["PATH_INFO"].startswith(f"{mounted}/"):
            environ["SCRIPT_NAME"] = mounted
            environ["PATH_INFO"] = environ["PATH_INFO"][len(mounted) :]

    def _as_seen_here(self, name: str, value: str) -> tuple[str, str]:
        if name.lower() == "location" and value.startswith(f"{self._outside}/"):
            return name, self._base_url + value[len(self._outside) :]
        if name.lower() == "set-cookie":
            return name, DOMAIN.sub("", value)
        return name, value


@contextmanager
def _crashes_noted(served: Served) -> Iterator[None]:
    def note(request: Any = None, **kwargs: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None:
            words = f"{type(error).__name__}: {first_line(error)}"
            path = str(getattr(request, "path", ""))
            served.crashes.append(Crash(path=path, words=words, wrote=refused_to_write(error)))

    got_request_exception.connect(note)
    try:
        yield
    finally:
        got_request_exception.disconnect(note)


def _application() -> Application:
    """Return what WSGI_APPLICATION names, with the static files that a web server would have."""
    try:
        application: Application = get_internal_wsgi_application()
    except (Exception, SystemExit) as error:
        cause = error.__cause__ or error
        raise NotRun(
            f"the project's WSGI application ({_name()}) cannot be imported, so this run cannot "
            f"serve the site: {type(cause).__name__}: {first_line(cause)}",
            hint=f"correct WSGI_APPLICATION in the settings; or {GIVE_A_SITE}",
        ) from error
    if not apps.is_installed("django.contrib.staticfiles"):
        return application
    from django.contrib.staticfiles.handlers import StaticFilesHandler

    try:
        return StaticFilesHandler(application)  # type: ignore[arg-type]
    except ImproperlyConfigured:
        return application


def _name() -> str:
    return str(django_settings.WSGI_APPLICATION or "django.core.wsgi.get_wsgi_application()")


def _allowed_host() -> str | None:
    """Return the host by whose name the site is asked; None where the address itself will do."""
    allowed = list(django_settings.ALLOWED_HOSTS)
    if not allowed and not django_settings.DEBUG:
        raise NotRun(
            "ALLOWED_HOSTS is empty: this release answers requests for no host",
            hint="set ALLOWED_HOSTS in the settings",
        )
    if validate_host(HOST, allowed or DEBUG_HOSTS):
        return None
    return str(allowed[0]).lstrip(".")


def _wants_tls() -> bool:
    """Return whether the settings are those of a site behind TLS."""
    return any(
        getattr(django_settings, name)
        for name in ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
    )


def _login_path(login: Mapping[str, str] | None) -> str | None:
    try:
        return path_of(login["url"]) if login and login.get("username") else None
    except Failed:
        return None
