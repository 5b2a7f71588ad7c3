"""Which tables a copy has with their rows: whole tables, closed under foreign keys."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.neighbours import NOBODY, Neighbours
from opsmigrate.postgres.of_users import of_users
from opsmigrate.schema.history_table import HISTORY

# Without a page there is no row, whatever the indexes take.
TABLES = """
SELECT c.oid::bigint, n.nspname, c.relname,
       CASE WHEN pg_relation_size(c.oid) > 0 THEN pg_total_relation_size(c.oid) ELSE 0 END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND {of_users}
"""
# A partition may be found by its parent's name as well.
NEEDS = """
SELECT conrelid::bigint, confrelid::bigint FROM pg_constraint WHERE contype = 'f'
UNION SELECT inhparent::bigint, inhrelid::bigint FROM pg_inherits
"""
# Where these are named, the rows of any other table may come into play.
LEADING = of_users("""
SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND {of_users}
UNION SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE {of_users}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
""")
# A row is found by the name of a parent too; and who deletes one asks those that refer to it.
ABOVE = """
WITH RECURSIVE above AS (
    SELECT i.inhparent FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN unnest(%s::text[], %s::text[]) AS t (schema, name)
        ON (t.schema, t.name) = (n.nspname, c.relname)
    UNION SELECT i.inhparent FROM pg_inherits i JOIN above a ON a.inhparent = i.inhrelid
)
SELECT c.relname FROM above a JOIN pg_class c ON c.oid = a.inhparent
"""
REFERENCED = """
SELECT r.relname FROM pg_constraint k JOIN pg_class r ON r.oid = k.confrelid
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN unnest(%s::text[], %s::text[]) AS t (schema, name)
    ON (t.schema, t.name) = (n.nspname, c.relname)
WHERE k.contype = 'f'
"""
# pg_dump locks what it dumps, which takes SELECT, and fails as a whole where that is not granted.
UNREADABLE = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND {of_users}
  AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
ORDER BY 1, 2
"""
# Their position is not copied; the columns that count with them are in the copy all the same.
HIDDEN_SEQUENCES = """
SELECT n.nspname, c.relname, array_remove(array_agg(DISTINCT t.relname::text), NULL)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.refobjid = c.oid AND d.classid = 'pg_attrdef'::regclass
LEFT JOIN pg_depend o ON o.objid = c.oid AND o.deptype IN ('a', 'i')
LEFT JOIN pg_attrdef a ON a.oid = d.objid
LEFT JOIN pg_class t ON t.oid IN (a.adrelid, o.refobjid) AND t.relkind IN ('r', 'p')
WHERE c.relkind = 'S' AND {of_users}
  AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_sequence_privilege(c.oid, 'SELECT'))
GROUP BY 1, 2 ORDER BY 1, 2
"""
# pg_dump fails rather than dump some of the rows.
HIDDEN_ROWS = """
SELECT c.oid::bigint FROM pg_class c
WHERE c.relkind = 'r' AND c.relrowsecurity AND row_security_active(c.oid)
"""
KEYS_TO_UNREADABLE = """
SELECT n.nspname, c.relname, k.conname
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND NOT has_table_privilege(k.confrelid, 'SELECT')
"""


@dataclass(frozen=True, kw_only=True)
class KeptCopy:
    """A kept database that fits: its name, of which backup, taken when (ISO).

    Without a backup, it is what an earlier rehearsal kept. `stale` are the tables (schema, name)
    whose rows may have changed since on the live database. A `clone` is the alias of a database
    that is not ours, and is itself rehearsed in.
    """

    name: str
    backup: str | None
    taken: str
    stale: tuple[tuple[str, str], ...] = ()
    clone: str | None = None

    @property
    def words(self) -> str:
        """Return what it is a copy of."""
        if self.clone:
            return f"{self.clone}, the clone that was named"
        return f"the backup {self.backup}" if self.backup else "what an earlier rehearsal kept"


@dataclass(frozen=True)
class CopySelection:
    """What a copy has; `mode` is clone, schema or kept.

    `without_rows` are the tables (schema, name) that are copied empty.
    `absent` are those that this role may not read, so that the copy cannot have them at all, and
    `absent_keys` the foreign keys (schema, table, name) to them. `telling` are the names by which
    a statement may come to ask for what the copy lacks. Of the schemas of `neighbours` it has
    nothing.
    """

    mode: str
    without_rows: tuple[tuple[str, str], ...] = ()
    absent: tuple[tuple[str, str], ...] = ()
    absent_keys: tuple[tuple[str, str, str], ...] = ()
    telling: frozenset[str] = frozenset()
    referenced: frozenset[str] = frozenset()
    kept: KeptCopy | None = None
    neighbours: Neighbours = NOBODY

    def has_schema(self, schema: str) -> bool:
        """Return whether the copy has the schema, if the database has it."""
        return schema not in self.neighbours.schemas


def select_all(connection: BaseDatabaseWrapper, neighbours: Neighbours = NOBODY) -> CopySelection:
    """Return the selection of everything that this role may read, but for the neighbours."""
    return _without_unreadable(connection, _without_hidden(connection, neighbours))


def _without_hidden(connection: BaseDatabaseWrapper, neighbours: Neighbours) -> CopySelection:
    """Leave out rows that row security hides, with those that need them by a foreign key."""
    with connection.cursor() as cursor:
        cursor.execute(HIDDEN_ROWS)
        hidden = {row[0] for row in cursor.fetchall()}
    if not hidden:
        return CopySelection("clone", neighbours=neighbours)
    tables, needs = _tables(connection, neighbours)
    left = {oid for oid in tables if hidden & _closure(oid, needs)}
    without_rows = tuple(sorted(tables[oid][:2] for oid in left))
    telling, referenced = _leading_to(connection, without_rows)
    return CopySelection(
        "clone", without_rows, telling=telling, referenced=referenced, neighbours=neighbours
    )


def _without_unreadable(connection: BaseDatabaseWrapper, selection: CopySelection) -> CopySelection:
    with connection.cursor() as cursor:
        cursor.execute(of_users(HIDDEN_SEQUENCES, selection.neighbours.read))
        for schema, name, counted in cursor.fetchall():
            selection = replace(
                selection,
                without_rows=(*selection.without_rows, (schema, name)),
                telling=selection.telling | {name, *counted},
            )
        cursor.execute(of_users(UNREADABLE, selection.neighbours.read))
        absent = tuple((schema, name) for schema, name in cursor.fetchall())
        if not absent:
            return selection
        cursor.execute(KEYS_TO_UNREADABLE)
        keys = tuple(tuple(row) for row in cursor.fetchall() if selection.has_schema(row[0]))
    names = {name for _, name in absent} | {name for *_, name in keys}
    return replace(
        selection,
        without_rows=tuple(name for name in selection.without_rows if name not in absent),
        absent=absent,
        absent_keys=keys,
        telling=selection.telling | names,
    )


def select_small(
    connection: BaseDatabaseWrapper, most_bytes: int, neighbours: Neighbours = NOBODY
) -> CopySelection:
    """Return the selection of the smallest tables that have at most `most_bytes` together.

    Nothing of the neighbours is in it. A table is taken with all that its foreign keys need, or not
    at all.
    """
    tables, needs = _tables(connection, neighbours)
    sizes = {oid: int(size) for oid, (_, _, size) in tables.items()}
    # Without it, migrate would begin with the first migration.
    history = {oid for oid, (_, name, _) in tables.items() if name == HISTORY}
    taken = _taken(sizes, needs, most_bytes, always=history)
    left = {oid for oid in tables if oid not in taken and sizes[oid]}
    without_rows = {tables[oid][:2] for oid in left} | set(
        _without_hidden(connection, neighbours).without_rows
    )
    telling, referenced = _leading_to(connection, without_rows)
    selection = CopySelection(
        "schema",
        tuple(sorted(without_rows)),
        telling=telling,
        referenced=referenced,
        neighbours=neighbours,
    )
    return _without_unreadable(connection, selection)


Tables = dict[int, tuple[str, str, int]]


def _tables(
    connection: BaseDatabaseWrapper, neighbours: Neighbours
) -> tuple[Tables, dict[int, set[int]]]:
    """Return the tables (schema, name, bytes) by oid, and which ones each needs."""
    needs: dict[int, set[int]] = defaultdict(set)
    with connection.cursor() as cursor:
        cursor.execute(of_users(TABLES, neighbours.read))
        tables = {oid: (schema, name, size) for oid, schema, name, size in cursor.fetchall()}
        cursor.execute(NEEDS)
        for oid, needed in cursor.fetchall():
            needs[oid].add(needed)
    return tables, needs


def select_kept(connection: BaseDatabaseWrapper, kept: KeptCopy) -> CopySelection:
    """Return the selection of what the kept database has; `connection` is to the live one."""
    telling, referenced = _leading_to(connection, kept.stale)
    return CopySelection("kept", telling=telling, referenced=referenced, kept=kept)


def without_some_rows(
    connection: BaseDatabaseWrapper, selection: CopySelection, tables: Collection[tuple[str, str]]
) -> CopySelection:
    """Return the selection where rows of the tables turned out to be missing."""
    telling, referenced = _leading_to(connection, tables)
    return replace(
        selection,
        telling=selection.telling | telling,
        referenced=selection.referenced | referenced,
    )


def _leading_to(
    connection: BaseDatabaseWrapper, tables: Iterable[tuple[str, str]]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return `telling` and `referenced` of a selection that lacks rows of the tables."""
    schemas, names = [schema for schema, _ in tables], [name for _, name in tables]
    if not names:
        return frozenset(), frozenset()
    with connection.cursor() as cursor:
        cursor.execute(LEADING)
        leading = {row[0] for row in cursor.fetchall()}
        cursor.execute(ABOVE, [schemas, names])
        above = {row[0] for row in cursor.fetchall()}
        cursor.execute(REFERENCED, [schemas, names])
        referenced = {row[0] for row in cursor.fetchall()}
    return frozenset({*names, *leading, *above}), frozenset(referenced)


def _taken(
    sizes: Mapping[int, int], needs: Mapping[int, set[int]], most_bytes: int, *, always: set[int]
) -> set[int]:
    taken = set(always)
    room = most_bytes
    for oid in sorted(sizes.keys() - taken, key=lambda each: (sizes[each], each)):
        more = {each for each in _closure(oid, needs) if each not in taken}
        cost = sum(sizes.get(each, 0) for each in more)
        if cost <= room:
            taken |= more
            room -= cost
    return taken


def _closure(oid: int, needs: Mapping[int, set[int]]) -> set[int]:
    found, todo = set(), [oid]
    while todo:
        each = todo.pop()
        if each not in found:
            found.add(each)
            todo += needs.get(each, ())
    return found
