"""Sequences, which no snapshot holds: a value between one read before and one read after."""

from collections.abc import Mapping, Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.digest.tables import label
from opsmigrate.postgres.of_users import of_users

SEQUENCES = of_users("""
SELECT n.nspname, c.relname,
       CASE WHEN has_sequence_privilege(c.oid, 'SELECT, USAGE')
            THEN pg_sequence_last_value(c.oid) END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_sequence s ON s.seqrelid = c.oid
WHERE NOT s.seqcycle AND c.relpersistence <> 't'
  AND {of_users}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
""")


def read_sequences(connection: BaseDatabaseWrapper) -> dict[str, int | None]:
    """Return the last value that each sequence handed out, by its label; None: none yet.

    Those that begin anew at their end (CYCLE) are left out: any value of theirs may be right.
    """
    with connection.cursor() as cursor:
        cursor.execute(SEQUENCES)
        return {label(schema, name): value for schema, name, value in cursor.fetchall()}


def is_between(value: int | None, bracket: Sequence[int | None]) -> bool:
    """Return whether a value was possible between the two of `bracket`, before and after.

    Read after the snapshot was taken, the first one is no lower than any row of the snapshot
    shows; so neither is what lies between, and no number is handed out twice.
    """
    before, after = bracket
    if value is None:
        return before is None
    if before is None or after is None:
        return before is not after  # begun, or begun anew, meanwhile
    return min(before, after) <= value <= max(before, after)


def bracketed(
    before: Mapping[str, int | None], after: Mapping[str, int | None]
) -> dict[str, list[int | None]]:
    """Return both values of each sequence that was there before and after."""
    return {name: [value, after[name]] for name, value in before.items() if name in after}
