"""A server of its own for the copy, a network of its own for the process, no live credentials.

And where the copy must be on the examined server: the fence. The attempts are an adversary's.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.db import connections

from opsmigrate.pgtools.embedded import running
from opsmigrate.postgres.session import backend_pid, second_connection
from opsmigrate.preflight.rehearsal.credentials import OF_COPY
from opsmigrate.sql import grammar
from tests.conftest import ROOT, Answer, Ops, execute, query, url_of
from tests.integration.fence_attempts import (
    BELOW,
    OF_ITS_OWN,
    OWNER,
    SUPERUSER,
    UNSEEN,
    WITH_PSYCOPG,
    WITH_PSYCOPG2,
)
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write
from tests.rehearsals import DOUBLE, owner_of_zoo, prepared, reasons, rehearse, rehearse_project
from tests.tiers import one_in_core

pytestmark = pytest.mark.adversary

EVERYTHING = """
SELECT (SELECT jsonb_agg(to_jsonb(d) - 'datfrozenxid' - 'datminmxid' ORDER BY oid)
        FROM pg_database d WHERE datname !~ '^opsmigrate_scratch')::text,
       (SELECT jsonb_agg(to_jsonb(r) ORDER BY oid) FROM pg_authid r)::text,
       (SELECT jsonb_agg(to_jsonb(s) ORDER BY s::text) FROM pg_db_role_setting s
        WHERE setdatabase = 0 OR setdatabase IN (
            SELECT oid FROM pg_database WHERE datname !~ '^opsmigrate_scratch'))::text,
       (SELECT jsonb_agg(to_jsonb(m) ORDER BY m::text) FROM pg_auth_members m)::text,
       (SELECT jsonb_agg(to_jsonb(z) ORDER BY id) FROM zoo_cage z)::text,
       (SELECT jsonb_agg(to_jsonb(f) ORDER BY f::text) FROM pg_file_settings f)::text,
       (SELECT count(*) FROM pg_prepared_xacts)
"""
PREAMBLE = """
cursor = editor.connection.cursor()
raw = editor.connection.connection.cursor()
DRIVER = editor.connection.Database
own = editor.connection.get_connection_params()
given = GIVEN
role, database, other, pid, live, trace = (
    given[key] for key in ("role", "database", "other", "pid", "live", "trace"))
own = {key: own[key] for key in ("dbname", "user", "password", "host", "port")}
def run(text):
    for key in ("ROLE_", "DB_", "OTHER_", "PID_", "TRACE_"):
        text = text.replace(key, str(given[{"DB_": "database"}.get(key, key[:-1].lower())]))
    cursor.execute(text)
"""


@pytest.fixture(autouse=True)
def unbound(settings: Any) -> None:
    """Say nothing of where the copy is to be made."""
    settings.OPSMIGRATE = {"ENVIRONMENT": "test"}


def test_the_copy_is_made_on_a_server_of_its_own_wherever_one_suits(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    answer = rehearse(ops, prepared(empty_database, write_migrations, DOUBLE))

    assert (answer.code, reasons(answer)) == (0, []), answer.stdout
    isolation = answer.report["facts"]["rehearsal"]["isolation"]
    assert isolation == {
        "server": "embedded",
        "network": "namespace",
        "fence": "isolated",
        "why": [],
    }


def attempts(alias: str, other: str, tried: dict[str, str], pid: int, trace: Path) -> str:
    """Return operations that try, and go on as if nothing had been."""
    settings, quoted = connections[alias].settings_dict, connections[alias].ops.quote_name
    given = {
        "role": quoted(settings["USER"]),
        "database": quoted(settings["NAME"]),
        "other": quoted(connections[other].settings_dict["NAME"]),
        "live": url_of(alias),
        "pid": pid,
        "trace": str(trace),
    }
    preamble = PREAMBLE.replace("GIVEN", repr(given))
    texts = [
        f"{preamble}\ntry:\n    {code}\nexcept Exception:\n    pass\n" for code in tried.values()
    ]
    return "\n".join(
        f"migrations.RunPython(lambda apps, editor: exec({text!r}, {{'editor': editor}})),"
        for text in texts
    )


def refused(answer: Answer) -> set[str]:
    """Return the operations in which the fence refused something."""
    return {item["what"] for item in answer.report["undecided"] if "it may not" in item["why"]}


def told(answer: Answer) -> list[str]:
    """Return what became of the operations."""
    return [
        f"{item['what']} {item['why']}"
        for item in answer.report["undecided"]
        if "only a rehearsal" not in item["why"]
    ]


def try_all(
    alias: str, other: str, tried: dict[str, str], folder: Path, write: Write, ops: Ops, boss: str
) -> tuple[Answer, set[str]]:
    """Rehearse the attempts; hold that nothing live is another; return what was not refused."""
    trace = folder / "trace"
    trace.mkdir()
    trace.chmod(0o777)
    name = connections[other].settings_dict["NAME"]
    with second_connection(connections[alias]) as session:
        pid = backend_pid(session)
        write(CAGE, attempts(alias, other, tried, pid, trace / "made"), atomic=False)
        before = query(boss, EVERYTHING)
        answer = rehearse(ops, alias)
        assert query(boss, EVERYTHING) == before
        assert backend_pid(session) == pid
    assert query(boss, "SELECT 1 FROM pg_database WHERE datname = %s", [name]) == [(1,)]
    assert list(trace.iterdir()) == []
    found = refused(answer)
    places = {f"zoo.0002_step {n}: RunPython": each for n, each in enumerate(tried)}
    return answer, {each for what, each in places.items() if what not in found}


PLACES = {"isolated": {}, "shared": {"REHEARSE_ON": "default"}}


def of_this_driver(tried: dict[str, str]) -> dict[str, str]:
    """Return the attempts that the installed drivers allow for."""
    psycopg2 = connections["default"].Database.__name__ == "psycopg2"
    left_out = WITH_PSYCOPG if psycopg2 else WITH_PSYCOPG2
    return {name: code for name, code in tried.items() if name not in left_out}


@pytest.mark.major
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("who", one_in_core(["superuser", "owner"]))
def test_an_adversary_gets_nowhere(
    who: str,
    place: str,
    new_database: Callable[..., str],
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", **PLACES[place]}
    alias, other = new_database("live"), new_database("other")
    below = BELOW if place == "isolated" else {}
    tried = of_this_driver({**OWNER, **(SUPERUSER if who == "superuser" else {}), **below})
    prepared(alias, write_migrations, "")
    with ExitStack() as stack:
        if who == "owner":
            user = role("CREATEDB")
            grant = f"""GRANT CREATE ON SCHEMA public TO "{user["USER"]}" """
            execute(connections[alias], grant)
            examined = stack.enter_context(owner_of_zoo(alias, user))
        else:
            examined = alias
        answer, passed = try_all(examined, other, tried, tmp_path, write_migrations, ops, alias)

    assert answer.code == 3, [answer.report["findings"], *told(answer)]
    apart = UNSEEN if who == "owner" else OF_ITS_OWN
    may_run = set(below) | (apart if place == "isolated" else set())
    assert passed <= may_run, "\n".join(told(answer))


THERE = """
CREATE FUNCTION public.format(t text, n name) RETURNS text LANGUAGE sql AS
$$ SELECT 'ALTER DATABASE postgres CONNECTION LIMIT 77' $$
"""
BY_FORMAT = "migrations.RunSQL(\"DO $$ BEGIN EXECUTE format('ANALYZE %I', current_user); END $$\"),"


def test_where_others_have_a_format_of_their_own_nothing_is_executed_by_it(
    empty_database: str, write_migrations: Write, ops: Ops, settings: Any
) -> None:
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", **PLACES["shared"]}
    alias = prepared(empty_database, write_migrations, BY_FORMAT, THERE)
    before = query(alias, EVERYTHING)

    answer = rehearse(ops, alias)

    assert query(alias, EVERYTHING) == before
    assert answer.code == 3, answer.stdout
    assert any("it names format, which leads outside" in why for why in reasons(answer))


def test_what_the_server_of_its_own_lacks_is_tried_on_the_examined_one(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    # Neither has it, and the examined one has the last word.
    pending = """migrations.RunPython(lambda apps, editor: editor.execute(
        "CREATE EXTENSION no_such_extension")),"""
    alias = prepared(empty_database, write_migrations, pending)

    answer = rehearse(ops, alias)

    assert (answer.code, answer.ids) == (1, ["rehearsal-failed"]), answer.stdout
    isolation = answer.report["facts"]["rehearsal"]["isolation"]
    assert isolation["server"] == "examined"
    assert "no_such_extension" in isolation["why"][0]


LEAKS = """
import os, socket, stat
from django.conf import settings
from django.db import connections
secret = SECRET
found = [name for name, value in os.environ.items() if secret in value]
found += [name for name, entry in connections.settings.items() if secret in str(entry)]
found += [
    name for name in dir(settings) if name.isupper() and secret in str(getattr(settings, name))]
place = connections.settings["default"]
of_copy = {os.devnull, *(str(place[key]) for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT"))}
found += [name for name in os.environ if name.startswith("PG") and os.environ[name] not in of_copy]
for number in os.listdir("/proc/self/fd"):
    try:
        if stat.S_ISSOCK(os.fstat(int(number)).st_mode):
            held = socket.socket(fileno=os.dup(int(number)))
            found += [number] if held.family != socket.AF_UNIX else []
            held.close()
    except OSError:
        pass
assert not found, found
assert "/opsmigrate_scratch_" in os.environ["DATABASE_URL"]
"""
REPORTS = """
DATABASES["reports"] = {**DATABASES["default"], "NAME": "reports"}
BROKER_URL = env("BROKER_URL")
"""
# As hosts of applications give them to a process.
BY_VARIABLES = """
import os
DATABASES["default"] = {
    **DATABASES["default"],
    **{key: os.environ[f"PG{name}"] for key, name in {
        "NAME": "DATABASE", "USER": "USER", "PASSWORD": "PASSWORD", "HOST": "HOST", "PORT": "PORT",
    }.items()},
}
"""
READS = """
import sys
from django.db import connection
if "preflight_migrate" not in sys.argv:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone()[0].startswith("opsmigrate_scratch_")
"""


@pytest.mark.named
@pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux's /proc")
def test_the_process_learns_no_password_of_a_live_database(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = str(connections[empty_database].settings_dict["PASSWORD"])
    monkeypatch.setenv("BROKER_URL", f"db+postgresql://postgres:{password}@db.example.com/broker")
    _set_variables_of(empty_database, monkeypatch)
    code = LEAKS.replace("SECRET", repr(password))
    settings = BY_VARIABLES + REPORTS

    answer = rehearse_project(empty_database, tmp_path, code=code, ready=READS, settings=settings)

    assert (answer.code, answer.ids) == (0, []), answer.stdout
    isolation = answer.report["facts"]["rehearsal"]["isolation"]
    assert (isolation["server"], isolation["network"]) == ("embedded", "namespace")


def _set_variables_of(alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = connections[alias].settings_dict
    for name, key in OF_COPY.items():
        monkeypatch.setenv(name, str(found[key] or 5432))


@pytest.mark.named
def test_a_variable_that_leads_outside_and_that_the_settings_need_is_named(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what to write instead."""
    monkeypatch.setenv("PGOPTIONS", "-c geqo=on")
    settings = 'import os\nNEEDED = os.environ["PGOPTIONS"]\n'
    answer = rehearse_project(empty_database, tmp_path, code="pass", settings=settings)
    [found] = answer.report["findings"]
    assert (answer.code, found["id"]) == (3, "rehearsal-broken"), answer.stdout
    assert "the settings need PGOPTIONS, which the process of the rehearsal" in found["message"]
    assert "os.environ.get('PGOPTIONS')" in found["hint"]


THREAD = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
NAMESPACE = """
import ctypes, os, socket, sys
from pathlib import Path
from opsmigrate.preflight.rehearsal.namespace import enter_own_network
others, own, port, readable = sys.argv[1:]
account = os.getuid(), os.getgid()
enter_own_network(Path(own))
assert (os.getuid(), os.getgid()) == account
assert socket.if_nameindex() == [(1, "lo")]
assert Path(readable).read_text() == "yes"

def reached(family, address):
    with socket.socket(family) as one:
        return one.connect_ex(address) == 0

assert not reached(socket.AF_INET, ("127.0.0.1", int(port)))
assert reached(socket.AF_UNIX, own)
assert not reached(socket.AF_UNIX, others)
# No way back.
libc = ctypes.CDLL(None)
assert libc.umount2(others.encode(), 2) != 0
try:
    network = os.open(f"/proc/{os.getppid()}/ns/net", os.O_RDONLY)
except OSError:
    pass
else:
    assert libc.setns(network, 0) != 0
"""


def python_for(prefix: list[str]) -> str:
    """Return a Python that can be started so: ours may lie in a folder that is closed to others."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if subprocess.run([*prefix, python, "-c", ""], capture_output=True).returncode == 0:
            return python
    raise AssertionError(f"{' '.join(prefix)} can start no Python here")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has network namespaces")
@pytest.mark.parametrize("account", ["ours", "nobody's"])
def test_in_a_network_of_its_own_only_the_copys_socket_is_in_reach(account: str) -> None:
    if account == "nobody's" and os.geteuid() != 0:
        pytest.skip("ours is an ordinary one")
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    python = sys.executable if account == "ours" else python_for(prefix)
    with (
        TemporaryDirectory() as folder,
        running(Path(folder) / "live", durable=False, socket=True) as live,
        running(Path(folder) / "copy", durable=False, socket=True) as copy,
    ):
        readable = Path(folder) / "readable"
        readable.write_text("yes")
        Path(folder).chmod(0o755)
        paths = [str(each.socket / f".s.PGSQL.{each.port}") for each in (live, copy) if each.socket]
        done = subprocess.run(
            [
                *(prefix if account == "nobody's" else []),
                *(python, "-c", NAMESPACE, *paths, str(live.port), str(readable)),
            ],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stderr


OF_THE_PARENT = """
import os
for path in (f"/proc/{os.getppid()}/environ", f"/proc/self/../{os.getppid()}/environ"):
    try:
        with open(path) as environment:
            raise AssertionError(environment.read()[:9])
    except (OSError, RuntimeError):
        pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux's /proc")
@pytest.mark.parametrize("threads", ["", THREAD], ids=["namespace", "shared"])
def test_the_variables_of_the_process_that_started_it_are_not_read(
    empty_database: str, tmp_path: Path, threads: str
) -> None:
    answer = rehearse_project(empty_database, tmp_path, code=OF_THE_PARENT, settings=threads)

    assert "rehearsal-failed" not in answer.ids, answer.stdout
    assert answer.code in (0, 3), answer.stdout


def test_threads_of_the_settings_keep_the_network_shared_and_the_report_says_so(
    empty_database: str, tmp_path: Path
) -> None:
    thread = (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )

    answer = rehearse_project(empty_database, tmp_path, code="pass", settings=thread)

    assert answer.code == 0, answer.stdout
    isolation = answer.report["facts"]["rehearsal"]["isolation"]
    assert (isolation["network"], isolation["why"]) == (
        "shared",
        ["the settings have started threads"],
    )


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("on a server that others use", {"REHEARSE_ON": "default"}),
        # On a server of our own SQL that nobody can read may run, but not with such powers.
        ("as a superuser, or a role that has the server's files", {}),
    ],
    ids=["server-of-others", "superuser"],
)
def test_without_the_grammar_nothing_is_rehearsed_where_it_must_be_read(
    where: str,
    place: dict[str, str],
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    monkeypatch.setitem(sys.modules, "postgast", None)
    grammar._library.cache_clear()
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", **place}
    try:
        answer = rehearse(ops, alias)
    finally:
        grammar._library.cache_clear()

    assert (answer.code, answer.ids) == (3, ["no-grammar"])
    assert f"no rehearsal {where}: " in answer.report["findings"][0]["message"]
    [step] = answer.report["findings"][0]["steps"]
    assert step["text"] == 'python -m pip install "postgast>=0.2,<0.3"'
