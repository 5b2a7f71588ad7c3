"""Whether the goal can be reached from what is there; refused before anything is written."""

from opsmigrate.backfill.convert import is_text
from opsmigrate.backfill.goal import Goal
from opsmigrate.backfill.obstacles import Obstacles
from opsmigrate.backfill.state import State
from opsmigrate.errors import RefusedError
from opsmigrate.postgres.names import generated_name, quoted


def require_possible(state: State, goal: Goal) -> None:
    """Raise RefusedError where the table or the column cannot be brought to the goal."""
    _require_table(state, goal)
    _require_rights(state, goal)
    if state.has_column:
        _require_column(state, goal)
    elif goal.reads_row and not goal.nullable:
        raise _no_default(goal)
    if goal.reads_row and not goal.nullable and state.default is None:
        raise _no_default(goal)
    if goal.unique and state.name_taken:
        raise RefusedError(
            f"the name {goal.constraint} is taken by another relation in schema {goal.schema}; "
            "a deferrable constraint, or an index of some rows only, is no substitute",
            id="index-exists",
            hint=f"ALTER TABLE {quoted(goal.schema, goal.constraint)} RENAME TO "
            + quoted(generated_name(goal.constraint, "", "former")),
            table=goal.label,
        )


def _require_table(state: State, goal: Goal) -> None:
    why = None
    hint = "python manage.py seed_payment_id --no-unique fills it and sets NOT NULL"
    foreign = [leaf.label for leaf in state.leaves if leaf.kind != "r"]
    if state.kind not in ("r", "p"):
        why, hint = "is no table", "--model with one whose rows stand in a table"
    elif state.is_typed and (not state.has_column or is_text(state, goal)):
        why = "is a table of a composite type, to which PostgreSQL adds no column"
        hint = f"ALTER TABLE {goal.typed_table} NOT OF"
    elif state.is_partition and (not state.has_column or is_text(state, goal)):
        why = "is a partition, to which PostgreSQL adds no column of its own"
        hint = "--model with the partitioned table"
    elif foreign:
        why = f"keeps rows on another server ({', '.join(foreign)})"
        hint = "fill those there, and detach the foreign table meanwhile"
    elif goal.unique and state.constraint is None and state.kind == "p":
        why = (
            "is partitioned: PostgreSQL makes a column unique only where it holds the partition "
            "key, so no foreign key can point to it"
        )
    elif goal.unique and state.has_children:
        why = (
            "is inherited: in PostgreSQL no constraint is unique across a table and its children, "
            "so no foreign key can point to all rows"
        )
    if why:
        raise RefusedError(f"{goal.label} {why}", id="table-hierarchy", hint=hint, table=goal.label)


def _require_rights(state: State, goal: Goal) -> None:
    others = [leaf.label for leaf in state.leaves if not leaf.owned]
    if not state.owned or others:
        raise RefusedError(
            f"only the owner of {', '.join(others) or goal.label} may add a column to it",
            id="missing-privilege",
            hint="use the alias of the table's owner: --database ALIAS",
            table=goal.label,
        )
    if goal.unique and not state.may_create and state.constraint is None:
        raise RefusedError(
            f"the role may not create an index in schema {goal.schema}",
            id="missing-privilege",
            hint=f"GRANT CREATE ON SCHEMA {quoted(goal.schema)} TO {state.typed_user}",
            table=goal.label,
        )


def _require_column(state: State, goal: Goal) -> None:
    what = None
    if state.made_by_server:
        what = f"the server itself gives its values ({state.made_by_server})"
    elif state.column_type != goal.type and not is_text(state, goal):
        what = f"it is {state.column_type}, not {goal.type}"
    else:
        other = [leaf for leaf in state.leaves if leaf.column_type != state.column_type]
        if other:
            what = f"in {other[0].label} it is {other[0].column_type}, not {goal.type}"
    if what:
        raise RefusedError(
            f"column {goal.column} of {goal.label} is there, but {what}",
            id="column-type",
            hint=f"ALTER TABLE {goal.typed_table} RENAME COLUMN {goal.typed_column} TO "
            + quoted(generated_name(goal.column, "", "former")),
            table=goal.label,
            column=goal.column,
        )


def _no_default(goal: Goal) -> RefusedError:
    return RefusedError(
        f"the value of {goal.label}.{goal.column} is computed from other columns, so it cannot be "
        "the column's default; rows that the previous release inserts would have none, and NOT "
        "NULL would refuse them",
        id="no-default",
        hint=f"ALTER TABLE {goal.typed_table} ALTER COLUMN {goal.typed_column} SET DEFAULT …, "
        "or let the field be null=True for one release",
        table=goal.label,
        column=goal.column,
    )


def require_no_obstacle(obstacles: Obstacles, goal: Goal, *, triggers: str) -> None:
    """Raise RefusedError where the UPDATE of the rows would set something off or be refused.

    `triggers` is what to do where triggers would fire: refuse, fire, or skip.
    """
    _require_triggers(obstacles, goal, triggers)
    if obstacles.rules:
        raise RefusedError(
            f"rules of {goal.label} rewrite an UPDATE: {', '.join(obstacles.rules)}",
            id="update-rules",
            hint="make them triggers, or drop them for the time of the seed",
            table=goal.label,
        )
    if obstacles.secured:
        raise RefusedError(
            f"row-level security hides rows of {', '.join(obstacles.secured)} from this role, "
            "even though it is the owner (FORCE ROW LEVEL SECURITY)",
            id="missing-privilege",
            hint="use the alias of a role with BYPASSRLS: --database ALIAS",
            table=goal.label,
        )
    if obstacles.unidentified:
        raise RefusedError(
            f"{', '.join(obstacles.unidentified)} is published for logical replication and has no "
            "replica identity, so PostgreSQL refuses every UPDATE of it",
            id="no-replica-identity",
            hint=f"ALTER TABLE {goal.typed_table} REPLICA IDENTITY FULL",
            table=goal.label,
        )
    if obstacles.checks:
        raise RefusedError(
            f"rows of {goal.label} violate a check that was never validated, so PostgreSQL "
            f"refuses to update them: {', '.join(obstacles.checks)}",
            id="rows-not-updatable",
            hint=f"mend those rows; then ALTER TABLE {goal.typed_table} VALIDATE CONSTRAINT "
            + quoted(obstacles.checks[0]),
            table=goal.label,
        )


def _require_triggers(obstacles: Obstacles, goal: Goal, triggers: str) -> None:
    if triggers == "refuse" and obstacles.triggers:
        skip = ", or --triggers skip to leave them out" if obstacles.may_skip else ""
        raise RefusedError(
            f"UPDATE triggers of {goal.label} would fire for every row that is filled: "
            f"{', '.join(obstacles.triggers)}",
            id="update-triggers",
            hint=f"--triggers fire, where that does no harm{skip}",
            table=goal.label,
        )
    if triggers == "skip" and (obstacles.triggers or obstacles.stubborn):
        if not obstacles.may_skip:
            raise RefusedError(
                "this role may not set session_replication_role, which --triggers skip needs",
                id="missing-privilege",
                hint="GRANT SET ON PARAMETER session_replication_role TO the role of this alias "
                "(PostgreSQL 15 and later), or --triggers fire",
                table=goal.label,
            )
        if obstacles.stubborn:
            raise RefusedError(
                f"triggers of {goal.label} fire even so (ENABLE ALWAYS or REPLICA): "
                f"{', '.join(obstacles.stubborn)}",
                id="update-triggers",
                hint="--triggers fire, where that does no harm",
                table=goal.label,
            )
