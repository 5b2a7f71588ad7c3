"""The fence: what the project's code reads is there, what it does elsewhere is refused and said."""

import re
from pathlib import Path

import pytest
from django.db import connections

from tests.conftest import Ops, query
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import prepared, reasons, rehearse, rehearse_project
from tests.tiers import one_in_core

pytestmark = pytest.mark.adversary

PLACE = "host='127.0.0.1', dbname='postgres'"
PSYCOPG = {
    "another database": f"psycopg.connect({PLACE})",
    "another database by a string": "psycopg.connect('host=127.0.0.1 dbname=postgres')",
    "another database by its class": f"psycopg.Connection.connect({PLACE})",
    "another database, asynchronously": "__import__('asyncio').run("
    f"psycopg.AsyncConnection.connect({PLACE}))",
}
PSYCOPG2 = {
    "another database": f"psycopg2.connect({PLACE})",
    "another database by its class": "psycopg2.extensions.connection("
    "'host=127.0.0.1 dbname=postgres')",
    "another database by a subclass": "type('Mine', (psycopg2.extensions.connection,), {})("
    "'host=127.0.0.1 dbname=postgres')",
    "another database below connect()": "psycopg2._connect('host=127.0.0.1 dbname=postgres')",
}
BEYOND = {
    "a socket": "__import__('socket').create_connection(('127.0.0.1', 9))",
    "a process": "__import__('subprocess').run(['true'])",
    "a shell": "__import__('os').system('true')",
    "a fork": "__import__('os').fork()",
    "a signal": "__import__('os').kill(1, 0)",
    "a process of multiprocessing": "__import__('multiprocessing').get_context('spawn')"
    ".Process(target=print).start()",
    "a file": "open('/tmp/opsmigrate-nothing', 'w')",
    "a file's end": "__import__('os').remove('/tmp/opsmigrate-nothing')",
    "a role": "editor.execute('CREATE ROLE opsmigrate_nobody')",
    "a role, past Django": "editor.connection.connection.cursor().execute("
    "'CREATE ROLE opsmigrate_nobody')",
    "a setting of a database": "editor.execute('ALTER DATABASE postgres SET jit = off')",
    "a membership": "editor.execute('GRANT pg_monitor TO CURRENT_USER')",
    "the server's programs": "editor.execute(\"COPY zoo_cage TO PROGRAM 'cat >/dev/null'\")",
    "the server's files": "editor.execute(\"COPY zoo_cage TO '/tmp/opsmigrate-nothing'\")",
    "the server's files, from a block": 'editor.execute("DO $$ BEGIN EXECUTE format('
    "'COPY %I TO PROGRAM ''true''', 'zoo_cage'); END $$\", None)",
    "another session": "editor.execute('SELECT pg_terminate_backend(0)')",
    "SQL from rows": "editor.execute('DO $$ DECLARE r record; BEGIN FOR r IN TABLE zoo_cage LOOP"
    " EXECUTE r.name; END LOOP; END $$')",
}


def attempts() -> dict[str, str]:
    """Return the attempts that the driver at hand allows for."""
    psycopg2 = connections["default"].Database.__name__ == "psycopg2"
    return {**BEYOND, **(PSYCOPG2 if psycopg2 else PSYCOPG)}


def swallowing(code: str) -> str:
    """Return an operation that tries, and goes on as if nothing had been."""
    code = re.sub(r"\b(psycopg2?)\.", r"__import__('\1').", code)
    text = f"try: {code}\nexcept RuntimeError: pass"
    return f"migrations.RunPython(lambda apps, editor: exec({text!r}, {{'editor': editor}})),"


@pytest.mark.named
def test_what_reaches_beyond_the_copy_is_refused_and_leaves_the_question_open(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    tried = attempts()
    pending = "\n".join(swallowing(code) for code in tried.values())
    alias = prepared(empty_database, write_migrations, pending)

    answer = rehearse(ops, alias)

    assert (answer.code, answer.report["verdict"], answer.ids) == (3, "undecided", [])
    refused = {
        item["what"]: item["why"]
        for item in answer.report["undecided"]
        if "it may not" in item["why"]
    }
    expected = {f"zoo.0002_step {n}: RunPython": name for n, name in enumerate(tried)}
    missing = [name for what, name in expected.items() if what not in refused]
    assert missing == [], "\n".join(reasons(answer))
    assert query(alias, "SELECT 1 FROM pg_roles WHERE rolname = 'opsmigrate_nobody'") == []


@pytest.mark.named
def test_what_is_refused_does_not_happen(
    empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    attempt = f"__import__('subprocess').run(['touch', {str(trace)!r}])"
    pending = f"migrations.RunPython(lambda apps, editor: {attempt}),"
    alias = prepared(empty_database, write_migrations, pending)

    assert rehearse(ops, alias).code == 3
    assert not trace.exists()
    assert migrate(alias, "zoo") is None
    assert trace.exists()


def test_a_failure_after_a_refusal_is_no_verdict(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = """
migrations.RunPython(type("Code", (), {"__call__": lambda self, apps, editor: exec(
    "try: __import__('os').system('true')\\nexcept RuntimeError: pass"),
    "__module__": "zoo", "__qualname__": "swallows"})()),
migrations.RunSQL("SELECT 1 / 0"),
"""
    answer = rehearse(ops, prepared(empty_database, write_migrations, pending))

    assert (answer.code, answer.ids) == (3, [])
    assert any("it may not do this in a rehearsal: os.system" in why for why in reasons(answer))
    assert any("division by zero" in why for why in reasons(answer))


FINE = {
    "mail": "__import__('django.core.mail').core.mail.send_mail('s', 'b', 'a@x.org', ['b@x.org'])",
    "a temporary file": "__import__('tempfile').NamedTemporaryFile('w').write('x')",
    "a temporary folder": "__import__('tempfile').TemporaryDirectory().cleanup()",
    "a block that writes its SQL": 'editor.execute("DO $$ BEGIN EXECUTE format('
    "'ANALYZE %I', 'zoo_cage'); END $$\", None)",
    "words in a literal": "editor.execute(\"UPDATE zoo_cage SET name = 'drop database'\")",
    "words in a default": 'editor.execute("ALTER TABLE zoo_cage ADD note text DEFAULT'
    " 'please create user first'\")",
    "words in a comment": 'editor.execute("COMMENT ON COLUMN zoo_cage.name IS'
    " 'When did we grant access to it'\")",
    "words in the name of a column": "editor.execute('ALTER TABLE zoo_cage ADD database int')",
    "rows from the client": "editor.connection.cursor().execute("
    "'CREATE TEMP TABLE t AS SELECT 1 AS program')",
    "a setting of its own database": "editor.execute('ALTER DATABASE ' + editor.connection.ops"
    ".quote_name(editor.connection.settings_dict['NAME']) + ' SET jit = off')",
    "a message": "editor.execute('NOTIFY zoo')",
}


NAMES = {
    "in Python": ("editor.connection.settings_dict['NAME'] == 'production'", 3),
    "in settings": (
        "__import__('django.conf').conf.settings.DATABASES[editor.connection.alias]['NAME']"
        ".startswith('prod')",
        3,
    ),
    "in SQL": ("editor.execute('SELECT current_database()')", 3),
    "in a condition": (
        "editor.execute('SELECT count(*) FROM information_schema.tables"
        " WHERE table_catalog = current_database()')",
        0,
    ),
    "with itself": (
        "editor.connection.settings_dict['NAME'] == editor.connection.settings_dict"
        "['NAME'] or 1 / 0",
        0,
    ),
}


@pytest.mark.parametrize(
    ("code", "expected"), one_in_core(NAMES.values(), core=3), ids=NAMES.keys()
)
def test_code_that_looks_at_the_databases_name_is_left_open(
    code: str, expected: int, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = f"migrations.RunPython(lambda apps, editor: {code} and None),"
    answer = rehearse(ops, prepared(empty_database, write_migrations, pending))

    assert (answer.code, answer.ids) == (expected, [])
    assert any("reads the database's name" in why for why in reasons(answer)) is (expected == 3)


@pytest.mark.parametrize("code", one_in_core(FINE.values(), core=3), ids=FINE.keys())
def test_what_stays_in_the_copy_is_allowed(
    code: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = f"migrations.RunPython(lambda apps, editor: {code} and None),"
    answer = rehearse(ops, prepared(empty_database, write_migrations, pending))

    assert (answer.code, reasons(answer)) == (0, [])


STORAGE = """
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage as storage
assert settings.STORAGES["default"]["BACKEND"].endswith(".FileSystemStorage")
assert "locmem" in settings.CACHES["default"]["BACKEND"]
assert storage.size("given.txt") == 5
assert storage.open("given.txt").read() == b"given"
assert storage.save("new.txt", ContentFile(b"new")) == "new.txt"
assert storage.save("given.txt", ContentFile(b"other")) != "given.txt"
assert storage.open("new.txt").read() == b"new"
assert "new.txt" in storage.listdir("")[1]
storage.delete("given.txt")
assert not storage.exists("given.txt")
"""


def test_stored_files_are_read_where_they_are_and_written_in_memory(
    empty_database: str, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (media / "given.txt").write_text("given")

    answer = rehearse_project(
        empty_database, tmp_path, code=STORAGE, settings=f"MEDIA_ROOT = {str(media)!r}\n"
    )

    assert (answer.code, answer.ids) == (0, []), answer.stdout
    assert {path.name: path.read_text() for path in media.iterdir()} == {"given.txt": "given"}


USED_BEFORE = """
from django.core.cache import cache
from django.core.files.storage import default_storage
cache.set("a", 1)
default_storage.exists("a")
"""
OTHERS = """
CACHES = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                      "LOCATION": CACHE}}
MEDIA_ROOT = CACHE
"""


def test_caches_and_storages_that_are_in_use_already_are_exchanged_too(
    empty_database: str, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    code = """
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
cache.set("b", 2)
assert cache.get("b") == 2
default_storage.save("b.txt", ContentFile(b"b"))
"""
    answer = rehearse_project(
        empty_database,
        tmp_path,
        code=code,
        ready=USED_BEFORE,
        settings=f"CACHE = {str(cache)!r}\n{OTHERS}",
    )

    assert (answer.code, answer.ids) == (0, []), answer.stdout
    assert not (cache / "b.txt").exists()


OWN_CACHE = """
from django.core.cache.backends.filebased import FileBasedCache
class Cache(FileBasedCache):
    def delete_pattern(self, pattern): raise NotImplementedError
    def shrink(self): return 0
"""
ASKS = """
from django.core.cache import cache
cache.set("page 1", 1), cache.set("other", 2)
assert cache.delete_pattern("page *") == 1
assert (cache.get("page 1"), cache.get("other")) == (None, 2)
"""


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ("", 0, None),
        ("cache.shrink()", 3, "it uses shrink of the cache, which a cache in memory does not have"),
        ("cache.nowhere()", 1, None),
    ],
    ids=["known", "its own", "nobody's"],
)
def test_a_cache_has_the_methods_that_the_projects_backend_has(
    more: str, code: int, words: str | None, empty_database: str, tmp_path: Path
) -> None:
    (tmp_path / "own_cache.py").write_text(OWN_CACHE)
    entry = {"BACKEND": "own_cache.Cache", "LOCATION": str(tmp_path / "cache")}

    answer = rehearse_project(
        empty_database,
        tmp_path,
        code=ASKS + more,
        settings=f"CACHES = {{'default': {entry!r}}}\n",
    )

    assert answer.code == code, answer.stdout
    told = [each["why"] for each in answer.report["undecided"]]
    assert not words or any(words in why for why in told), told


WRAPPED = """
DATABASES["default"]["ENGINE"] = "wrapped"
DATABASES["same"] = dict(DATABASES["default"])
DATABASES["named"] = {**DATABASES["default"], "HOST": "localhost"}
DATABASES["far"] = {**DATABASES["default"], "PORT": 1}
DATABASES["other"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
"""
WRAPPER = """
from django.db.backends.postgresql.base import DatabaseWrapper
"""


@pytest.mark.parametrize(
    ("alias", "code"),
    one_in_core([("named", 0), ("far", 3), ("default", 0), ("same", 0), ("other", 3)], core=2),
)
def test_a_backend_of_the_projects_own_is_used_and_other_aliases_are_not(
    alias: str, code: int, empty_database: str, tmp_path: Path
) -> None:
    backend = tmp_path / "wrapped"
    backend.mkdir()
    (backend / "__init__.py").touch()
    (backend / "base.py").write_text(WRAPPER)

    answer = rehearse_project(
        empty_database,
        tmp_path,
        code=f"""
from django.db import connections
with connections[{alias!r}].cursor() as cursor:
    cursor.execute("CREATE TABLE made_by_code (n int)")
""",
        settings=WRAPPED,
    )

    assert answer.code == code, answer.stdout
    assert query(empty_database, "SELECT to_regclass('made_by_code')") == [(None,)]
    words = "it may not connect to another database"
    refused = [why for why in reasons(answer) if words in why]
    assert bool(refused) is (code == 3), reasons(answer)


def test_what_runs_in_the_background_since_before_is_refused_in_silence(
    empty_database: str, tmp_path: Path
) -> None:
    # As collectors of errors and of figures do.
    ready = """
import socket, threading, time
def report():
    while True:
        try:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
        except Exception:
            pass
        time.sleep(0.005)
threading.Thread(target=report, daemon=True).start()
"""
    answer = rehearse_project(
        empty_database, tmp_path, code="import time\ntime.sleep(0.1)", ready=ready
    )

    assert (answer.code, answer.ids) == (0, []), answer.stdout


OWN_MIGRATE = """
from django.core.management.commands import migrate

class Command(migrate.Command):
    def handle(self, *args, **options):
        super().handle(*args, **{**options, "app_label": LABEL})
"""


@pytest.mark.parametrize(("label", "code"), [("eager", 0), ("contenttypes", 3)])
def test_a_migrate_of_the_projects_own_is_what_is_rehearsed(
    label: str, code: int, empty_database: str, tmp_path: Path
) -> None:
    answer = rehearse_project(
        empty_database, tmp_path, code="pass", command=f"LABEL = {label!r}\n{OWN_MIGRATE}"
    )

    assert (answer.code, answer.ids) == (code, []), answer.stdout
    assert any("migrate ran another plan" in why for why in reasons(answer)) is bool(code)


LATER = {
    "an exit function": "__import__('atexit').register(leave)",
    "a thread": "__import__('threading').Timer(1, leave).start()",
}


@pytest.mark.parametrize("code", one_in_core(LATER.values()), ids=LATER.keys())
def test_the_fence_stands_after_migrate_has_returned(
    code: str, empty_database: str, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    leave = f"def leave():\n    __import__('subprocess').run(['touch', {str(trace)!r}])\n"

    answer = rehearse_project(empty_database, tmp_path, code=f"{leave}{code}")

    assert answer.code == 0, answer.stdout
    assert not trace.exists()
