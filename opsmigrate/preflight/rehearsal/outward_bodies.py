"""What the body of a block or a function would do beyond its database, read from its words."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from opsmigrate.preflight.rehearsal.outward_names import (
    SETTINGS,
    SHARED_CATALOGS,
    is_outward,
    is_outward_extension,
)
from opsmigrate.sql.bodies import normal_form
from opsmigrate.sql.grammar import constant
from opsmigrate.sql.statement import Token

# In the normal form of opsmigrate.sql.bodies: key words in capitals, "names", '' for literals.
NAME = r'(?:"(?:[^"]|"")*"|\w+)'
STATEMENTS = re.compile(
    r"\b(?:CREATE|ALTER|DROP) (?:ROLE|USER(?! MAPPING)|GROUP|DATABASE|TABLESPACE"
    r"|SUBSCRIPTION|SYSTEM|SERVER|USER MAPPING|FOREIGN DATA WRAPPER)\b"
    r"|\bCREATE (?:OR REPLACE )?(?:TRUSTED )?(?:PROCEDURAL )?LANGUAGE\b"
    r"|\b(?:REASSIGN|DROP) OWNED\b"
    r"|\b(?:COMMENT|SECURITY LABEL)(?: FOR \S+)? ON"
    r" (?:ROLE|DATABASE|TABLESPACE|SUBSCRIPTION)\b"
    r"|\b(?:GRANT|REVOKE)\b[^;]*? ON (?:DATABASE|TABLESPACE|PARAMETER|FOREIGN)\b"
    # A membership, which is not ON anything.
    r"|\bGRANT (?:(?!\bON\b)[^;])*\bTO\b|\bREVOKE (?:(?!\bON\b)[^;])*\bFROM\b"
    r"|\bIMPORT FOREIGN SCHEMA\b"
    r"|\bSET (?:LOCAL |SESSION )?SESSION AUTHORIZATION\b"
    rf'|\bSET (?:LOCAL |SESSION )?(?i:"(?:{"|".join(sorted(SETTINGS))})")'
    r"|\bREINDEX (?:\([^)]*\) )?(?:SYSTEM|DATABASE)\b"
)
FILES = re.compile(r"\b(?:FROM|TO) PROGRAM\b|\bCOPY\b[^;]*? (?:FROM|TO) ''|(?:^|;) LOAD\b")
CATALOGS = re.compile(
    r"\b(?:INTO|UPDATE(?: ONLY)?|DELETE FROM(?: ONLY)?|LOCK(?: TABLE)?(?: ONLY)?"
    r"|TRUNCATE(?: TABLE)?|COPY|ALTER TABLE(?: ONLY)?|REINDEX TABLE|CLUSTER|VACUUM(?: FULL)?)"
    rf' (?:"pg_catalog" \. )?("(?:{"|".join(sorted(SHARED_CATALOGS))})")'
)
# A statement that reads a catalog and locks rows; whose rows, OF would say.
ROW_LOCKS = re.compile(
    rf'"(?:{"|".join(sorted(SHARED_CATALOGS))})"[^;]*'
    r"\bFOR (?:UPDATE|NO KEY UPDATE|SHARE|KEY SHARE)\b"
)
EXTENSION = re.compile(rf"\bCREATE EXTENSION (?:IF NOT EXISTS )?({NAME})")


def beyond_in_body(tokens: Sequence[Token], *, files: bool, database: str) -> Iterator[str]:
    """Yield why a body may not run: by its words, as nobody but PL/pgSQL can parse it.

    `database` is the copy, whose own settings may change; `files` as in outward.Bounds.
    """
    text = normal_form(tokens)
    text = re.sub(
        rf'\b(ALTER|COMMENT ON) DATABASE "?{re.escape(database)}"?', r"\1 IT", text, flags=re.I
    )
    for pattern in (STATEMENTS, CATALOGS, ROW_LOCKS, *([FILES] if files else [])):
        found = pattern.search(text)
        if found:
            yield found.group()[:60]
    for name in called(tokens):
        if is_outward(name):
            yield f"{name}()"
    for setting in changed_settings(tokens):
        if setting is not None and setting.lower() in SETTINGS:
            yield f"a change of {setting}"
    for name in EXTENSION.findall(text):
        if is_outward_extension(name.strip('"').lower()):
            yield f"the extension {name}"


def changed_settings(tokens: Sequence[Token]) -> Iterator[str | None]:
    """Yield what set_config() is called with; None for what is no constant."""
    for number, token in enumerate(tokens[:-2]):
        if token.name == "set_config" and tokens[number + 1].text == "(":
            first, *after = tokens[number + 2 : number + 4]
            whole = first.kind in ("SCONST", "USCONST") and after and after[0].text == ","
            yield constant(first.text) if whole else None


def called(tokens: Sequence[Token]) -> set[str]:
    """Return the names that stand before a bracket: of functions, and of what looks like one."""
    pairs = pairwise(tokens)
    return {token.name for token, after in pairs if after.text == "(" and token.name is not None}
