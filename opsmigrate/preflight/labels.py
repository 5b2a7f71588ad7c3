"""How an operation is named, in findings, statements and rehearsals alike."""

from django.db.migrations.operations.base import Operation


def label_of(number: int, operation: Operation) -> str:
    """Return the name of an operation: its place in its migration, from 0 on, and its kind."""
    return f"{number}: {type(operation).__name__}"
