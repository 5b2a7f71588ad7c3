"""Indexes and constraints that PostgreSQL trusts, and sequences that give new keys."""

from opsmigrate.counted import counted
from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.postgres.sequences import read_sequences
from opsmigrate.uat.context import Context
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.registry import check

NAMED = 10


@check("constraints-valid", tags=("database", "schema"), severity="major")
def constraints_valid(context: Context) -> str:
    """No index is invalid, and no constraint is without validation."""
    relations = read_catalog(context.connection).relations
    indexes = [(each.label, index) for each in relations for index in each.indexes]
    constraints = [(each.label, item) for each in relations for item in each.constraints]
    invalid = [f"index {index.name} of {label}" for label, index in indexes if not index.valid]
    late = [
        f"constraint {item.name} of {label}" for label, item in constraints if not item.validated
    ]
    if invalid or late:
        told = [f"{each} is invalid" for each in invalid]
        told += [f"{each} is not validated" for each in late]
        raise Failed(
            "; ".join(told[:NAMED]) + (f"; {len(told) - NAMED} more" if len(told) > NAMED else ""),
            evidence="REINDEX INDEX CONCURRENTLY, or ALTER TABLE … VALIDATE CONSTRAINT",
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
            f"{each.label} gives {each.next_value} next, {each.column} goes up to {each.highest}"
            for each in behind[:NAMED]
        )
        raise Failed(
            f"{len(behind)} of {counted(len(sequences), 'sequence')} "
            f"{'is' if len(behind) == 1 else 'are'} behind: {told}",
            evidence="; ".join(each.remedy for each in behind[:NAMED]),
        )
    return f"{counted(len(sequences), 'sequence')}, each ahead of its column"
