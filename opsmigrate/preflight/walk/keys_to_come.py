"""The keys that rows of migrate's own will get: a sequence may be behind its table."""

from __future__ import annotations

from django.db import Error
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.sequences import Sequence, read_sequences
from opsmigrate.preflight.walk.requirements import Requirements
from opsmigrate.preflight.walk.simulation import SimulatedTable


def taken_key(
    requirements: Requirements, table: SimulatedTable, count: int
) -> tuple[int, Sequence] | None:
    """Return the first key of the next `count` rows that a row has already, and its sequence.

    None where there is no such key, or where the sequence cannot be read.
    """
    if table.origin is None:
        return None
    connection = requirements.connection
    try:
        behind = [each for each in read_sequences(connection, of=table.origin) if each.is_behind]
        for sequence in behind:
            query = sql.SQL("SELECT min({key}) FROM {} WHERE {key} = ANY (%s)").format(
                sql.Identifier(*table.origin),
                key=sql.Identifier(sequence.column.rpartition(".")[2]),
            )
            next_ones = [sequence.next_value + n * sequence.increment for n in range(count)]
            with connection.cursor() as cursor:
                cursor.execute(query, [next_ones])
                taken = cursor.fetchone()[0]
            if taken is not None:
                return taken, sequence
    except Error:
        return None
    return None
