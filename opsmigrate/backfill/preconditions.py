"""Whether the goal can be reached from what is there; refused before anything is written."""

from dataclasses import replace

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.convert import BY_NAME
from opsmigrate.backfill.field_migrations import altering_migration
from opsmigrate.backfill.obstacles import Obstacles
from opsmigrate.backfill.plans import InPlace
from opsmigrate.backfill.state import State
from opsmigrate.backfill.work import SeedOptions
from opsmigrate.counted import counted
from opsmigrate.errors import RefusedError
from opsmigrate.postgres.column_numbers import COPY_IT, MOST_COLUMNS
from opsmigrate.postgres.names import generated_name, quoted
from opsmigrate.steps import Step, command, statement


def require_preconditions(connection: BaseDatabaseWrapper, plan: InPlace) -> None:
    """Raise RefusedError where the table or the column cannot be brought to the goal."""
    state, spec, again = plan.state, plan.spec, plan.again
    _require_table(plan)
    _require_rights(state, spec)
    if state.numbers >= MOST_COLUMNS and plan.adds_column:
        raise RefusedError(
            f"{spec.label} has had {counted(state.numbers, 'column')}, including dropped ones: "
            "PostgreSQL cannot add another",
            id="too-many-columns",
            hint=COPY_IT,
            table=spec.label,
        )
    if state.has_column:
        _require_column(connection, plan)
    elif spec.reads_row and not spec.nullable:
        raise _no_default(spec)
    if spec.reads_row and not spec.nullable and state.default is None:
        raise _no_default(spec)
    if spec.unique and state.name_taken:
        former = quoted(generated_name(spec.constraint, "", "former"))
        rename = f"ALTER TABLE {quoted(spec.schema, spec.constraint)} RENAME TO {former}"
        raise RefusedError(
            f"the name {spec.constraint} is taken by another relation in schema {spec.schema}; a "
            "deferrable constraint, or a partial index, is no substitute",
            id="index-exists",
            hint="rename the existing one",
            steps=(statement(rename, risk=BY_NAME), command(again)),
            table=spec.label,
        )


def _require_table(plan: InPlace) -> None:
    state, spec, again, why = plan.state, plan.spec, plan.again, None
    steps: tuple[Step, ...] = (command(f"{again} --no-unique"),)
    hint = "fill it and make it NOT NULL, but not unique"
    foreign = [leaf.label for leaf in state.leaves if leaf.kind != "r"]
    if state.kind not in ("r", "p"):
        why, steps = "is not a table", ()
        hint = "name a model that is stored in a table with --model"
    elif state.is_typed and plan.adds_column:
        why = "is a table of a composite type, to which PostgreSQL adds no column"
        hint = "turn it into an ordinary table; its columns and rows are kept"
        steps = (statement(f"ALTER TABLE {spec.typed_table} NOT OF"), command(again))
    elif state.is_partition and plan.adds_column:
        why, steps = "is a partition, to which PostgreSQL adds no column of its own", ()
        hint = "name the model of the partitioned table with --model"
    elif foreign:
        why, steps = f"keeps rows on another server ({', '.join(foreign)})", ()
        hint = "fill those rows on that server, and detach the foreign table meanwhile"
    elif spec.unique and state.constraint is None and state.kind == "p":
        why = (
            "is partitioned: PostgreSQL makes a column unique only where it holds the partition "
            "key, so no foreign key can point to it"
        )
    elif spec.unique and state.has_children:
        why = (
            "is inherited: in PostgreSQL no constraint is unique across a table and its children, "
            "so no foreign key can point to all rows"
        )
    if why:
        raise RefusedError(
            f"{spec.label} {why}",
            id="table-hierarchy",
            hint=hint,
            steps=steps,
            table=spec.label,
        )


def _require_rights(state: State, spec: ColumnSpec) -> None:
    others = [leaf.label for leaf in state.leaves if not leaf.owned]
    if not state.owned or others:
        raise RefusedError(
            f"only the owner of {', '.join(others) or spec.label} may add a column to it",
            id="missing-privilege",
            hint="name the alias of the table's owner with --database",
            table=spec.label,
        )
    if spec.unique and not state.may_create and state.constraint is None:
        grant = f"GRANT CREATE ON SCHEMA {quoted(spec.schema)} TO {state.typed_user}"
        raise RefusedError(
            f"the role may not create an index in schema {spec.schema}",
            id="missing-privilege",
            hint="as the owner of the schema, or as a superuser: grant it",
            steps=(statement(grant),),
            table=spec.label,
        )


def _require_column(connection: BaseDatabaseWrapper, plan: InPlace) -> None:
    state, spec, again, what = plan.state, plan.spec, plan.again, None
    if state.made_by_server:
        what = f"the server computes its values ({state.made_by_server})"
    elif not plan.fits:
        what = f"it is {state.column_type}, not {spec.type}"
    else:
        other = [leaf for leaf in state.leaves if leaf.column_type != state.column_type]
        if other:
            what = f"in {other[0].label} it is {other[0].column_type}, not {spec.type}"
    if what is None:
        return
    pending = altering_migration(connection, *spec.field) if spec.field else None
    if pending is not None:
        app, name = pending
        hint = f"migrate first: {app}.{name}, which is pending, alters it"
        steps = (command(f"python manage.py migrate {app} {name}"), command(again))
    else:
        former = quoted(generated_name(spec.column, "", "former"))
        rename = f"ALTER TABLE {spec.typed_table} RENAME COLUMN {spec.typed_column} TO {former}"
        hint = "if no release uses it any more, rename it, and let the right one be "
        hint += "created; the old values are kept"
        steps = (statement(rename, risk=BY_NAME), command(again))
    raise RefusedError(
        f"column {spec.column} of {spec.label} exists, but {what}",
        id="column-type",
        hint=hint,
        steps=steps,
        table=spec.label,
        column=spec.column,
    )


def _no_default(spec: ColumnSpec) -> RefusedError:
    return RefusedError(
        f"the value of {spec.label}.{spec.column} is computed from other columns, so it cannot be "
        "the column's default; rows that the previous release inserts would have no value, and "
        "NOT NULL would refuse them",
        id="no-default",
        hint="give the column a default of its own (ALTER COLUMN, SET DEFAULT), or let the field "
        "be null=True for one release",
        table=spec.label,
        column=spec.column,
    )


def require_no_obstacle(
    obstacles: Obstacles, state: State, spec: ColumnSpec, options: SeedOptions
) -> None:
    """Raise RefusedError where the UPDATE of the rows would set something off or be refused."""
    _require_triggers(obstacles, state, spec, options)
    if obstacles.rules:
        off = [each.switched("DISABLE") for each in obstacles.rules]
        on = [each.switched(each.enable) for each in obstacles.rules]
        raise RefusedError(
            f"rules of {spec.label} rewrite an UPDATE: "
            + ", ".join(each.name for each in obstacles.rules),
            id="update-rules",
            hint="replace them by triggers, or disable them for the duration of the seed and "
            "enable them again afterwards, even if it fails",
            steps=(
                *(statement(each, risk="no UPDATE is rewritten meanwhile") for each in off),
                command(options.again),
                *map(statement, on),
            ),
            table=spec.label,
        )
    if obstacles.secured:
        raise RefusedError(
            f"row-level security hides rows of {', '.join(obstacles.secured)} from this role, "
            "even though it is the owner (FORCE ROW LEVEL SECURITY)",
            id="missing-privilege",
            hint="name the alias of a role with BYPASSRLS with --database",
            table=spec.label,
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
            table=spec.label,
        )
    if obstacles.checks:
        raise _not_updatable(obstacles, spec, options.again)


def _not_updatable(obstacles: Obstacles, spec: ColumnSpec, again: str) -> RefusedError:
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
        f"rows of {spec.label} violate a check that was never validated, so PostgreSQL "
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
        table=spec.label,
    )


def _require_triggers(
    obstacles: Obstacles, state: State, spec: ColumnSpec, options: SeedOptions
) -> None:
    triggers, base = options.triggers, options.again.removesuffix(f" --triggers {options.triggers}")
    fire = command(f"{base} --triggers fire", risk="they fire for every row")
    if triggers == "refuse" and obstacles.triggers:
        skip = command(f"{base} --triggers skip", risk="they do nothing here", alternative=2)
        raise RefusedError(
            f"UPDATE triggers of {spec.label} would fire for every row that is filled: "
            f"{', '.join(obstacles.triggers)}",
            id="update-triggers",
            hint="decide whether they do harm if they fire for every row"
            + (", or if they do not fire" if obstacles.may_skip else ""),
            steps=(fire, skip) if obstacles.may_skip else (fire,),
            table=spec.label,
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
                table=spec.label,
            )
        if obstacles.stubborn:
            raise RefusedError(
                f"triggers of {spec.label} fire even with --triggers skip (ENABLE ALWAYS or "
                f"REPLICA): {', '.join(obstacles.stubborn)}",
                id="update-triggers",
                hint="decide whether they do harm if they fire for every row",
                steps=(fire,),
                table=spec.label,
            )
