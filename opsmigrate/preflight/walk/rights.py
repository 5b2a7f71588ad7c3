"""The rights on a live relation, asked of PostgreSQL as it checks them itself."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog, Relation

# Not a privilege: what only the owner may do.
OWNER = "OWNER"
# A grant on each of the columns will do as well (documentation of GRANT).
BY_COLUMN = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
OF_COLUMNS = """
SELECT coalesce(bool_and(has_column_privilege(%s::oid, name, %s)), false)
FROM unnest(%s::text[]) AS name
"""
# nextval() in a column's default is called as the role that inserts; an identity column asks for
# no right (documentation of CREATE TABLE, Compatibility).
SEQUENCES = """
SELECT a.attname, n.nspname || '.' || s.relname
FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
    AND p.refclassid = 'pg_class'::regclass
JOIN pg_class s ON s.oid = p.refobjid
JOIN pg_namespace n ON n.oid = s.relnamespace
WHERE d.adrelid = %s AND a.attidentity = ''
    AND CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE') END
"""


@dataclass(frozen=True)
class Lack:
    """A right that the role does not have: the privilege, and on what."""

    privilege: str
    on: str

    @property
    def words(self) -> str:
        """Return what is wrong, for a sentence."""
        if self.privilege == OWNER:
            return f"only the owner may alter {self.on}, which does not belong to the role"
        return f"{self.privilege} on {self.on} is not granted to the role"

    @property
    def grant(self) -> str:
        """Return what the owner must type."""
        if self.privilege == OWNER:
            kind = "" if self.on.startswith("SCHEMA ") else "TABLE "
            return f"ALTER {kind}{self.on} OWNER TO the migrating role"
        return f"GRANT {self.privilege} ON {self.on} TO the migrating role"


def lacking(
    connection: BaseDatabaseWrapper, relation: Relation, verb: str, columns: Iterable[str] = ()
) -> Lack | None:
    """Return the lack, where the role may not do `verb` (SELECT, DELETE, …) to the relation.

    Where `columns` are given, the privilege on each of them is enough.
    """
    there = {column.name for column in relation.columns}
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege(%s::oid, %s)", [relation.oid, verb])
        if cursor.fetchone()[0]:
            return None
        named = [name for name in columns if name in there]
        if verb in BY_COLUMN and named:
            cursor.execute(OF_COLUMNS, [relation.oid, verb, named])
            if cursor.fetchone()[0]:
                return None
    return Lack(verb, relation.label)


def lacking_to_insert(
    connection: BaseDatabaseWrapper,
    relation: Relation,
    columns: Iterable[str],
    *,
    returning: Iterable[str] = (),
) -> Lack | None:
    """Return what the role lacks to INSERT values for `columns`; defaults fill the others."""
    given = set(columns)
    lack = lacking(connection, relation, "INSERT", given)
    if lack is None and returning:
        lack = lacking(connection, relation, "SELECT", returning)
    if lack is not None:
        return lack
    with connection.cursor() as cursor:
        cursor.execute(SEQUENCES, [relation.oid])
        refused = [sequence for column, sequence in cursor.fetchall() if column not in given]
    return Lack("USAGE", f"SEQUENCE {refused[0]}") if refused else None


def live_relation(catalog: Catalog, origin: tuple[str, str] | None) -> Relation | None:
    """Return the live relation of this schema and name, None where there is none."""
    return next((item for item in catalog.relations if (item.schema, item.name) == origin), None)
