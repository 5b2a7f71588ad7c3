"""What Django's connection parameters are called by libpq, and how a child gets them in secret."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import UndecidedError
from opsmigrate.postgres.network_timeouts import LIMITS, service_section, with_network_timeouts

# PostgreSQL documentation, libpq, Environment Variables. client_encoding is left out: the drivers
# set it for themselves, and pg_dump would write the archive in it.
VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "passfile": "PGPASSFILE",
    "require_auth": "PGREQUIREAUTH",
    "channel_binding": "PGCHANNELBINDING",
    "service": "PGSERVICE",
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslcompression": "PGSSLCOMPRESSION",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcertmode": "PGSSLCERTMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslsni": "PGSSLSNI",
    "requirepeer": "PGREQUIREPEER",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
    "gssdelegation": "PGGSSDELEGATION",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
}
# Keywords that have no variable; a service file carries them.
SERVICE_ONLY = (
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "sslpassword",
)
SERVICE = "opsmigrate"
# pg_restore sends as fast as the server takes it, and Linux counts the time in which a busy server
# takes nothing (zero window) as it counts that in which it does not answer (tcp_probe_timer() in
# net/ipv4/tcp_timer.c): ten minutes.
LIMITS_OF_CLIENTS = {**LIMITS, "tcp_user_timeout": 600_000}
INHERITED = ("PATH", "HOME", "USER", "USERPROFILE", "APPDATA", "SYSTEMROOT", "TMPDIR", "TEMP", "TZ")
INHERITED_PREFIXES = ("PG", "LD_", "DYLD_", "KRB5", "LANG", "LC_")


@dataclass(frozen=True)
class ChildEnvironment:
    """The environment of a client program, and the descriptors that it must inherit."""

    variables: Mapping[str, str]
    descriptors: tuple[int, ...]
    role: str | None


@contextmanager
def child_environment(
    connection: BaseDatabaseWrapper,
    *,
    database: str | None = None,
    application: str = "opsmigrate",
    settings: Mapping[str, str] | None = None,
) -> Iterator[ChildEnvironment]:
    """Yield what makes a client program connect as `connection` does, to `database` or the same.

    `application` is what the server calls it in pg_stat_activity, `settings` are server settings
    for its sessions, without spaces; they win over those of the role and the database.

    The password is in no argument and no variable: it stands in a passfile in memory (a 0600
    temporary file where the system has no memfd), gone when the block ends. Nothing of the
    project's own environment is handed on but what such programs need.
    """
    # The class's: on the connection itself, it has the limits of our own sessions.
    given = type(connection).get_connection_params(connection)
    params = {
        # 0 says something of those: no keepalives, no limit.
        key: str(value)
        for key, value in with_network_timeouts(given, LIMITS_OF_CLIENTS).items()
        if value or (key in SERVICE_ONLY and value is not None)
    }
    if database is not None:
        params["dbname"] = database
    variables = {
        name: value
        for name, value in os.environ.items()
        if name in INHERITED or name.startswith(INHERITED_PREFIXES)
    }
    for key in [key for key, value in given.items() if value == "" and key in VARIABLES]:
        # For libpq, an empty word is one: the variable would not be asked.
        variables.pop(VARIABLES[key], None)
    variables.update({VARIABLES[key]: params[key] for key in VARIABLES if key in params})
    if settings:
        options = [f"-c {name}={value}" for name, value in settings.items()]
        variables["PGOPTIONS"] = " ".join([variables.get("PGOPTIONS", ""), *options]).strip()
    variables.update(PGAPPNAME=application, **_untranslated(variables))
    variables.pop("PGCLIENTENCODING", None)
    with ExitStack() as stack:
        descriptors = []
        if "password" in params:
            variables.pop("PGPASSWORD", None)
            path, inherited = stack.enter_context(_secret_file(_passfile(params["password"])))
            variables["PGPASSFILE"] = path
            descriptors += inherited
        service = {key: params[key] for key in SERVICE_ONLY if key in params}
        wanted = params.get("service") or variables.get("PGSERVICE")
        named = service_section(wanted, variables) if wanted else {}
        # A service that is not found stays libpq's to complain of.
        if service and (named or not wanted):
            pairs = {**named, **service}.items()
            lines = [f"[{SERVICE}]", *(f"{key}={value}" for key, value in pairs)]
            path, inherited = stack.enter_context(_secret_file("\n".join(lines) + "\n"))
            variables.update(PGSERVICE=SERVICE, PGSERVICEFILE=path)
            descriptors += inherited
        role = connection.settings_dict.get("OPTIONS", {}).get("assume_role")
        yield ChildEnvironment(variables, tuple(descriptors), role)


def _untranslated(variables: dict[str, str]) -> dict[str, str]:
    """Return what makes a program say its own words as they are in its source; see setlocale(3).

    LC_ALL goes before LC_MESSAGES, and LANGUAGE before both, so they are taken out.
    """
    variables.pop("LANGUAGE", None)
    everything = variables.pop("LC_ALL", None)
    return {"LC_MESSAGES": "C", **({"LC_CTYPE": everything} if everything else {})}


def require_password_for_clients(connection: BaseDatabaseWrapper) -> None:
    """Raise UndecidedError where the client programs cannot be given the password."""
    _require_one_line(str(connection.get_connection_params().get("password") or ""))


def _require_one_line(password: str) -> None:
    # A line of a passfile is one entry (documentation of libpq, "The Password File").
    if "\n" in password or "\r" in password:
        raise UndecidedError(
            "the password contains a line break, which cannot be passed to pg_dump and psql",
            id="cannot-connect",
            hint="give the role a password without line breaks",
        )


def _passfile(password: str) -> str:
    _require_one_line(password)
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    return f"*:*:*:*:{escaped}\n"


@contextmanager
def _secret_file(text: str) -> Iterator[tuple[str, list[int]]]:
    """Yield the path of a file with `text` that only we and our children can read."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("opsmigrate", 0)
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, text.encode())
            yield f"/proc/self/fd/{descriptor}", [descriptor]
        finally:
            os.close(descriptor)
        return
    descriptor, name = tempfile.mkstemp(prefix="opsmigrate")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        yield name, []
    finally:
        Path(name).unlink(missing_ok=True)
