"""What to type where a column is missing, or is no longer as it was made."""

from __future__ import annotations

from opsmigrate.postgres.catalog import Column
from opsmigrate.postgres.names import quoted
from opsmigrate.schema.remedies.ddl import column_definition, default_of, editing, is_constant
from opsmigrate.schema.remedies.drift_case import DriftCase, Remedy
from opsmigrate.schema.remedies.row_remedies import SAID, first
from opsmigrate.schema.remedies.rows import has_nulls
from opsmigrate.schema.remedies.type_remedies import in_the_way
from opsmigrate.steps import Step, statement

# Identity columns of partitioned tables came with it (release notes).
PARTITIONED_IDENTITY = 170_000


def null_remedy(case: DriftCase) -> Remedy:
    """Return what sets or drops NOT NULL; rows without a value need one first."""
    found = case.drift.there
    assert isinstance(found, Column)  # noqa: S101 - it is there
    if not case.claimed_column.not_null:
        return Remedy(None, (case.alter_column("DROP NOT NULL"),))
    set_not_null = case.alter_column("SET NOT NULL")
    nulls = has_nulls(case.connection, case.relation, found.name)
    if nulls is False:
        return Remedy(None, (set_not_null,))
    look = statement(f"SELECT * FROM {case.where} WHERE {case.column} IS NULL")
    with editing(case) as editor:
        value = default_of(case, editor, case.field(found.name))
    if value is None:
        if nulls is None:
            return Remedy(
                "rows without a value, which the query lists, need one first",
                (look, set_not_null),
            )
        ways = first(case, f"{case.column} IS NULL", (set_not_null,))
        hint = (
            "rows have no value in this column: decide which they get. The query lists them; as "
            f"long as there are any, PostgreSQL refuses NOT NULL. UPDATE {case.where} SET "
            f"{case.column} = … WHERE {case.column} IS NULL gives them one"
        )
        if ways == (set_not_null,):
            return Remedy(hint, (look,))
        return Remedy(f"{hint}; {SAID}", (look, *ways))
    fill = statement(
        f"UPDATE {case.where} SET {case.column} = {value} WHERE {case.column} IS NULL",
        risk="gives these rows the default",
    )
    return Remedy(
        "rows have no value in this column: decide whether the field's default is right for those "
        "that the query lists",
        (look, fill, set_not_null),
    )


def collation_remedy(case: DriftCase) -> Remedy:
    """Return what gives the column its collation, with the type that is claimed."""
    found, claimed = case.drift.there, case.claimed_column
    assert isinstance(found, Column)  # noqa: S101 - it is there
    obstacle = in_the_way(case, found)
    if obstacle:
        return Remedy(f"{obstacle} of this column: drop that, set the collation, and recreate it")
    retyped = any(item.id == "drift-type" and item.column == found.name for item in case.others)
    type_ = claimed.type if retyped and claimed.type else found.type
    # Without COLLATE, it is that of the type (documentation of ALTER TABLE).
    collate = f" COLLATE {quoted(claimed.collation)}" if claimed.collation else ""
    return Remedy(
        "indexes on the column are rebuilt; the table is locked meanwhile",
        (case.alter_column(f"TYPE {type_}{collate}"),),
    )


def generated_remedy(case: DriftCase) -> Remedy:
    """Return what makes the column as claimed, while the old one keeps its values beside it."""
    found, claimed = case.drift.there, case.claimed_column
    assert isinstance(found, Column)  # noqa: S101 - it is there
    if not claimed.generated and not found.virtual:
        return Remedy(None, (case.alter_column("DROP EXPRESSION"),))
    obstacle = in_the_way(case, found)
    if obstacle:
        return Remedy(f"{obstacle} of this column: drop that, create the column, and recreate it")
    former = _free_column(case, f"{found.name}_former")
    with editing(case) as editor:
        definition = column_definition(
            case, editor, case.field(found.name), nullable=not claimed.generated, default=False
        )
    steps = [case.alter(f"RENAME COLUMN {case.column} TO {quoted(former)}")]
    if found.not_null and not found.generated:
        steps.append(case.alter(f"ALTER COLUMN {quoted(former)} DROP NOT NULL"))
    steps.append(case.alter(f"ADD COLUMN {case.column} {definition}"))
    if not claimed.generated:
        steps.append(statement(f"UPDATE {case.where} SET {case.column} = {quoted(former)}"))
        if claimed.not_null:
            steps.append(case.alter_column("SET NOT NULL"))
    return Remedy(
        f"its values are kept in {former}; drop that column when they are no longer needed. Its "
        "indexes stay with it: preflight_migrate then reports what is missing",
        tuple(steps),
    )


def _free_column(case: DriftCase, name: str) -> str:
    names = {column.name for column in case.relation.columns}
    while name in names:
        name += "_"
    return name


def identity_remedy(case: DriftCase) -> Remedy:
    """Return what numbers the rows again, from behind the highest number on."""
    relation = case.relation
    if relation.kind == "p" and case.live.catalog.version < PARTITIONED_IDENTITY:
        return Remedy("create a sequence, and set its nextval() as the default of the column")
    name = case.live.unused(relation.schema, f"{relation.name}_{case.drift.column}_seq")
    sequence = quoted(relation.schema, name)
    add = case.alter_column(f"ADD GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME {sequence})")
    highest = f"max({case.column})"
    literal = sequence.replace("'", "''")
    restart = statement(
        f"SELECT setval('{literal}', greatest({highest}, 1), coalesce({highest} >= 1, false)) "
        f"FROM {case.where}"
    )
    return Remedy(None, (add, restart))


def default_remedy(case: DriftCase) -> Remedy:
    """Return what sets the database default that the field has."""
    with editing(case) as editor:
        value = default_of(case, editor, case.field(case.drift.column or ""))
    return Remedy(None, (case.alter_column(f"SET DEFAULT {value}"),))


def add_column(
    case: DriftCase, *, rows: bool, alternative: int
) -> tuple[str | None, tuple[Step, ...]]:
    """Return what adds the column as far as the rows allow it, and what is still to be decided."""
    claimed = case.claimed_column
    field = case.field(claimed.name)
    if rows and field.primary_key:
        return (
            "the rows have lost their keys, and new numbers could collide with old references: "
            "restore the column from a backup (python manage.py backup_db --list)"
        ), ()
    given = rows and claimed.not_null and not field.has_db_default() and is_constant(field)
    left_out = (
        rows and claimed.not_null and not (given or field.has_db_default() or claimed.generated)
    )
    with editing(case) as editor:
        definition = column_definition(case, editor, field, nullable=left_out, default=given)
    filled = rows and claimed.not_null and not left_out and not claimed.generated
    steps = [
        case.alter(
            f"ADD COLUMN {case.column} {definition}",
            risk="gives every row the default" if filled else None,
            alternative=alternative,
        )
    ]
    if given:
        steps.append(
            case.alter(f"ALTER COLUMN {case.column} DROP DEFAULT", alternative=alternative)
        )
    hint = None
    if rows and not claimed.generated:
        hint = (
            "preflight cannot know where its values are now: in another column, in another table, "
            "or in a backup (python manage.py backup_db --list). The new column does not bring "
            "them back"
        )
    if left_out:
        hint = f"{hint}. It is added without NOT NULL, because no row has a value for it"
    return hint, tuple(steps)
