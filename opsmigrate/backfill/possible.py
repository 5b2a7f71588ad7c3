"""Whether the goal can be reached from what is there; refused before anything is written."""

from dataclasses import replace

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.convert import BY_NAME
from opsmigrate.backfill.goal import Goal
from opsmigrate.backfill.obstacles import Obstacles
from opsmigrate.backfill.pending import altering_migration
from opsmigrate.backfill.plans import InPlace
from opsmigrate.backfill.state import State
from opsmigrate.backfill.work import SeedOptions
from opsmigrate.counted import counted
from opsmigrate.errors import RefusedError
from opsmigrate.postgres.column_numbers import COPY_IT, MOST_COLUMNS
from opsmigrate.postgres.names import generated_name, quoted
from opsmigrate.steps import Step, command, statement


def require_possible(connection: BaseDatabaseWrapper, plan: InPlace) -> None:
    """Raise RefusedError where the table or the column cannot be brought to the goal."""
    state, goal, again = plan.state, plan.goal, plan.again
    _require_table(plan)
    _require_rights(state, goal)
    if state.numbers >= MOST_COLUMNS and plan.adds_column:
        raise RefusedError(
            f"{goal.label} has had {counted(state.numbers, 'column')}, including dropped ones: "
            "PostgreSQL cannot add another",
            id="too-many-columns",
            hint=COPY_IT,
            table=goal.label,
        )
    if state.has_column:
        _require_column(connection, plan)
    elif goal.reads_row and not goal.nullable:
        raise _no_default(goal)
    if goal.reads_row and not goal.nullable and state.default is None:
        raise _no_default(goal)
    if goal.unique and state.name_taken:
        former = quoted(generated_name(goal.constraint, "", "former"))
        rename = f"ALTER TABLE {quoted(goal.schema, goal.constraint)} RENAME TO {former}"
        raise RefusedError(
            f"the name {goal.constraint} is taken by another relation in schema {goal.schema}; a "
            "deferrable constraint, or a partial index, is no substitute",
            id="index-exists",
            hint="rename the existing one",
            steps=(statement(rename, risk=BY_NAME), command(again)),
            table=goal.label,
        )


def _require_table(plan: InPlace) -> None:
    state, goal, again, why = plan.state, plan.goal, plan.again, None
    steps: tuple[Step, ...] = (command(f"{again} --no-unique"),)
    hint = "fill it and make it NOT NULL, but not unique"
    foreign = [leaf.label for leaf in state.leaves if leaf.kind != "r"]
    if state.kind not in ("r", "p"):
        why, steps = "is not a table", ()
        hint = "name a model that is stored in a table with --model"
    elif state.is_typed and plan.adds_column:
        why = "is a table of a composite type, to which PostgreSQL adds no column"
        hint = "turn it into an ordinary table; its columns and rows are kept"
        steps = (statement(f"ALTER TABLE {goal.typed_table} NOT OF"), command(again))
    elif state.is_partition and plan.adds_column:
        why, steps = "is a partition, to which PostgreSQL adds no column of its own", ()
        hint = "name the model of the partitioned table with --model"
    elif foreign:
        why, steps = f"keeps rows on another server ({', '.join(foreign)})", ()
        hint = "fill those rows on that server, and detach the foreign table meanwhile"
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
        raise RefusedError(
            f"{goal.label} {why}",
            id="table-hierarchy",
            hint=hint,
            steps=steps,
            table=goal.label,
        )


def _require_rights(state: State, goal: Goal) -> None:
    others = [leaf.label for leaf in state.leaves if not leaf.owned]
    if not state.owned or others:
        raise RefusedError(
            f"only the owner of {', '.join(others) or goal.label} may add a column to it",
            id="missing-privilege",
            hint="name the alias of the table's owner with --database",
            table=goal.label,
        )
    if goal.unique and not state.may_create and state.constraint is None:
        grant = f"GRANT CREATE ON SCHEMA {quoted(goal.schema)} TO {state.typed_user}"
        raise RefusedError(
            f"the role may not create an index in schema {goal.schema}",
            id="missing-privilege",
            hint="as the owner of the schema, or as a superuser: grant it",
            steps=(statement(grant),),
            table=goal.label,
        )


def _require_column(connection: BaseDatabaseWrapper, plan: InPlace) -> None:
    state, goal, again, what = plan.state, plan.goal, plan.again, None
    if state.made_by_server:
        what = f"the server computes its values ({state.made_by_server})"
    elif not plan.fits:
        what = f"it is {state.column_type}, not {goal.type}"
    else:
        other = [leaf for leaf in state.leaves if leaf.column_type != state.column_type]
        if other:
            what = f"in {other[0].label} it is {other[0].column_type}, not {goal.type}"
    if what is None:
        return
    pending = altering_migration(connection, *goal.field) if goal.field else None
    if pending is not None:
        app, name = pending
        hint = f"migrate first: {app}.{name}, which is pending, alters it"
        steps = (command(f"python manage.py migrate {app} {name}"), command(again))
    else:
        former = quoted(generated_name(goal.column, "", "former"))
        rename = f"ALTER TABLE {goal.typed_table} RENAME COLUMN {goal.typed_column} TO {former}"
        hint = "if no release uses it any more, rename it, and let the right one be "
        hint += "created; the old values are kept"
        steps = (statement(rename, risk=BY_NAME), command(again))
    raise RefusedError(
        f"column {goal.column} of {goal.label} exists, but {what}",
        id="column-type",
        hint=hint,
        steps=steps,
        table=goal.label,
        column=goal.column,
    )


def _no_default(goal: Goal) -> RefusedError:
    return RefusedError(
        f"the value of {goal.label}.{goal.column} is computed from other columns, so it cannot be "
        "the column's default; rows that the previous release inserts would have no value, and "
        "NOT NULL would refuse them",
        id="no-default",
        hint="give the column a default of its own (ALTER COLUMN, SET DEFAULT), or let the field "
        "be null=True for one release",
        table=goal.label,
        column=goal.column,
    )


def require_no_obstacle(
    obstacles: Obstacles, state: State, goal: Goal, options: SeedOptions
) -> None:
    """Raise RefusedError where the UPDATE of the rows would set something off or be refused."""
    _require_triggers(obstacles, state, goal, options)
    if obstacles.rules:
        off = [each.switched("DISABLE") for each in obstacles.rules]
        on = [each.switched(each.enable) for each in obstacles.rules]
        raise RefusedError(
            f"rules of {goal.label} rewrite an UPDATE: "
            + ", ".join(each.name for each in obstacles.rules),
            id="update-rules",
            hint="replace them by triggers, or disable them for the duration of the seed and "
            "enable them again afterwards, even if it fails",
            steps=(
                *(statement(each, risk="no UPDATE is rewritten meanwhile") for each in off),
                command(options.again),
                *map(statement, on),
            ),
            table=goal.label,
        )
    if obstacles.secured:
        raise RefusedError(
            f"row-level security hides rows of {', '.join(obstacles.secured)} from this role, "
            "even though it is the owner (FORCE ROW LEVEL SECURITY)",
            id="missing-privilege",
            hint="name the alias of a role with BYPASSRLS with --database",
            table=goal.label,
        )
    if obstacles.unidentified:
        raise RefusedError(
            f"{', '.join(obstacles.unidentified)} is published for logical replication and has no "
            "replica identity, so PostgreSQL refuses every UPDATE of it",
            id="no-replica-identity",
            hint="set REPLICA IDENTITY FULL; subscribers then compare all columns",
            steps=(
                *(
                    statement(f"ALTER TABLE {each} REPLICA IDENTITY FULL")
                    for each in obstacles.unidentified
                ),
                command(options.again),
            ),
            table=goal.label,
        )
    if obstacles.checks:
        raise _not_updatable(obstacles, goal, options.again)


def _not_updatable(obstacles: Obstacles, goal: Goal, again: str) -> RefusedError:
    names = list(dict.fromkeys(each.name for each in obstacles.checks))
    look = [
        f"SELECT * FROM ONLY {each.table} WHERE NOT ({each.condition})"  # noqa: S608
        for each in obstacles.checks
    ]
    drop = [
        f"ALTER TABLE {each.table} DROP CONSTRAINT IF EXISTS {each.typed_name}"
        for each in obstacles.checks
    ]
    return RefusedError(
        f"rows of {goal.label} violate a check that was never validated, so PostgreSQL "
        f"refuses to update them: {', '.join(names)}",
        id="rows-not-updatable",
        hint="give those rows values that the check allows, or decide that the check is not needed",
        steps=(
            *map(statement, look),
            *(
                statement(each, risk="new rows are not checked any more", alternative=2)
                for each in drop
            ),
            command(again, alternative=2),
        ),
        table=goal.label,
    )


def _require_triggers(obstacles: Obstacles, state: State, goal: Goal, options: SeedOptions) -> None:
    triggers, base = options.triggers, options.again.removesuffix(f" --triggers {options.triggers}")
    fire = command(f"{base} --triggers fire", risk="they fire for every row")
    if triggers == "refuse" and obstacles.triggers:
        skip = command(f"{base} --triggers skip", risk="they do nothing here", alternative=2)
        raise RefusedError(
            f"UPDATE triggers of {goal.label} would fire for every row that is filled: "
            f"{', '.join(obstacles.triggers)}",
            id="update-triggers",
            hint="decide whether they do harm if they fire for every row"
            + (", or if they do not fire" if obstacles.may_skip else ""),
            steps=(fire, skip) if obstacles.may_skip else (fire,),
            table=goal.label,
        )
    if triggers == "skip" and (obstacles.triggers or obstacles.stubborn):
        if not obstacles.may_skip:
            grant = "GRANT SET ON PARAMETER session_replication_role TO " + state.typed_user
            raise RefusedError(
                "this role may not set session_replication_role, which --triggers skip needs",
                id="missing-privilege",
                hint="a superuser may grant it (PostgreSQL 15 and later); or decide whether they "
                "do harm if they fire",
                steps=(
                    statement(grant),
                    command(options.again),
                    replace(fire, alternative=2),
                ),
                table=goal.label,
            )
        if obstacles.stubborn:
            raise RefusedError(
                f"triggers of {goal.label} fire even with --triggers skip (ENABLE ALWAYS or "
                f"REPLICA): {', '.join(obstacles.stubborn)}",
                id="update-triggers",
                hint="decide whether they do harm if they fire for every row",
                steps=(fire,),
                table=goal.label,
            )
