"""Publications: with one, PostgreSQL refuses to update rows that it could not name elsewhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.of_users import of_users
from opsmigrate.postgres.session import session_without_receivers

# Only a superuser may create one of all tables, or of all in a schema (CREATE PUBLICATION, Notes).
# What the options are called in SQL, they are called in the catalog but for a prefix; some came
# later, so that the row is read as JSON.
LEFT_OUT = """
SELECT p.pubname, CASE WHEN p.puballtables THEN NULL ELSE s.schemas END, p.pubupdate OR p.pubdelete,
       concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END,
           CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END,
           CASE WHEN p.pubtruncate THEN 'truncate' END),
       p.pubviaroot, EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid)
FROM pg_publication p LEFT JOIN LATERAL ({schemas}) s ON true
WHERE (p.puballtables OR s.schemas IS NOT NULL)
  AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
ORDER BY p.pubname
"""
KNOWS_SCHEMAS = 150_000
SCHEMAS = """
SELECT array_agg(x.nspname::text) AS schemas FROM pg_publication_namespace s
JOIN pg_namespace x ON x.oid = s.pnnspid WHERE s.pnpubid = p.oid
"""
NO_SCHEMAS = "SELECT NULL::text[] AS schemas"
# Documentation, Logical Replication, Publication: what has no replica identity cannot be updated.
# Unlogged and temporary tables are not published.
WITHOUT_IDENTITY = of_users("""
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND {of_users}
  AND (%s::text[] IS NULL OR n.nspname = ANY (%s::text[]))
  AND c.relreplident <> 'f' AND NOT EXISTS (
    SELECT FROM pg_index i WHERE i.indrelid = c.oid
    AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END)
ORDER BY 1
""")
FIRED = "SELECT EXISTS (SELECT FROM pg_event_trigger WHERE evtenabled <> 'D')"


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A publication that the role may not create in a copy.

    `schemas` are those whose tables it has, None where it has all; `nameable` says that it refuses
    to update or delete what it cannot name, `publish` what it sends, `with_tables` that it has
    others besides.
    """

    name: str
    schemas: tuple[str, ...] | None
    nameable: bool
    publish: str
    via_root: bool
    with_tables: bool


def left_out(connection: BaseDatabaseWrapper) -> tuple[Publication, ...]:
    """Return the publications of the database that its role may not create in a copy."""
    known = connection.connection.info.server_version >= KNOWS_SCHEMAS
    with connection.cursor() as cursor:
        cursor.execute(LEFT_OUT.format(schemas=SCHEMAS if known else NO_SCHEMAS))
        return tuple(
            Publication(
                name=name,
                schemas=None if schemas is None else tuple(schemas),
                nameable=nameable,
                publish=publish,
                via_root=via_root,
                with_tables=with_tables,
            )
            for name, schemas, nameable, publish, via_root, with_tables in cursor.fetchall()
        )


def repeat_publications(
    scratch: BaseDatabaseWrapper,
    superuser: BaseDatabaseWrapper | None,
    publications: Sequence[Publication],
) -> tuple[Publication, ...]:
    """Make those in the copy that the role may not, and return the ones that it lacks after that.

    `superuser` is a connection to the copy's server as one, where that has nothing but the copy.
    Nothing of the copy may run with his rights: no event trigger is there yet, and a publication of
    whole schemas has no conditions.
    """
    if superuser is None or not publications:
        return tuple(publications)
    with scratch.cursor() as cursor:
        cursor.execute(FIRED)
        if cursor.fetchone()[0]:
            return tuple(publications)
    database = str(scratch.settings_dict["NAME"])
    with (
        session_without_receivers(superuser, database) as session,
        session,
        session.cursor() as cursor,
    ):
        for each in publications:
            if not each.with_tables:
                cursor.execute(_making(each))
    return tuple(each for each in publications if each.with_tables)


def _making(each: Publication) -> Composable:
    tables = sql.SQL("ALL TABLES")
    if each.schemas is not None:
        names = sql.SQL(", ").join(map(sql.Identifier, each.schemas))
        tables = sql.SQL("TABLES IN SCHEMA {}").format(names)
    return sql.SQL(
        "CREATE PUBLICATION {} FOR {} WITH (publish = {}, publish_via_partition_root = {})"
    ).format(
        sql.Identifier(each.name),
        tables,
        sql.Literal(each.publish),
        sql.SQL("true" if each.via_root else "false"),
    )


def what_lacks(copy: BaseDatabaseWrapper, publications: Sequence[Publication]) -> Iterator[str]:
    """Yield, in words, what the copy may therefore have let happen; its tables are as of now."""
    for each in publications:
        if not each.nameable:
            continue
        schemas = None if each.schemas is None else list(each.schemas)
        with copy.cursor() as cursor:
            cursor.execute(WITHOUT_IDENTITY, [schemas, schemas])
            for (table,) in cursor.fetchall():
                yield (
                    f"the copy lacks the publication {each.name}, and {table} has no replica "
                    "identity"
                )
