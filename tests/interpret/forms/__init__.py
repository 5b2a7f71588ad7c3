"""The forms of statements that are made at random, each from the schema that it meets."""

from tests.interpret.forms import (
    columns,
    constraints,
    indexes,
    objects,
    partitions,
    renames,
    rights,
    routines,
    rows,
    tables,
    types,
)
from tests.interpret.forms.draw import FORMS, Draw, Form

__all__ = ["FORMS", "Draw", "Form"]
# Each of these registers its own.
FAMILIES = (
    columns,
    constraints,
    indexes,
    objects,
    partitions,
    renames,
    rights,
    routines,
    rows,
    tables,
    types,
)
