"""A column as CREATE TABLE and ADD COLUMN define it: type, default, and its constraints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opsmigrate.postgres.names import as_stored, literal
from opsmigrate.preflight.interpret.coercion import base_type, has_domain_constraints, is_pseudo
from opsmigrate.preflight.interpret.collation import collation_of
from opsmigrate.preflight.interpret.commands.generated import require_generated
from opsmigrate.preflight.interpret.commands.storage import require_storage
from opsmigrate.preflight.interpret.effects import Right, UnknownError
from opsmigrate.preflight.interpret.expression_types import Place, Typed, coerced, typed
from opsmigrate.preflight.interpret.lookup import find_type
from opsmigrate.preflight.interpret.made_names import relation_name
from opsmigrate.preflight.interpret.schema import Column, Relation, SequenceFacts
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.grammar import deparse, quoted_if_needed
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label
from opsmigrate.sql.types import serial_type

KNOWS_NAMED_NOT_NULL = 180_000
INTEGERS = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
# What stands after a constraint and is about it: CONSTR_ATTR_… -> (field, value).
ATTRIBUTES: dict[str, tuple[tuple[str, bool], ...]] = {
    "CONSTR_ATTR_DEFERRABLE": (("deferrable", True),),
    "CONSTR_ATTR_NOT_DEFERRABLE": (("deferrable", False),),
    "CONSTR_ATTR_DEFERRED": (("deferrable", True), ("initdeferred", True)),
    "CONSTR_ATTR_IMMEDIATE": (("initdeferred", False),),
    "CONSTR_ATTR_ENFORCED": (("is_enforced", True),),
    "CONSTR_ATTR_NOT_ENFORCED": (
        ("is_enforced", False),
        ("skip_validation", True),
        ("initially_valid", False),
    ),
}
OWN = {"CONSTR_CHECK": "checks", "CONSTR_FOREIGN": "references"}
OWN |= {"CONSTR_PRIMARY": "keys", "CONSTR_UNIQUE": "keys"}


@dataclass(kw_only=True)
class Definition:
    """What a ColumnDef says; the constraints are the grammar's own, to be added one by one."""

    name: str
    type: str
    collation: Name | None = None
    serial: bool = False
    not_null: bool = False
    # The NOT NULL that was written, which may have a name.
    not_null_node: Any = None
    nullable: bool = False
    # A sequence or a primary key wants it of the descendants, too.
    inherits_not_null: bool = False
    default: Any = None
    generated: str = ""
    identity: str = ""
    options: Any = ()
    checks: list[Any] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)
    references: list[Any] = field(default_factory=list)


def read_definition(step: Step, node: Any) -> Definition:
    """Return what a ColumnDef says; refuse the statement where it contradicts itself."""
    serial = serial_type(node.type_name)
    if serial is not None and node.type_name.array_bounds:
        step.refuse("0A000", "serial-array", column=node.colname)
    type_ = serial or find_type(step.schema, node.type_name)
    found = Definition(name=as_stored(node.colname), type=type_, serial=serial is not None)
    require_type(step, type_)
    if node.HasField("coll_clause"):
        found.collation = collation_of(step, node.coll_clause, type_)
    require_storage(step, node, type_)
    if serial is not None:
        found.not_null = True
    constraints = _with_attributes(step, node.constraints)
    kinds = {label(each, "contype") for each in constraints}
    found.inherits_not_null = found.serial or bool(kinds & {"CONSTR_IDENTITY", "CONSTR_PRIMARY"})
    for each in constraints:
        _read_constraint(step, found, each)
    _require_one_value(step, found)
    return found


def require_type(step: Step, type_: str) -> None:
    """Refuse a pseudo-type; note that the type has to be usable."""
    if is_pseudo(type_):
        step.refuse("42P16", "pseudo-type", name=type_)
    if type_.count(".") == 1 and '"' not in type_ and "(" not in type_:
        schema, name = type_.removesuffix("[]").split(".")
        step.effects.rights.append(
            Right(privilege="USAGE", object_kind="type", name=(schema, name))
        )


def _with_attributes(step: Step, constraints: Any) -> list[Any]:
    """Return the constraints, each with what is said after it (transformConstraintAttrs)."""
    found: list[Any] = []
    # What was said of the last one: about what, and how.
    said: set[str] = set()
    for each in constraints:
        kind = label(each.constraint, "contype")
        if kind not in ATTRIBUTES:
            copy = type(each.constraint)()
            copy.CopyFrom(each.constraint)
            found.append(copy)
            said = set()
            continue
        last = label(found[-1], "contype") if found else ""
        deferrable = last in ("CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_FOREIGN")
        enforceable = last in ("CONSTR_CHECK", "CONSTR_FOREIGN")
        if not (enforceable if "ENFORCED" in kind else deferrable):
            step.refuse("42601", "misplaced-attribute")
        about = next(word for word in ("ENFORCED", "DEFERRABLE", "") if word in kind)
        if about in said or (
            kind == "CONSTR_ATTR_DEFERRED" and "CONSTR_ATTR_NOT_DEFERRABLE" in said
        ):
            step.refuse("42601", "attribute-twice")
        if kind == "CONSTR_ATTR_NOT_DEFERRABLE" and found[-1].initdeferred:
            step.refuse("42601", "deferred-not-deferrable")
        said |= {about, kind}
        for name, value in ATTRIBUTES[kind]:
            setattr(found[-1], name, value)
    return found


def _read_constraint(step: Step, found: Definition, node: Any) -> None:
    kind = label(node, "contype")
    if kind in OWN:
        getattr(found, OWN[kind]).append(node)
        found.not_null = found.not_null or kind == "CONSTR_PRIMARY"
    elif kind in ("CONSTR_NULL", "CONSTR_NOTNULL"):
        _read_null(step, found, node, not_null=kind == "CONSTR_NOTNULL")
    elif kind == "CONSTR_IDENTITY":
        _read_identity(step, found, node)
    else:
        _read_value(step, found, node)


def _read_identity(step: Step, found: Definition, node: Any) -> None:
    if found.identity:
        step.refuse("42601", "two-identities", column=found.name)
    found.identity, found.options = node.generated_when, node.options
    if found.nullable:
        step.refuse("42601", "null-and-not-null", column=found.name)
    found.not_null = True


def _read_value(step: Step, found: Definition, node: Any) -> None:
    """DEFAULT, or GENERATED ALWAYS AS: a column has one of either."""
    if found.default is not None:
        step.refuse("42601", "two-values", column=found.name)
    found.generated, found.default = node.generated_kind, node.raw_expr


def _read_null(step: Step, found: Definition, node: Any, *, not_null: bool) -> None:
    explicit = found.not_null_node is not None or found.serial or found.identity
    if (not_null and found.nullable) or (not not_null and explicit):
        step.refuse("42601", "null-and-not-null", column=found.name)
    if not not_null:
        found.nullable = True
        return
    known = found.not_null_node
    if node.is_no_inherit and found.inherits_not_null:
        step.refuse("42601", "no-inherit", column=found.name)
    if known is not None and step.schema.version >= KNOWS_NAMED_NOT_NULL:
        if node.conname and known.conname not in ("", node.conname):
            # An internal error.
            step.refuse("XX000", "two-not-nulls", column=found.name)
        if node.is_no_inherit != known.is_no_inherit:
            step.refuse("42601", "no-inherit", column=found.name)
    if known is None or node.conname:
        found.not_null_node = node
    found.not_null = True


def _require_one_value(step: Step, found: Definition) -> None:
    plain = found.default is not None and not found.generated
    for pair, kind in (
        ((plain or found.serial, found.identity), "default-and-identity"),
        ((plain or found.serial, found.generated), "default-and-generation"),
        ((found.identity, found.generated), "identity-and-generation"),
    ):
        if all(pair):
            step.refuse("42601", kind, column=found.name)
    if found.serial and plain:
        step.refuse("42601", "two-defaults", column=found.name)


def default_of(step: Step, table: Relation, column: Column, node: Any) -> Typed:
    """Return the default as a value of the column; refuse what the server does not take as one.

    For a generated column, its expression.
    """
    if column.generated:
        return require_generated(step, table, column, node)
    place = Place(schema=step.schema, table=None, word="default")
    found = coerced(place, typed(place, node), column.type, "a")
    if found is None:
        step.refuse("42804", "default-of-another-type", relation=table.name, column=column.name)
    return found


# Before, those of unlogged tables were logged.
UNLOGGED_SEQUENCES = 150_000


def make_sequence(step: Step, table: Relation, definition: Definition, owner: str) -> Relation:
    """Make the sequence of a serial or identity column, which refers to it; return it."""
    base = base_type(step.schema, definition.type)
    if definition.identity and definition.type not in INTEGERS:
        step.refuse("22023", "identity-of-another-type", column=definition.name)
    name = relation_name(step.schema, table.name, definition.name, "seq")
    try:
        options = definition.options
        facts = sequence_facts(step, base, options)
    except UnknownError as error:
        made = Name(table.name.schema, name)
        raise UnknownError(error.unknown.why, table.name, made, *_named(step, options)) from error
    sequence = Relation(
        name=Name(table.name.schema, name),
        kind="S",
        owner=owner,
        persistence=table.persistence if step.schema.version >= UNLOGGED_SEQUENCES else "p",
        sequence=facts,
    )
    step.effects.need("CREATE", "schema", (table.name.schema,))
    step.put(sequence)
    return sequence


def _named(step: Step, options: Any) -> list[Name]:
    """Return what SEQUENCE NAME says the sequence of an identity column is called."""
    found = []
    for each in options:
        if each.def_elem.defname == "sequence_name":
            parts = [as_stored(part.string.sval) for part in each.def_elem.arg.list.items]
            home = step.schema.home(parts[0] if len(parts) > 1 else None)
            found.append(Name(home or "", parts[-1]))
    return found


def sequence_facts(step: Step, type_: str, options: Any) -> SequenceFacts:
    """Return the sequence that a serial or identity column gets."""
    given = {each.def_elem.defname: each.def_elem for each in options}
    if given.keys() - {"start", "increment", "cache", "cycle"}:
        raise UnknownError("the options of an identity's sequence")
    number = {
        name: _number(each)
        for name, each in given.items()
        if name in ("start", "increment", "cache")
    }
    increment = number.get("increment", 1)
    if increment <= 0:
        raise UnknownError("a sequence that goes down")
    most = INTEGERS[type_]
    start = number.get("start", 1)
    if not 1 <= start <= most:
        step.refuse("22023", "start-out-of-range")
    return SequenceFacts(
        type=type_,
        maximum=most,
        start=start,
        increment=increment,
        cache=number.get("cache", 1),
        cycle="cycle" in given and given["cycle"].arg.boolean.boolval,
    )


def _number(option: Any) -> int:
    if option.arg.WhichOneof("node") == "integer":
        return int(option.arg.integer.ival)
    return int(option.arg.float.fval)


def next_value(sequence: Name) -> str:
    """Return the default of a serial column, as PostgreSQL writes it."""
    shown = ".".join(quoted_if_needed(each) for each in sequence)
    return f"nextval({literal(shown)}::regclass)"


def column_of(step: Step, definition: Definition, number: int) -> Column:
    """Return the column without its default, which is asked for when the table is there."""
    return Column(
        name=definition.name,
        number=number,
        type=definition.type,
        not_null=definition.not_null,
        identity=definition.identity,
        generated=definition.generated,
        collation=definition.collation,
    )


def is_filled_anew(step: Step, type_: str, value: Typed | None) -> bool:
    """Return whether each row gets the value by itself: then the table is written anew."""
    if has_domain_constraints(step.schema, type_):
        return True
    return value is not None and value.settled() == "v"


def sql_of(node: Any) -> str:
    """Return an expression as SQL."""
    return deparse(node)
