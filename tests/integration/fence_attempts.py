"""What an adversary tried to get out of a rehearsal, as code of a migration.

`cursor` is a cursor of Django's, `raw` one of the driver's own, `DRIVER` its module, `live` the URL
of the examined database with its password, `own` the parameters of the copy, `pid` a session of the
examined one, `role` the role of the migration, `trace` a path that must not come to be. In SQL,
ROLE_, DB_, OTHER_, PID_ and TRACE_ stand for such.
"""


def sql(text: str) -> str:
    """Return the code that executes a statement."""
    return f"run({text!r})"


OWN_FORMAT = sql(
    "CREATE FUNCTION format(t text, n name) RETURNS text LANGUAGE sql AS"
    " $$ SELECT 'ALTER RO' || 'LE ROLE_ SET work_mem = 77000' $$"
)
FORMATTED = sql("DO $$ BEGIN EXECUTE format('ANALYZE %I', current_user); END $$")
OWNER = {
    "a block after a comment in a literal": sql(
        "DO $$ BEGIN RAISE NOTICE '--- limits ---'; ALTER DATABASE DB_ CONNECTION LIMIT 77; END $$"
    ),
    "a comment begun in a literal": sql(
        "INSERT INTO zoo_cage (code, name) VALUES (gen_random_uuid(), 'https://x/y/*');"
        " ALTER DATABASE DB_ CONNECTION LIMIT 77; SELECT '*/'"
    ),
    "a comment's dashes in a literal": sql(
        "SELECT 'a -- b'; ALTER ROLE ROLE_ SET work_mem = '77MB'"
    ),
    "an escaped quote": sql("SELECT E'it\\'s -- ok'; ALTER ROLE ROLE_ SET work_mem = '77MB'"),
    "a nested comment": sql("DROP /* a /* b */ c */ DATABASE OTHER_ WITH (FORCE)"),
    "callproc": "cursor.callproc('pg_terminate_backend', [pid])",
    "a function in quotes": sql('SELECT "pg_terminate_backend"(PID_)'),
    "a function with an escape": sql('SELECT U&"pg\\005fterminate_backend"(PID_)'),
    "a function of a query in a literal": sql(
        "SELECT query_to_xml('SELECT pg_terminate_backend(PID_)', true, true, '')"
    ),
    "a statement in two pieces": sql(
        "DO $$ BEGIN EXECUTE 'ALTER DATA' || 'BASE DB_ CONNECTION LIMIT 77'; END $$"
    ),
    "a formatted statement": sql(
        "DO $$ BEGIN EXECUTE format('ALTER %s ROLE_ SET work_mem = 77000', 'ROLE'); END $$"
    ),
    "a statement with a variable": sql(
        "DO $$ DECLARE k text := 'ROLE'; BEGIN"
        " EXECUTE 'ALTER ' || k || ' ' || quote_ident(current_user) || ' NOINHERIT'; END $$"
    ),
    "a function with pieces": sql(
        "CREATE FUNCTION ends(p int) RETURNS void LANGUAGE plpgsql AS"
        " $$ BEGIN EXECUTE 'SELECT pg_termi' || 'nate_backend(' || p || ')'; END $$"
    )
    + "; "
    + sql("SELECT ends(PID_)"),
    "its own password": sql("ALTER ROLE ROLE_ PASSWORD 'other'"),
    "sessions of its own role": sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = current_user AND pid <> pg_backend_pid()"
    ),
    "many executions": "cursor.executemany('SELECT pg_terminate_backend(%s)', [[pid]])",
    "a parameter that is SQL": "raw.execute('SELECT 1; %s', [DRIVER.extensions.AsIs("
    "f'ALTER ROLE {role} CONNECTION LIMIT 7')]) if DRIVER.__name__ == 'psycopg2' else"
    " raw.execute(f'ALTER ROLE {role} CONNECTION LIMIT 7')",
    "a value that ends its literal": "raw.execute(\"SELECT '%s'\","
    " [f'|| pg_terminate_backend({pid}) ||'])",
    "a value that ends a comment": "raw.execute('SELECT 1 /* %s */',"
    " [f'*/, pg_terminate_backend({pid}) /*'])",
    "a server-side cursor": "raw.connection.cursor(name='far').execute("
    "f'SELECT pg_terminate_backend({pid})')",
    "a transaction that stays": "cursor.execute('BEGIN');"
    " cursor.execute(\"PREPARE TRANSACTION 'fence'\")",
    "the URL that it knows": "DRIVER.connect(live).cursor().execute('DELETE FROM zoo_cage')",
    "nothing but what is set": "DRIVER.connect('').cursor().execute('SELECT 1')",
    "another driver": "__import__('importlib').import_module("
    "'psycopg2' if DRIVER.__name__ == 'psycopg' else 'psycopg').connect(live) and 1",
    "the class of connections below": "[kind for kind in __import__('psycopg2.extensions')"
    ".extensions.connection.__mro__ if kind is not object][-1](live)",
    "another kind of connection": "__import__('psycopg2.extras').extras.LoggingConnection(live)",
    "libpq itself": "__import__('psycopg').pq.PGconn.connect(live.encode())",
    "replication": "DRIVER.connect(**own, replication='database') and 1",
    "the C library": "__import__('ctypes').CDLL(None).system(f'touch {trace}'.encode())",
    "the C library, by Python's own handle": "__import__('ctypes').pythonapi.system("
    "f'touch {trace}'.encode())",
    "a program": "__import__('_posixsubprocess').fork_exec([b'/usr/bin/touch', trace.encode()],"
    " [b'/usr/bin/touch'], True, (), None, None, -1, -1, -1, -1, -1, -1, *__import__('os').pipe(),"
    " True, False, -1, None, None, None, -1, None, False)",
    "a node": "__import__('os').mknod(trace)",
    "a pipe with a name": "__import__('os').mkfifo(trace)",
    "a name to look up": "__import__('socket').getaddrinfo('opsmigrate.invalid', 80)",
    "a variable named like a key word": sql(
        "DO $$ DECLARE function text := 'ALTER RO' || 'LE ROLE_ SET work_mem = 77000';"
        " BEGIN EXECUTE function; END $$"
    ),
    "a formatted name of a function": sql(
        "DO $$ BEGIN EXECUTE format('SELECT %I(%L)', 'pg_terminate_' || 'backend', PID_); END $$"
    ),
    "a function made after its caller": sql(
        "CREATE FUNCTION calls() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM late(); END $$"
    )
    + "; "
    + sql(
        "CREATE FUNCTION late() RETURNS void LANGUAGE plpgsql AS"
        " $$ BEGIN EXECUTE 'ALTER RO' || 'LE ROLE_ SET work_mem = 77000'; END $$"
    )
    + "; "
    + sql("SELECT calls()"),
    "a function named in a literal that is executed": sql(
        "CREATE FUNCTION hidden() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN EXECUTE 'ALTER RO' || 'LE ROLE_ SET work_mem = 77000'; RETURN 1; END $$"
    )
    + "; "
    + sql("SELECT query_to_xml('SELECT hidden()', true, true, '')"),
    "backslashes that escape": sql("SET standard_conforming_strings = off")
    + "; "
    + sql("SELECT 'a\\', '; ALTER ROLE ROLE_ SET work_mem TO 77000 --'"),
    "backslashes that escape in a block": sql(
        "DO $$ BEGIN PERFORM set_config('standard_conforming_strings', 'off', true);"
        " EXECUTE $q$SELECT 'a\\', '; ALTER ROLE ROLE_ SET work_mem TO 77000 --'$q$; END $$"
    ),
    "letters that swallow a backslash": sql("SET client_encoding = 'GBK'")
    + "; raw.execute(b\"SELECT E'\\xbf\\\\'; ALTER ROLE \" + role.encode()"
    ' + b" SET work_mem TO 77000 --\'")',
    "a text that is executed after a query": sql("CREATE TABLE tsq (t tsquery, s tsquery)")
    + "; "
    + sql(
        "SELECT ts_rewrite('commit', 'SELECT t, s FROM tsq"
        " UNION SELECT ''a'', ''b'' WHERE pg_terminate_backend(PID_)')"
    ),
    "a transaction that stays, by the driver": "c = DRIVER.connect(**own);"
    " c.tpc_begin(c.xid(1, 'fence', 'x')); c.cursor().execute('SELECT 1'); c.tpc_prepare()",
    "a file written by the driver": "DRIVER.connect(**own).lobject(0, 'wb').export(trace)",
    "a block that makes a function": sql(
        "DO $$ BEGIN CREATE FUNCTION made() RETURNS void LANGUAGE plpgsql AS $q$ BEGIN"
        " EXECUTE 'ALTER RO' || 'LE ROLE_ SET work_mem = 77000'; END $q$; PERFORM made(); END $$"
    ),
    "a block in a block": sql(
        "DO $$ BEGIN DO 'BEGIN ALTER ROLE ROLE_ SET work_mem = 77000; END'; END $$"
    ),
    "a block that makes an operator": sql(
        "DO $$ BEGIN CREATE OPERATOR @@@@ (LEFTARG = int, RIGHTARG = bigint,"
        " FUNCTION = pg_terminate_backend); END $$"
    )
    + "; "
    + sql("SELECT PID_ @@@@ 1000::bigint"),
    "a format() of its own": OWN_FORMAT + "; " + FORMATTED,
    "a format() of its own, made in a block": sql(
        "DO $$ BEGIN CREATE FUNCTION format(t text, n name) RETURNS text LANGUAGE sql AS"
        " 'SELECT ''ALTER RO'' || ''LE ROLE_ SET work_mem = 77000'' '; END $$"
    )
    + "; "
    + FORMATTED,
    "a format() that was renamed": OWN_FORMAT.replace("format(", "shape(")
    + "; "
    + sql("ALTER FUNCTION shape(text, name) RENAME TO format")
    + "; "
    + FORMATTED,
    "the class of cursors below": "[kind for kind in type(raw).__mro__ if kind is not object][-1]("
    "raw.connection).execute(f'ALTER ROLE {role} SET work_mem = 77000')",
    "a process, by its descriptor": "__import__('signal').pidfd_send_signal("
    "__import__('os').pidfd_open(1), 0)",
    "a history of what was typed": "__import__('readline').write_history_file(trace)",
    "keys of TLS": "setattr(__import__('ssl').create_default_context(), 'keylog_filename', trace)",
    "memory that others share": "__import__('_posixshmem').shm_open('/opsmigrate_fence',"
    " __import__('os').O_CREAT | __import__('os').O_RDWR, mode=0o600)",
    "the system's log": "__import__('syslog').syslog('fence')",
    "a shell": "__import__('os').system(f'touch {trace}')",
    "a process": "__import__('subprocess').run(['touch', trace])",
}
# The role of the first ones may not, or the server does not let it.
SUPERUSER = {
    "a change of a catalog": sql(
        "UPDATE pg_database SET datconnlimit = 77 WHERE NOT datistemplate"
    ),
    "a program of the server": sql("COPY zoo_cage TO PROGRAM 'touch TRACE_'"),
    "a program of the server, in pieces": sql(
        "DO $$ BEGIN EXECUTE 'COPY zoo_cage TO PRO' || 'GRAM ''touch TRACE_'''; END $$"
    ),
    "a role, in pieces": sql(
        "DO $$ BEGIN EXECUTE concat('GR', 'ANT pg_monitor TO ', 'ROLE_'); END $$"
    ),
    "a lock of the whole server": sql("LOCK TABLE pg_authid IN ACCESS EXCLUSIVE MODE"),
    "the server's configuration": sql("ALTER SYSTEM SET work_mem = '77MB'"),
    "a file of the server": sql("SELECT lo_export(lo_from_bytea(0, 'x'), 'TRACE_')"),
    "a catalog under another name": sql("CREATE VIEW bases AS SELECT * FROM pg_database")
    + "; "
    + sql("UPDATE bases SET datconnlimit = 77 WHERE NOT datistemplate"),
    "a function under another name": sql(
        "ALTER FUNCTION pg_catalog.pg_terminate_backend(int, bigint) RENAME TO ends_it"
    )
    + "; "
    + sql("SELECT ends_it(PID_)"),
    "a formatted name of a catalog": sql(
        "DO $$ BEGIN EXECUTE format('UPDATE %I SET datconnlimit = 77 WHERE NOT datistemplate',"
        " 'pg_data' || 'base'); END $$"
    ),
    "a label": sql("SECURITY LABEL ON ROLE ROLE_ IS 'x'"),
}
# Below the drivers: nothing in Python sees it. Only a server and a network of its own hold it.
BELOW = {
    "a statement to libpq": "raw.connection.pgconn.exec_("
    "f'ALTER ROLE {role} CONNECTION LIMIT 7'.encode())",
    "libpq's class in C": "type(raw.connection.pgconn).connect(live.encode()).exec_("
    "b'DELETE FROM zoo_cage')",
    "the class above a cursor's": "super(type(raw), raw).execute("
    "f'ALTER ROLE {role} SET work_mem = 77000')",
    "the type of a connection": "[kind for kind in type.mro(type(raw.connection))"
    " if kind.__module__ == 'psycopg2.extensions'][-1](live).cursor().execute("
    "'DELETE FROM zoo_cage')",
}
# What may run on a server of its own, for a role without its programs: nothing shows what it does.
UNSEEN = {
    "a statement in two pieces",
    "a formatted statement",
    "a statement with a variable",
    "a function with pieces",
    "a variable named like a key word",
    "a formatted name of a function",
    "a function made after its caller",
    "a function named in a literal that is executed",
    "letters that swallow a backslash",
    "a text that is executed after a query",
    "a block that makes a function",
    "a format() of its own",
    "a format() of its own, made in a block",
    "a format() that was renamed",
}
# It changes catalogs of that server, which has nothing but the copy.
OF_ITS_OWN = {"a catalog under another name", "a formatted name of a catalog"}
WITH_PSYCOPG2 = {"a file written by the driver", "the class of cursors below"}
WITH_PSYCOPG = {"another driver", "libpq itself", "a statement to libpq", "libpq's class in C"}
