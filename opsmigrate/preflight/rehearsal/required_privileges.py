"""Which rights a statement needs on which relations, as far as its text tells."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from opsmigrate.preflight.walk.privileges import OWNER
from opsmigrate.preflight.walk.referenced_tables import QUALIFIED, name_parts, without_texts

_TABLE = rf"(?:ONLY\s+)?(?P<name>{QUALIFIED})"
INSERTS = re.compile(rf"\bINSERT\s+INTO\s+{_TABLE}(?:\s*\((?P<columns>[^()]*)\))?", re.I)
UPDATES = re.compile(rf"(?<!\bFOR )(?<!\bDO )(?<!\bKEY )\bUPDATE\s+{_TABLE}", re.I)
DELETES = re.compile(rf"\bDELETE\s+FROM\s+{_TABLE}", re.I)
TRUNCATES = re.compile(rf"\bTRUNCATE\s+(?:TABLE\s+)?{_TABLE}", re.I)
READS = re.compile(rf"(?<!\bDELETE )\b(?:FROM|JOIN|USING)\s+{_TABLE}", re.I)
OWNS = re.compile(
    r"^\s*(?:ALTER\s+TABLE|ALTER\s+(?:MATERIALIZED\s+)?VIEW|ALTER\s+SEQUENCE|ALTER\s+INDEX|COMMENT\s+ON\s+TABLE|"
    r"CREATE\s+(?:UNIQUE\s+)?INDEX\b[^;]*?\sON|CREATE\s+(?:OR\s+REPLACE\s+)?RULE\b[^;]*?\sTO|"
    r"REINDEX\s+TABLE|CLUSTER)\s+"
    rf"(?:IF\s+EXISTS\s+)?{_TABLE}",
    re.I,
)
DROPS = re.compile(
    r"^\s*DROP\s+(?:TABLE|INDEX|SEQUENCE|(?:MATERIALIZED\s+)?VIEW)\s+(?:CONCURRENTLY\s+)?"
    rf"(?:IF\s+EXISTS\s+)?{_TABLE}",
    re.I,
)
REFERENCES = re.compile(rf"\bREFERENCES\s+{_TABLE}\s*\((?P<columns>[^()]*)\)", re.I)
RETURNS = re.compile(r"\bRETURNING\s+(?P<columns>[^()*]+)$", re.I)
TRIGGERS = re.compile(rf"^\s*CREATE\b[^;]*?\bTRIGGER\b[^;]*?\sON\s+{_TABLE}", re.I)
LOCKS_ROWS = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?(?:UPDATE|SHARE)\b|\bFOR\s+KEY\s+SHARE\b", re.I)
# CREATE VIEW and CREATE FUNCTION ask for no right on what they read.
DEFINES = re.compile(
    r"^\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMP\w*\s+)?(?:VIEW|FUNCTION|PROC)", re.I
)
# Not a privilege either: owners of the relation or of its schema may drop.
DROP = "DROP"
DATA = re.compile(r"^\s*(?:SELECT|INSERT|UPDATE|DELETE|TRUNCATE|WITH|VALUES)\b", re.I)


@dataclass(frozen=True)
class RequiredPrivilege:
    """A privilege on the relation of this name (one part, or schema and name).

    `columns` are those that are named, None where the text does not tell. `certain` is False where
    the text does not tell whether the privilege is really needed.
    """

    privilege: str
    name: tuple[str, ...]
    columns: tuple[str, ...] | None = None
    certain: bool = True


def required_privileges(statement: str) -> Iterator[RequiredPrivilege]:
    """Yield what a statement needs on the relations that it names."""
    text = without_texts(statement)
    if DEFINES.match(text):
        return
    for pattern, privilege in (
        (OWNS, OWNER),
        (DROPS, DROP),
        (TRIGGERS, "TRIGGER"),
        (TRUNCATES, "TRUNCATE"),
    ):
        yield from (
            RequiredPrivilege(privilege, name_parts(found["name"]))
            for found in pattern.finditer(text)
        )
    yield from (
        RequiredPrivilege("SELECT", name_parts(found["name"])) for found in READS.finditer(text)
    )
    for found in REFERENCES.finditer(text):
        yield RequiredPrivilege("REFERENCES", name_parts(found["name"]), _columns(found["columns"]))
    targets = []
    for found in INSERTS.finditer(text):
        targets.append(name_parts(found["name"]))
        yield RequiredPrivilege("INSERT", targets[-1], _columns(found["columns"]))
    for pattern, privilege in ((UPDATES, "UPDATE"), (DELETES, "DELETE")):
        for found in pattern.finditer(text):
            targets.append(name_parts(found["name"]))
            yield RequiredPrivilege(privilege, targets[-1])
    yield from _reads_of_targets(text, targets)
    if LOCKS_ROWS.search(text):
        for found in READS.finditer(text):
            yield RequiredPrivilege("UPDATE", name_parts(found["name"]), certain=False)


def _reads_of_targets(text: str, targets: list[tuple[str, ...]]) -> Iterator[RequiredPrivilege]:
    """RETURNING and conditions read the table that is written; which of several, is not told."""
    returns = RETURNS.search(text)
    named = _columns(returns["columns"]) if returns and len(targets) == 1 else None
    reads = returns or re.search(r"\bRETURNING\b", text, re.I)
    condition = re.search(r"\bWHERE\b", text, re.I)
    inserts = INSERTS.search(text)
    for target in targets:
        if reads or (condition and not inserts):
            columns = None if condition else named
            yield RequiredPrivilege("SELECT", target, columns, certain=len(targets) == 1)


def _columns(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(parts[-1] for item in text.split(",") if (parts := name_parts(item)))
