"""The sequence that a live column owns, and what its column's new type or end does to it."""

from __future__ import annotations

from typing import NamedTuple

from django.db import Error
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.names import literal, quoted
from opsmigrate.postgres.sequences import of_owned
from opsmigrate.postgres.transaction import transaction
from opsmigrate.preflight.walk.cascades import taken_along
from opsmigrate.preflight.walk.casts import RANGES
from opsmigrate.preflight.walk.dependents import column_in_use, warn_of_cascade
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.schema.types import base
from opsmigrate.steps import Step, statement

OWNED = of_owned("""
SELECT sn.nspname, s.relname, format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement,
       q.seqmin, q.seqmax, d.deptype = 'i'
{of_owned} AND n.nspname = %s AND t.relname = %s AND a.attname = %s
ORDER BY d.deptype DESC
""")


class _OwnedSequence(NamedTuple):
    schema: str
    name: str
    type: str
    start: int
    increment: int
    lowest: int
    highest: int
    is_identity: bool

    @property
    def sql(self) -> str:
        return quoted(self.schema, self.name)


def drop_sequence(walk: SchemaWalk, table: SimulatedTable, column: str) -> None:
    """A counted column becomes a plain one: DROP IDENTITY, or DROP SEQUENCE … CASCADE of a serial.

    DROP IDENTITY is refused where a default elsewhere takes its values from the sequence, CASCADE
    takes such a default along.
    """
    sequence = _owned(walk, table, column)
    if sequence is not None:
        name = (sequence.schema, sequence.name)
        users = taken_along(walk.connection, walk.schema, name).others
        own = f"the default of {table.schema}.{table.name}.{column}".replace('"', "")
        others = [user for user in users if user.replace('"', "") != own]
        for user in others:
            if sequence.is_identity:
                doing = f"dropping the identity of {table.label}.{column}"
                column_in_use(walk.ledger, table, column, doing, user)
            else:
                does = f"DROP SEQUENCE {sequence.sql} CASCADE"
                warn_of_cascade(walk.ledger, table, does, user, column)
    table.identities.discard(column)


def require_range(walk: SchemaWalk, table: SimulatedTable, column: str, after: str) -> None:
    """ALTER SEQUENCE … AS: where it starts, stands and ends must be numbers of the new type.

    Of an identity, PostgreSQL alters it with the column (transformAlterTableStmt); of a serial,
    Django does.
    """
    sequence, type_ = _owned(walk, table, column), base(after)
    if sequence is None or sequence.type == type_:
        return
    if type_ not in RANGES:
        if sequence.is_identity:
            walk.ledger.find(
                "computed-column",
                f"making {table.label}.{column} {after} is refused: it is an identity column, "
                "which must be an integer",
                steps=(
                    statement(
                        f"ALTER TABLE {table.live} ALTER COLUMN {table.live_column(column)} "
                        "DROP IDENTITY"
                    ),
                ),
                table=table.label,
                column=column,
            )
        return
    question = f"whether the sequence {sequence.sql} can become {after}"
    if walk.ledger.code_runs:
        walk.ledger.mark_undecided(f"{question}: code may have set it")
        return
    try:
        with transaction(walk.connection) as cursor:
            cursor.execute(
                sql.SQL("SELECT last_value FROM {}").format(
                    sql.Identifier(sequence.schema, sequence.name)
                )
            )
            last = int(cursor.fetchone()[0])
    except Error as error:
        walk.ledger.mark_undecided(f"{question}: {first_line(error)}")
        return
    _note_out_of_range(walk, table, column, sequence, (type_, last))


def _note_out_of_range(
    walk: SchemaWalk,
    table: SimulatedTable,
    column: str,
    sequence: _OwnedSequence,
    new: tuple[str, int],
) -> None:
    """As init_params() checks it (sequence.c); ends that were the old type's become the new one's.

    `new` are the type and the value at which the sequence stands.
    """
    type_, last = new
    low, high = RANGES[type_]
    old_low, old_high = RANGES[sequence.type]
    highest = high if sequence.highest == old_high else sequence.highest
    lowest = low if sequence.lowest == old_low else sequence.lowest
    wrong: list[tuple[str, Step]] = []
    alter = f"ALTER SEQUENCE {sequence.sql}"
    if not low <= highest <= high:
        wrong.append((f"ends at {highest:,}", statement(f"{alter} NO MAXVALUE")))
    if not low <= lowest <= high:
        wrong.append((f"ends at {lowest:,}", statement(f"{alter} NO MINVALUE")))
    lowest, highest = max(lowest, low), min(highest, high)
    if not lowest <= sequence.start <= highest:
        first = max(lowest, 1) if sequence.increment > 0 else min(highest, -1)
        wrong.append((f"starts at {sequence.start:,}", statement(f"{alter} START WITH {first}")))
    if not lowest <= last <= highest:
        far = "max" if sequence.increment > 0 else "min"
        first = 1 if sequence.increment > 0 else -1
        last_row = f"coalesce({far}({table.live_column(column)}), {first})"
        again = f"setval({literal(sequence.sql)}, {last_row})"
        wrong.append(
            (
                f"stands at {last:,}",
                statement(
                    f"SELECT {again} FROM {table.live}",  # noqa: S608
                    risk="numbers of deleted rows are used again",
                ),
            )
        )
    if wrong:
        walk.ledger.find(
            "sequence-out-of-range",
            f"the sequence {sequence.schema}.{sequence.name} of {table.label}.{column} "
            f"{' and '.join(words for words, _ in wrong)}, which is out of the range of {type_}",
            hint=f"move it to just after the last row, if that is in the range of {type_}",
            steps=tuple(step for _, step in wrong),
            table=table.label,
            column=column,
        )


def _owned(walk: SchemaWalk, table: SimulatedTable, column: str) -> _OwnedSequence | None:
    """Return the sequence of a live column, as long as the plan has left it there."""
    live = table.origins.get(column)
    if table.origin is None or live is None:
        return None
    if column not in table.identities | table.defaults:
        return None
    with transaction(walk.connection) as cursor:
        cursor.execute(OWNED, [*table.origin, live])
        row = cursor.fetchone()
    return _OwnedSequence(*row) if row else None
