"""The privileges on a live relation, as PostgreSQL itself checks them."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog, Relation
from opsmigrate.postgres.names import quoted
from opsmigrate.steps import Step, statement

# Not a privilege: what only the owner may do.
OWNER = "OWNER"
# Nor this: what only a superuser may do.
SUPERUSER = "SUPERUSER"
# A grant on each of the columns will do as well (documentation of GRANT).
BY_COLUMN = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
# Said beside what the role cannot give itself.
BY_OTHERS = (
    "the owner or a superuser types this; but only a role that may become the new owner of a table "
    "gives it away. Or migrate with an alias of the owner's, and type nothing"
)
NO_LONGER_ALTERS = "the former owner uses it by the next step, and may no longer alter it"
NO_LONGER = "the former owner, and code that works as that role, may no longer use it"
OF_COLUMNS = """
SELECT coalesce(bool_and(has_column_privilege(%s::oid, name, %s)), false)
FROM unnest(%s::text[]) AS name
"""
# nextval() in a column's default is called as the role that inserts; an identity column asks for
# no right (documentation of CREATE TABLE, Compatibility).
SEQUENCES = """
SELECT a.attname, n.nspname, s.relname
FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
    AND p.refclassid = 'pg_class'::regclass
JOIN pg_class s ON s.oid = p.refobjid
JOIN pg_namespace n ON n.oid = s.relnamespace
WHERE d.adrelid = %s AND a.attidentity = ''
    AND CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE') END
"""


@dataclass(frozen=True)
class MissingPrivilege:
    """A privilege that the role does not have, and the object that it is for.

    `on` is for a sentence, `target` the same as GRANT wants it, with its kind and quoted. `owner`
    is who owns it, where that is known.
    """

    privilege: str
    on: str
    target: str
    owner: str | None = None

    @property
    def words(self) -> str:
        """Return what is wrong, for a sentence."""
        if self.privilege == OWNER:
            return f"only the owner may alter {self.on}, which does not belong to the role"
        if self.privilege == SUPERUSER:
            return "only a superuser may do this"
        return f"{self.privilege} on {self.on} is not granted to the role"

    def steps(self, role: str) -> tuple[Step, ...]:
        """Return what its owner, or a superuser, types to give it to the role."""
        if self.privilege == OWNER and self.target.startswith("EXTENSION "):
            return ()  # there is no ALTER EXTENSION … OWNER TO
        if self.privilege == SUPERUSER:
            return ()
        if self.privilege == OWNER:
            return given_away(self.target, role, self.owner)
        return (statement(f"GRANT {self.privilege} ON {self.target} TO {quoted(role)}"),)


def on_relation(privilege: str, relation: Relation) -> MissingPrivilege:
    """Return the missing privilege on a table, view or sequence, or its missing ownership."""
    # What GRANT and ALTER call a table may be a view as well.
    kind = "SEQUENCE" if relation.kind == "S" else "TABLE"
    target = f"{kind} {quoted(relation.schema, relation.name)}"
    return MissingPrivilege(privilege, relation.label, target, relation.owner or None)


def given_away(target: str, role: str, former: str | None) -> tuple[Step, ...]:
    """Return what gives a table, with its kind and quoted, to the role; the `former` owner uses it.

    Where that is not known, somebody may no longer use it.
    """
    alter = f"ALTER {target} OWNER TO {quoted(role)}"
    if former is None or former == role:
        return (statement(alter, risk=NO_LONGER),)
    return (
        statement(alter, risk=NO_LONGER_ALTERS),
        statement(f"GRANT ALL ON {target} TO {quoted(former)}"),
    )


def on_schema(privilege: str, schema: str) -> MissingPrivilege:
    """Return the missing privilege on a schema, or its missing ownership."""
    return MissingPrivilege(privilege, f"SCHEMA {schema}", f"SCHEMA {quoted(schema)}")


def missing_privilege(
    connection: BaseDatabaseWrapper, relation: Relation, verb: str, columns: Iterable[str] = ()
) -> MissingPrivilege | None:
    """Return the missing privilege if the role may not `verb` (SELECT, DELETE, …) the relation.

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
    return on_relation(verb, relation)


def missing_to_insert(
    connection: BaseDatabaseWrapper,
    relation: Relation,
    columns: Iterable[str],
    *,
    returning: Iterable[str] = (),
) -> tuple[MissingPrivilege, ...]:
    """Return all that the role lacks to INSERT values for `columns`; defaults fill the others."""
    given = set(columns)
    found = [missing_privilege(connection, relation, "INSERT", given)]
    if returning:
        found.append(missing_privilege(connection, relation, "SELECT", returning))
    with connection.cursor() as cursor:
        cursor.execute(SEQUENCES, [relation.oid])
        for column, schema, name in cursor.fetchall():
            if column not in given:
                sequence = f"SEQUENCE {quoted(schema, name)}"
                found.append(MissingPrivilege("USAGE", f"SEQUENCE {schema}.{name}", sequence))
    return tuple(missing for missing in found if missing is not None)


def missing_of_sequence(
    connection: BaseDatabaseWrapper, sequence: Relation
) -> tuple[MissingPrivilege, ...]:
    """Return what the role lacks to take the next value of a sequence."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_sequence_privilege(%s::oid, 'USAGE, UPDATE')", [sequence.oid])
        if cursor.fetchone()[0]:
            return ()
    label = f"SEQUENCE {sequence.schema}.{sequence.name}"
    target = f"SEQUENCE {quoted(sequence.schema, sequence.name)}"
    return (MissingPrivilege("USAGE", label, target),)


def live_relation(catalog: Catalog, origin: tuple[str, str] | None) -> Relation | None:
    """Return the live relation of this schema and name, None where there is none."""
    return next((item for item in catalog.relations if (item.schema, item.name) == origin), None)
