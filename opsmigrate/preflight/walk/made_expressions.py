"""The SQL of checks and indexes that the plan makes: what it names, by the names of the moment."""

from opsmigrate.postgres.names import as_stored, quoted, stored_in
from opsmigrate.sql.expressions import nodes_of
from opsmigrate.sql.renamed import with_column
from opsmigrate.sql.statement import NoGrammarError, NotParsedError


def names_column(text: str, column: str) -> bool:
    """Return whether an expression names a column; what cannot be read may."""
    found = nodes_of(text)
    return found is None or any(
        as_stored(each.fields[-1].string.sval) == column
        for each in found
        if each.DESCRIPTOR.name == "ColumnRef"
    )


def with_new_name(text: str, old: str, new: str) -> str:
    """Return an expression in which a column is called anew."""
    try:
        return with_column(text, old, new)
    except (NoGrammarError, NotParsedError):
        return stored_in(text).replace(quoted(old), quoted(new))
