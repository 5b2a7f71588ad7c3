"""The fence for SQL: statements that would take effect beyond the scratch database are refused."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from opsmigrate.preflight.rehearsal.copy_name import WHAT, asks_for_name
from opsmigrate.preflight.rehearsal.driver_fence import FenceError

# Raised in the copy by what stands in the place of a function that leads outside.
DISARMED = "OPS01"
# What belongs to the whole server (PostgreSQL documentation, pg_class.relisshared and its like).
SHARED = (
    r"\b(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER(?!\s+MAPPING)|GROUP|DATABASE|TABLESPACE|SUBSCRIPTION"
    r"|SYSTEM)\b",
    r"\b(?:REASSIGN|DROP)\s+OWNED\b",
    r"\bCOMMENT\s+ON\s+(?:ROLE|DATABASE|TABLESPACE)\b",
    r"\b(?:GRANT|REVOKE)\b[^;]*?\bON\s+(?:DATABASE|TABLESPACE|PARAMETER)\b",
    # A membership, which is not ON anything.
    r"\bGRANT\s(?:(?!\bON\b)[^;])*\bTO\s",
    r"\bREVOKE\s(?:(?!\bON\b)[^;])*\bFROM\s",
    r"\bIMPORT\s+FOREIGN\s+SCHEMA\b",
)
# Functions of the server that act on other sessions, on its files or on the cluster.
FUNCTIONS = (
    r"\b(?:pg_(?:cancel|terminate)_backend|pg_reload_conf|pg_rotate_logfile|pg_switch_wal"
    r"|pg_create_restore_point|pg_(?:backup_)?(?:start|stop)(?:_backup)?|pg_promote"
    r"|pg_(?:create|drop|copy)_(?:physical_|logical_)?replication_slot|pg_replication_\w+"
    r"|pg_stat_reset_\w+|pg_stat_statements_reset|pg_wal_replay_\w+"
    r"|lo_import|lo_export|pg_read_(?:binary_)?file|pg_ls_\w+|pg_stat_file|pg_file_\w+)\s*\(",
    r"\bdblink\w*\s*\(",
)
# Only a role with these powers gets so far; others are refused by the server, as in the real run.
FILES = (
    r"\b(?:FROM|TO)\s+PROGRAM\b",
    r"\bCOPY\b[^;]*?\b(?:FROM|TO)\s+(?:[EU&]*'|\$)",
    r"^\s*LOAD\b",
)
COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
CREATES_FUNCTION = re.compile(
    r"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\s+(?P<name>[^\s(]+)", re.IGNORECASE
)
# EXECUTE of what stands in a row, in a text of which nothing is seen here.
FROM_ROWS = re.compile(r"\bEXECUTE\s+\w+\.\w+", re.IGNORECASE)
WRITES_SQL = re.compile(
    r"'\s*(?:ALTER|ANALY[SZ]E|COMMENT|CREATE|DELETE|DROP|GRANT|INSERT|REFRESH|REINDEX|REVOKE|SELECT"
    r"|SET|TRUNCATE|UPDATE|VACUUM|WITH)\b",
    re.IGNORECASE,
)
FLAGS = re.IGNORECASE | re.DOTALL


def outward(*, files: bool) -> re.Pattern[str]:
    """Return what finds SQL that reaches beyond its database; `files`: the role has that power."""
    return re.compile("|".join((*SHARED, *FUNCTIONS, *(FILES if files else ()))), FLAGS)


def sql_fence(
    database: str,
    *,
    live: str,
    files: bool,
    names: Iterable[str],
    tell: Callable[[str], None],
) -> Callable[[str], None]:
    """Return what raises FenceError for a statement that would take effect elsewhere.

    `database` is the scratch one, whose own settings may change, `live` the examined one; `names`
    are what the copy has that leads outside: foreign tables, schedulers. Bodies of DO and of
    functions are text here.
    """
    pattern = outward(files=files)
    own = re.compile(rf'\bDATABASE\s+"?{re.escape(database)}"?', re.IGNORECASE)
    outside = set(names)

    def named(name: str, text: str) -> bool:
        return re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE) is not None

    @lru_cache(maxsize=1024)
    def refusal(statement: str, known: frozenset[str]) -> str | None:
        text = own.sub("", COMMENTS.sub(" ", statement))
        found = pattern.search(text)
        if found is not None:
            return " ".join(found.group().split())[:60]
        words = [name for name in known if named(name, text)]
        if words:
            return f"it names {min(words)}, which leads outside"
        if files and FROM_ROWS.search(text) and not WRITES_SQL.search(text):
            return "it executes SQL that stands in rows"
        return None

    def require_inside(statement: str) -> None:
        if asks_for_name(statement, live):
            tell(WHAT)
        why = refusal(statement, frozenset(outside))
        if why is None:
            return
        created = CREATES_FUNCTION.match(statement)
        if created is not None:
            # To make it is no harm; to use it is.
            outside.add(created["name"].rpartition(".")[2].strip('"'))
            return
        tell(f"it may not do this on a copy: {why}")
        raise FenceError(f"a rehearsal may not run SQL that reaches beyond its database: {why}")

    return require_inside
