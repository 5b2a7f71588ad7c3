"""Indexes and constraints that PostgreSQL trusts, and sequences that give new keys."""

from opsmigrate.counted import counted
from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.sequences import read_sequences
from opsmigrate.steps import statement
from opsmigrate.uat.context import Context
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.registry import check

NAMED = 10


@check("constraints-valid", tags=("database", "schema"), severity="major")
def constraints_valid(context: Context) -> str:
    """No index is invalid, and no constraint is without validation."""
    relations = read_catalog(context.connection).relations
    indexes = [(each, index) for each in relations for index in each.indexes]
    constraints = [(each, item) for each in relations for item in each.constraints]
    invalid = [(each, index) for each, index in indexes if not index.valid]
    late = [(each, item) for each, item in constraints if not item.validated]
    if invalid or late:
        told = [f"index {index.name} of {each.label} is invalid" for each, index in invalid]
        told += [f"constraint {item.name} of {each.label} is not validated" for each, item in late]
        anew = [f"REINDEX INDEX CONCURRENTLY {quoted(e.schema, i.name)}" for e, i in invalid]
        anew += [
            f"ALTER TABLE {quoted(each.schema, each.name)} VALIDATE CONSTRAINT {quoted(item.name)}"
            for each, item in late
        ]
        raise Failed(
            "; ".join(told[:NAMED]) + (f"; {len(told) - NAMED} more" if len(told) > NAMED else ""),
            hint="let PostgreSQL rebuild or validate it; if rows violate it, it says which",
            steps=tuple(map(statement, anew[:NAMED])),
        )
    return (
        f"{counted(len(indexes), 'index', 'indexes')} and "
        f"{counted(len(constraints), 'constraint')}, all valid"
    )


@check("sequences-ahead", tags=("database", "schema"), severity="blocker", timeout=300)
def sequences_ahead(context: Context) -> str:
    """Every sequence gives next a key that no row of its column has."""
    sequences = read_sequences(context.connection)
    behind = [each for each in sequences if each.is_behind]
    if behind:
        told = "; ".join(
            (
                f"{each.label} yields {each.next_value} next, but {each.column} goes up to "
                f"{each.highest}"
            )
            for each in behind[:NAMED]
        )
        raise Failed(
            f"{len(behind)} of {counted(len(sequences), 'sequence')} "
            f"{'is' if len(behind) == 1 else 'are'} behind: {told}",
            hint="move each sequence past the highest existing value",
            steps=tuple(statement(each.remedy) for each in behind[:NAMED]),
        )
    return f"{counted(len(sequences), 'sequence')}, each ahead of its column"
