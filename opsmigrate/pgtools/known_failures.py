"""What to do about failures of a client or a server whose words are well known."""

from typing import NamedTuple

from opsmigrate.steps import Step, statement


class Remedy(NamedTuple):
    """What to do, in words, and what to type."""

    hint: str
    steps: tuple[Step, ...] = ()


# pg_dump may leave the server's HINT out, which names the setting.
TOO_MANY_LOCKS = ("max_locks_per_transaction", "out of shared memory")
# Of pgbouncer, where ignore_startup_parameters does not name it.
POOLER = "unsupported startup parameter"
LOCKS = Remedy(
    "every table is locked to the end, and the server has room for too few locks: raise "
    "max_locks_per_transaction, and restart the server",
    (
        statement(
            "ALTER SYSTEM SET max_locks_per_transaction = 1024",
            risk="a superuser types it, and it takes a restart",
        ),
    ),
)
DIRECT = Remedy(
    "the pooler between here and the server refuses the settings that a session begins with: let "
    "HOST and PORT of the alias be the server's own. Or let pgbouncer leave them out, with "
    "ignore_startup_parameters = options in pgbouncer.ini: then settings of the server, of the "
    "role or of the database hold instead"
)


def remedy_for(words: str) -> Remedy | None:
    """Return what to do about a failure in these words, None where they are not known."""
    if any(each in words for each in TOO_MANY_LOCKS):
        return LOCKS
    return DIRECT if POOLER in words else None
