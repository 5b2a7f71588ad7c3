"""Foreign-data wrappers: only a superuser creates them, and a copy has no use for their code."""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.session import session_without_receivers

# Those of an extension come with it.
OUT_OF_REACH = """
SELECT w.fdwname FROM pg_foreign_data_wrapper w
WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_foreign_data_wrapper'::regclass
    AND d.objid = w.oid AND d.deptype = 'e')
ORDER BY 1
"""


def make_wrappers(
    source: BaseDatabaseWrapper,
    scratch: BaseDatabaseWrapper,
    superuser: BaseDatabaseWrapper | None,
) -> tuple[str, ...]:
    """Make in the copy those that the role may not, without their code; return their names.

    `superuser` is a connection to the copy's server as one, where that has nothing but the copy.
    Call it while the copy is empty. Without a handler a foreign table can be altered, and neither
    read nor written (documentation of CREATE FOREIGN DATA WRAPPER).
    """
    with source.cursor() as cursor:
        cursor.execute(OUT_OF_REACH)
        names = tuple(row[0] for row in cursor.fetchall())
    if superuser is None or not names:
        return ()
    role = sql.Identifier(str(scratch.settings_dict["USER"]))
    with (
        session_without_receivers(superuser, str(scratch.settings_dict["NAME"])) as session,
        session,
        session.cursor() as cursor,
    ):
        for name in map(sql.Identifier, names):
            cursor.execute(sql.SQL("CREATE FOREIGN DATA WRAPPER {}").format(name))
            grant = sql.SQL("GRANT USAGE ON FOREIGN DATA WRAPPER {} TO {}")
            cursor.execute(grant.format(name, role))
    return names
