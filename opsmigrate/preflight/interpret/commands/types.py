"""Enums, domains and composite types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import SHARE
from opsmigrate.postgres.names import LONGEST_NAME, as_stored
from opsmigrate.preflight.interpret.coercion import is_pseudo, user_type_of
from opsmigrate.preflight.interpret.commands.row_values import look_at_condition
from opsmigrate.preflight.interpret.dropping import drop
from opsmigrate.preflight.interpret.effects import Question, UnknownError
from opsmigrate.preflight.interpret.expression_types import Place, coerced, typed
from opsmigrate.preflight.interpret.lookup import find_type, home_of, visible_type
from opsmigrate.preflight.interpret.named import name_parts, user_type_named
from opsmigrate.preflight.interpret.queries import need_of_functions
from opsmigrate.preflight.interpret.renaming_types import with_expressions
from opsmigrate.preflight.interpret.rewriting import column_of, column_of_row_type
from opsmigrate.preflight.interpret.schema import TEMPORARY, Column, Relation, Type
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.preflight.interpret.thing import Thing
from opsmigrate.sql.expressions import deparse, parse_expression
from opsmigrate.sql.names import Name, chosen_name, range_name
from opsmigrate.sql.nodes import label
from opsmigrate.sql.renamed import with_label
from opsmigrate.sql.types import user_type, without_modifier

# From this server on, at the latest, a domain is not NOT NULL twice.
REDUNDANT = 180_000
# What a domain may have, besides CHECK.
OF_DOMAINS = ("CONSTR_NOTNULL", "CONSTR_NULL", "CONSTR_DEFAULT", "CONSTR_CHECK")
# Not both, or not twice.
CONFLICTS = {
    "CONSTR_NOTNULL": "CONSTR_NULL",
    "CONSTR_NULL": "CONSTR_NOTNULL",
    "CONSTR_DEFAULT": "CONSTR_DEFAULT",
}
ATTRIBUTES = (
    "CONSTR_ATTR_DEFERRABLE",
    "CONSTR_ATTR_NOT_DEFERRABLE",
    "CONSTR_ATTR_DEFERRED",
    "CONSTR_ATTR_IMMEDIATE",
    "CONSTR_ATTR_ENFORCED",
    "CONSTR_ATTR_NOT_ENFORCED",
)


def create_enum(step: Step, node: Any) -> None:
    """CREATE TYPE … AS ENUM."""
    name = _new_name(step, name_parts(node.type_name))
    labels = tuple(each.string.sval for each in node.vals)
    for each in labels:
        _fits(step, each)
    if len(set(labels)) < len(labels):
        raise UnknownError("an enum with a label twice")
    _add(step, Type(name=name, kind="e", owner=step.schema.role, labels=labels))


def _new_name(step: Step, parts: tuple[str, ...]) -> Name:
    if len(parts) > 1 and parts[-2].startswith("pg_"):
        step.effects.need("CREATE", "schema", (parts[-2],))
        raise UnknownError("a type in a schema of PostgreSQL's own")
    home = step.schema.home(parts[-2] if len(parts) > 1 else None)
    if home is None:
        step.refuse("3F000", "missing-schema", name=parts[0])
    name = Name(home, parts[-1])
    step.effects.need("CREATE", "schema", (home,))
    if visible_type(step.schema, home, name.name) is not None:
        step.refuse("42710", "name-taken", name=name.name)
    return name


def _add(step: Step, made: Type) -> None:
    step.schema = replace(step.schema, types={**step.schema.types, made.name: made})


def _fits(step: Step, text: str) -> None:
    if len(text.encode()) > LONGEST_NAME:
        step.refuse("42602", "label-too-long", name=text)


def alter_enum(step: Step, node: Any) -> None:
    """ALTER TYPE … ADD VALUE, RENAME VALUE."""
    name = user_type_named(step, node.type_name)
    own = step.schema.types.get(name)
    if own is None or own.kind != "e":
        step.refuse("42809", "wrong-kind", name=name.name)
    step.effects.need("OWNER", "type", name)
    _fits(step, node.new_val)
    labels = list(own.labels)
    if node.old_val:
        if node.old_val not in labels:
            step.refuse("22023", "missing-label", name=node.old_val)
        if node.new_val in labels:
            step.refuse("42710", "name-taken", name=node.new_val)
        labels[labels.index(node.old_val)] = node.new_val
        _label_in_expressions(step, name, (node.old_val, node.new_val))
    elif node.new_val in labels:
        if not node.skip_if_new_val_exists:
            step.refuse("42710", "name-taken", name=node.new_val)
    else:
        labels.insert(_place(step, labels, node), node.new_val)
    _add(step, replace(own, labels=tuple(labels)))


def _label_in_expressions(step: Step, name: Name, pair: tuple[str, str]) -> None:
    relations = {
        key: with_expressions(table, lambda text: with_label(text, name.name, pair))
        if any(name.name in column.type for column in table.columns.values())
        else table
        for key, table in step.schema.relations.items()
    }
    step.schema = replace(step.schema, relations=relations)


def _place(step: Step, labels: list[str], node: Any) -> int:
    if not node.new_val_neighbor:
        return len(labels)
    if node.new_val_neighbor not in labels:
        step.refuse("22023", "missing-label", name=node.new_val_neighbor)
    return labels.index(node.new_val_neighbor) + bool(node.new_val_is_after)


def create_domain(step: Step, node: Any) -> None:
    """CREATE DOMAIN."""
    name = _new_name(step, name_parts(node.domainname))
    base = find_type(step.schema, node.type_name)
    if node.HasField("coll_clause"):
        raise UnknownError("a domain with a collation")
    if base.startswith(f"{TEMPORARY}."):
        raise UnknownError("a domain on a temporary type")
    if is_pseudo(base):
        step.refuse("42804", "pseudo-type", name=base)
    # A domain on a domain has its default (DefineDomain).
    below = user_type_of(step.schema, base)
    default = below.default if below is not None else None
    made = Type(name=name, kind="d", owner=step.schema.role, base=base, default=default)
    made = _without_checks(step, made, [each.constraint for each in node.constraints])
    for each in node.constraints:
        if label(each.constraint, "contype") == "CONSTR_CHECK":
            made = _with_check(step, made, each.constraint)
    _add(step, made)


def _without_checks(step: Step, domain: Type, nodes: list[Any]) -> Type:
    """Return the domain with its default and NOT NULL; refuse what is said twice, or no domain's.

    Its checks are looked at later (DefineDomain).
    """
    said: set[str] = set()
    for node in nodes:
        kind = label(node, "contype")
        if kind in ATTRIBUTES:
            step.refuse("0A000", "no-such-constraint")
        if kind not in OF_DOMAINS or CONFLICTS.get(kind) in said:
            step.refuse("42601", "no-such-constraint")
        if kind == "CONSTR_NOTNULL" and kind in said:
            _require_once(step)
        said.add(kind)
        if kind == "CONSTR_NOTNULL":
            domain = replace(domain, not_null=True)
        elif kind == "CONSTR_DEFAULT":
            domain = replace(domain, default=_default_of(step, domain, node.raw_expr))
    return domain


def _require_once(step: Step) -> None:
    """Refuse a second NOT NULL, as servers do that have it as a constraint with a name."""
    if step.schema.version >= REDUNDANT:
        step.refuse("42P17", "not-null-twice")
    raise UnknownError("a domain that is NOT NULL twice")


def _with_check(step: Step, domain: Type, node: Any) -> Type:
    name = as_stored(node.conname) if node.conname else _chosen(step, domain)
    if name in domain.checks:
        step.refuse("42710", "name-taken", name=name)
    # The value is no column of a table: none of the system's is there either.
    value = Column(name="value", number=1, type=domain.base or "")
    alone = Relation(name=Name("", ""), kind="c", columns={"value": value})
    look_at_condition(step, alone, node.raw_expr)
    check = (deparse(node.raw_expr), not node.skip_validation)
    return replace(domain, checks={**domain.checks, name: check})


def _chosen(step: Step, domain: Type) -> str:
    home = domain.name.schema
    taken = set(domain.checks)
    for table in step.schema.relations.values():
        if table.name.schema == home:
            taken |= table.constraints.keys()
    for each in step.schema.types.values():
        if each.name.schema == home:
            taken |= each.checks.keys()
    return chosen_name(domain.name.name, "", "check", lambda name: name in taken)


def alter_domain(step: Step, node: Any) -> None:
    """ALTER DOMAIN: what concerns the values, is asked of all columns that are of it."""
    name = user_type_named(step, node.type_name)
    own = step.schema.types.get(name)
    if own is None or own.kind != "d":
        step.refuse("42809", "wrong-kind", name=name.name)
    step.effects.need("OWNER", "type", name)
    _DOMAIN[node.subtype](step, own, node)


def _default(step: Step, own: Type, node: Any) -> None:
    definition = getattr(node, "def")
    text = _default_of(step, own, definition) if node.HasField("def") else None
    _add(step, replace(own, default=text))


def _default_of(step: Step, domain: Type, node: Any) -> str | None:
    """Return the default; NULL is none, but where something is forced on it (AlterDomainDefault).

    That is a length, or another domain.
    """
    place = Place(schema=step.schema, table=None, word="default")
    try:
        if coerced(place, typed(place, node), domain.base or "", "a") is None:
            step.refuse("42804", "default-of-another-type", name=domain.name.name)
    except UnknownError:
        step.effects.unread = True
    is_null = node.HasField("a_const") and node.a_const.isnull
    plain = "(" not in (domain.base or "") and user_type_of(step.schema, domain.base or "") is None
    return None if is_null and plain else deparse(node)


def _drop_not_null(step: Step, own: Type, node: Any) -> None:
    _add(step, replace(own, not_null=False))


def _set_not_null(step: Step, own: Type, node: Any) -> None:
    if not own.not_null:
        _ask(step, own, "23502", None)
    _add(step, replace(own, not_null=True))


def _add_constraint(step: Step, own: Type, node: Any) -> None:
    constraint = getattr(node, "def").constraint
    if label(constraint, "contype") == "CONSTR_NOTNULL":
        _set_not_null(step, own, node)
        return
    changed = _with_check(step, own, constraint)
    if not constraint.skip_validation:
        _ask(step, own, "23514", deparse(constraint.raw_expr))
    _add(step, changed)


def _drop_constraint(step: Step, own: Type, node: Any) -> None:
    name = as_stored(node.name)
    if name not in own.checks:
        if not node.missing_ok:
            raise UnknownError("a constraint of a domain that may be its NOT NULL")
        return
    cascade = label(node, "behavior") == "DROP_CASCADE"
    drop(step, [Thing("domain constraint", own.name, name)], cascade=cascade)


def _validate(step: Step, own: Type, node: Any) -> None:
    name = as_stored(node.name)
    if name not in own.checks:
        step.refuse("42704", "missing-constraint", name=name)
    condition, _ = own.checks[name]
    _ask(step, own, "23514", condition)
    _add(step, replace(own, checks={**own.checks, name: (condition, True)}))


def _ask(step: Step, own: Type, sqlstate: str, condition: str | None) -> None:
    """Have every column of the domain, or of a domain on it, read (get_rels_with_domain)."""
    need_of_functions(step, parse_expression(condition or "true"))
    names, size = {own.name}, 0
    while size < len(names):
        size = len(names)
        shown = {user_type(name) for name in names}
        names |= {
            each.name
            for each in step.schema.types.values()
            if each.base is not None and without_modifier(each.base) in shown
        }
    shown = {user_type(name) for name in names}
    for each in shown:
        holder = column_of(step.schema, each, arrays_only=True)
        if holder is not None:
            step.refuse("0A000", "used-in-another-type", name=own.name.name, holder=holder[1])
    for table in step.schema.relations.values():
        columns = tuple(
            each.name for each in table.columns.values() if without_modifier(each.type) in shown
        )
        if not columns:
            continue
        holder = column_of_row_type(step.schema, table.name)
        if holder is not None:
            step.refuse("0A000", "used-in-another-type", name=own.name.name, holder=holder[1])
        if table.kind not in "rm":
            continue
        if table.name in step.schema.tainted:
            # Whether the domain is changed is not known then either.
            raise UnknownError(f"something unknown was done to {table.name}")
        step.effects.lock(table.name, SHARE)
        step.effects.scans.add(table.name)
        step.effects.questions.append(
            Question(
                sqlstate=sqlstate,
                kind="domain",
                relation=table.name,
                columns=columns,
                expression=condition,
            )
        )


_DOMAIN: Mapping[str, Callable[[Step, Type, Any], None]] = {
    "T": _default,
    "N": _drop_not_null,
    "O": _set_not_null,
    "C": _add_constraint,
    "X": _drop_constraint,
    "V": _validate,
}


def create_composite(step: Step, node: Any) -> None:
    """CREATE TYPE … AS (…)."""
    home = home_of(step, node.typevar)
    name = _new_name(step, (home, range_name(node.typevar)[1]))
    made = Relation(name=name, kind="c", owner=step.schema.role)
    for number, each in enumerate(node.coldeflist, 1):
        column = each.column_def
        if column.HasField("coll_clause"):
            raise UnknownError("an attribute with a collation")
        own = as_stored(column.colname)
        if own in made.columns:
            step.refuse("42701", "column-twice", name=own)
        type_ = find_type(step.schema, column.type_name)
        if is_pseudo(type_):
            step.refuse("42P16", "pseudo-type", name=type_)
        made = made.with_column(Column(name=own, number=number, type=type_))
    # The attributes are looked at before the name of the relation (DefineRelation).
    if step.schema.is_taken(name):
        step.refuse("42P07", "name-taken", relation=name)
    step.put(made)


COMMANDS: Mapping[str, Command] = {
    "create_enum_stmt": create_enum,
    "alter_enum_stmt": alter_enum,
    "create_domain_stmt": create_domain,
    "alter_domain_stmt": alter_domain,
    "composite_type_stmt": create_composite,
}
