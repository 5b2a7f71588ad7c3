"""ALTER … RENAME and ALTER … SET SCHEMA, of everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret import renaming, renaming_types
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS, is_of_system
from opsmigrate.preflight.interpret.commands.objects import need_of_another_name
from opsmigrate.preflight.interpret.dependents import owning_constraint
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.inheritance import children_of, descendants_of
from opsmigrate.preflight.interpret.lookup import (
    find_name,
    find_relation,
    relation_of,
    visible_type,
)
from opsmigrate.preflight.interpret.made_names import constraint_named, has_constraint
from opsmigrate.preflight.interpret.named import (
    DOMAIN,
    ROUTINES,
    require_no_rows,
    routine_named,
    type_named,
)
from opsmigrate.preflight.interpret.schema import Relation, Signature, Trigger
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label
from opsmigrate.sql.renamed import has_subquery
from opsmigrate.sql.types import user_type

# What each word renames; ALTER TABLE and ALTER INDEX take any (RenameRelation).
KINDS = {
    "OBJECT_TABLE": "rpvmSf",
    "OBJECT_INDEX": "rpvmSf",
    "OBJECT_VIEW": "v",
    "OBJECT_MATVIEW": "m",
    "OBJECT_SEQUENCE": "S",
    "OBJECT_FOREIGN_TABLE": "f",
}
WITH_TRIGGERS = "rpvf"
WITH_COLUMNS = "rpvmfc"
CHILDREN_RENAMED_WITH_TRIGGERS = 150_000
# From this server on, a trigger may be given the name that it has.
TAKES_ITS_OWN_NAME = 150_000
# Before, it was an internal error.
SAYS_WHY = 180_000


def rename(step: Step, node: Any) -> None:
    """Do what `node`, a RenameStmt, says."""
    kind = label(node, "rename_type")
    rule = RENAMES.get(kind)
    if rule is None:
        need_of_another_name(step, kind, node.object)
        raise UnknownError(f"RENAME of {kind} is not interpreted", rights_told=True)
    rule(step, node, as_stored(node.newname))


def _relation(step: Step, node: Any, new: str) -> None:
    word = label(node, "rename_type")
    found = find_name(step, node.relation)
    if found is not None and (owner := step.schema.table_of_index(found)) is not None:
        if word not in ("OBJECT_TABLE", "OBJECT_INDEX"):
            step.refuse("42809", "wrong-kind", relation=found)
        _index(step, owner, found, new)
        if word == "OBJECT_TABLE":
            step.effects.lock(found, ACCESS_EXCLUSIVE)
        return
    table = find_relation(step, node.relation, missing_ok=node.missing_ok)
    if table is None:
        return
    if table.kind not in KINDS[word]:
        step.refuse("42809", "wrong-kind", relation=table.name)
    step.effects.lock(table.name, ACCESS_EXCLUSIVE)
    step.effects.need("OWNER", "relation", table.name)
    step.effects.need("CREATE", "schema", (table.name.schema,))
    relation_anew(step, table, Name(table.name.schema, new))


def relation_anew(step: Step, table: Relation, name: Name) -> None:
    """Let a relation be called so, or be in that schema; refuse where the name is taken."""
    if step.schema.is_taken(name):
        step.refuse("42P07", "name-taken", relation=table.name, name=name.name)
    if table.kind != "S" and name in step.schema.types:
        step.refuse("42710", "name-taken", relation=table.name, name=name.name)
    step.schema = renaming.rename_relation(step.schema, table.name, name)


def _index(step: Step, table: Relation, found: Name, new: str) -> None:
    step.known(table.name)
    step.effects.lock(found, SHARE_UPDATE_EXCLUSIVE)
    step.effects.need("OWNER", "relation", table.name)
    step.effects.need("CREATE", "schema", (table.name.schema,))
    if step.schema.is_taken(Name(found.schema, new)):
        step.refuse("42P07", "name-taken", relation=table.name, name=new)
    own = owning_constraint(table, found.name)
    pair = (found.name, new)
    step.schema = renaming.rename_part(step.schema, "index", table.name, pair)
    if own is not None:
        if own.name != new and new in table.constraints:
            step.refuse("42710", "name-taken", relation=table.name, name=new)
        renamed = (own.name, new)
        step.schema = renaming.rename_part(step.schema, "constraint", table.name, renamed)


def _column(step: Step, node: Any, new: str) -> None:
    found = find_name(step, node.relation)
    if found is not None and (owner := step.schema.table_of_index(found)) is not None:
        raise UnknownError("a column of an index", owner.name)
    table = find_relation(step, node.relation, missing_ok=node.missing_ok)
    if table is None:
        return
    _kind_for_column(step, table)
    old = as_stored(node.subname)
    if table.of_type is not None:
        step.refuse("42809", "typed-table", relation=table.name)
    for each in _typed_tables(step, node, table.name):
        _column_with_family(step, each, (old, new))
    if not node.relation.inh and children_of(step.schema, table.name):
        step.refuse("42P16", "inherited-by-others", relation=table.name, column=old)
    _column_with_family(step, table.name, (old, new))


def _typed_tables(step: Step, node: Any, type_: Name) -> tuple[Name, ...]:
    """Return the tables OF a type, whose columns are called as its attributes are."""
    found = tuple(each.name for each in step.schema.relations.values() if each.of_type == type_)
    if found and label(node, "behavior") != "DROP_CASCADE":
        step.refuse("2BP01", "used-by-another", relation=type_, holder=str(found[0]))
    return found


def _column_with_family(step: Step, table: Name, pair: tuple[str, str]) -> None:
    family = (table, *descendants_of(step.schema, table))
    for each in family:
        step.effects.lock(each, ACCESS_EXCLUSIVE)
        step.effects.need("OWNER", "relation", each)
    # From below to above, as renameatt_internal() comes back from its children.
    for each in (*family[1:], table):
        _column_of(step, step.known(each), pair, within=family)


def _kind_for_column(step: Step, table: Relation) -> None:
    # Whatever the word is: ALTER VIEW and ALTER TYPE do it for a table (renameatt_check).
    if table.kind not in WITH_COLUMNS:
        step.refuse("42809", "wrong-kind", relation=table.name)


def _column_of(
    step: Step, table: Relation, pair: tuple[str, str], *, within: tuple[Name, ...]
) -> None:
    old, new = pair
    own = table.columns.get(old)
    if own is None:
        state = "0A000" if is_of_system(table, old) else "42703"
        step.refuse(state, "missing-column", relation=table.name, column=old)
    if own.parents > sum(parent in within for parent in table.parents):
        step.refuse("42P16", "inherited", relation=table.name, column=old)
    if new in table.columns or new in SYSTEM_COLUMNS:
        step.refuse("42701", "name-taken", relation=table.name, column=new)
    for policy in table.policies.values():
        for text in (policy.using, policy.check):
            if text is not None and old in text and has_subquery(text):
                raise UnknownError("a policy with a subquery", table.name)
    step.schema = renaming.rename_column(step.schema, table.name, old, new)


def _constraint(step: Step, node: Any, new: str) -> None:
    table = find_relation(step, node.relation, missing_ok=node.missing_ok)
    if table is None:
        return
    if table.kind not in WITH_COLUMNS:
        step.refuse("42809", "wrong-kind", relation=table.name)
    old = as_stored(node.subname)
    step.effects.need("OWNER", "relation", table.name)
    own = constraint_named(table, old)
    if own is None:
        step.refuse("42704", "missing-constraint", relation=table.name, name=old)
    children = children_of(step.schema, table.name)
    if own.kind not in "cn" or own.no_inherit:
        family: tuple[Name, ...] = (table.name,)
    elif node.relation.inh:
        family = (*descendants_of(step.schema, table.name), table.name)
    elif children:
        step.refuse("42P16", "inherited-by-others", relation=table.name, name=old)
    else:
        family = (table.name,)
    for each in family:
        step.effects.lock(each, ACCESS_EXCLUSIVE)
        step.effects.need("OWNER", "relation", each)
        _constraint_of(step, step.known(each), (old, new), within=family)


def _constraint_of(
    step: Step, table: Relation, pair: tuple[str, str], *, within: tuple[Name, ...]
) -> None:
    old, new = pair
    own = table.constraints.get(old)
    if own is None:
        raise UnknownError("a constraint that is called otherwise in a child", table.name)
    above = sum(parent in within for parent in table.parents)
    if own.kind in "cn" and own.parents > above:
        step.refuse("42P16", "inherited", relation=table.name, name=old)
    if own.kind in "pux" and own.index is not None:
        if step.schema.is_taken(Name(table.name.schema, new)):
            step.refuse("42P07", "name-taken", relation=table.name, name=new)
        renamed = (own.index, new)
        step.schema = renaming.rename_part(step.schema, "index", table.name, renamed)
    if has_constraint(table, new):
        step.refuse("42710", "name-taken", relation=table.name, name=new)
    step.schema = renaming.rename_part(step.schema, "constraint", table.name, pair)


def _part(kind: str, field: str) -> Callable[[Step, Any, str], None]:
    def rule(step: Step, node: Any, new: str) -> None:
        # IF EXISTS of a policy is taken, and not looked at (rename_policy).
        table = relation_of(step, node.relation)
        if kind == "trigger" and table.kind not in WITH_TRIGGERS:
            step.refuse("42809", "wrong-kind", relation=table.name)
        old = as_stored(node.subname)
        step.effects.lock(table.name, ACCESS_EXCLUSIVE)
        step.effects.need("OWNER", "relation", table.name)
        parts = getattr(table, field)
        if kind == "trigger" and old in parts:
            _require_own(step, table, parts[old])
        if old not in parts:
            step.refuse("42704", f"missing-{kind}", relation=table.name, name=old)
        same = new == old and kind == "trigger" and step.schema.version >= TAKES_ITS_OWN_NAME
        if new in parts and not same:
            step.refuse("42710", "name-taken", relation=table.name, name=new)
        step.schema = renaming.rename_part(step.schema, kind, table.name, (old, new))
        if kind == "trigger" and step.schema.version >= CHILDREN_RENAMED_WITH_TRIGGERS:
            # Whether or not they have it from there.
            for each in descendants_of(step.schema, table.name) if table.kind == "p" else ():
                step.effects.lock(each, ACCESS_EXCLUSIVE)
            _copies(step, table.name, (old, new))

    return rule


def _require_own(step: Step, table: Relation, trigger: Trigger) -> None:
    if step.schema.version >= CHILDREN_RENAMED_WITH_TRIGGERS and trigger.parent is not None:
        state = "0A000" if step.schema.version >= SAYS_WHY else "XX000"
        step.refuse(state, "of-the-parent", relation=table.name, name=trigger.name)


def _copies(step: Step, table: Name, pair: tuple[str, str]) -> None:
    """Rename the triggers of partitions with that of the partitioned table."""
    for child in children_of(step.schema, table):
        own = step.known(child).triggers.get(pair[0])
        if own is not None and own.parent == table:
            if pair[0] != pair[1] and pair[1] in step.known(child).triggers:
                step.refuse("42710", "name-taken", relation=child, name=pair[1])
            step.schema = renaming.rename_part(step.schema, "trigger", child, pair)
            _copies(step, child, pair)


def _type(step: Step, node: Any, new: str) -> None:
    found = type_named(step, label(node, "rename_type"), node.object.list.items)
    require_no_rows(step, found)
    type_anew(step, found, Name(found.schema, new))


def type_anew(step: Step, found: Name, name: Name) -> None:
    """Let a type be called so, or be in that schema; refuse where the name is taken."""
    table = step.schema.with_rows(found)
    step.effects.need("OWNER", "type", found)
    if table is not None:
        if name.schema == found.schema:
            step.effects.lock(found, ACCESS_EXCLUSIVE)
        relation_anew(step, table, name)
        return
    step.effects.need("CREATE", "schema", (found.schema,))
    if visible_type(step.schema, name.schema, name.name) is not None:
        step.refuse("42710", "name-taken", name=name.name)
    step.schema = renaming_types.rename_type(step.schema, found, name)


def _domain_constraint(step: Step, node: Any, new: str) -> None:
    found = type_named(step, DOMAIN, node.object.list.items)
    domain, old = step.schema.types[found], as_stored(node.subname)
    step.effects.need("OWNER", "type", found)
    if old not in domain.checks:
        raise UnknownError("a constraint of a domain that may be its NOT NULL")
    if new in domain.checks:
        step.refuse("42710", "name-taken", name=new)
    checks = {(new if name == old else name): each for name, each in domain.checks.items()}
    types = {**step.schema.types, found: replace(domain, checks=checks)}
    step.schema = replace(step.schema, types=types)


def _function(step: Step, node: Any, new: str) -> None:
    found = routine_named(step, label(node, "rename_type"), node.object.object_with_args)
    function_anew(step, found, Name(found.name.schema, new))


def function_anew(step: Step, found: Signature, name: Name) -> None:
    """Let a routine be called so, or be in that schema; refuse where the name is taken."""
    step.effects.need("OWNER", "function", (*found.name, *found.arguments))
    step.effects.need("CREATE", "schema", (name.schema,))
    if found._replace(name=name) in step.schema.functions:
        step.refuse("42723", "name-taken", name=name.name)
    if sum(each.name == found.name for each in step.schema.functions) > 1:
        raise UnknownError("a function with another of the same name")
    step.schema = renaming_types.rename_function(step.schema, found, name)


def _schema(step: Step, node: Any, new: str) -> None:
    old = as_stored(node.subname)
    if old not in step.schema.schemas:
        step.refuse("3F000", "missing-schema", name=old)
    step.effects.need("OWNER", "schema", (old,))
    step.effects.need("CREATE", "database", ())
    if new in step.schema.schemas:
        step.refuse("42P06", "name-taken", name=new)
    if new.startswith("pg_"):
        step.refuse("42939", "reserved-name", name=new)
    if old in step.schema.search_path or any(_mentions(each, old) for each in _texts(step)):
        raise UnknownError(f"the schema {old} is named in expressions or in search_path")
    step.schema = renaming.rename_schema(step.schema, old, new)


def _mentions(text: str, schema: str) -> bool:
    return user_type(Name(schema, "x"))[:-1] in text


def _texts(step: Step) -> list[str]:
    found: list[str | None] = []
    for table in step.schema.relations.values():
        for column in table.columns.values():
            found += [column.type, column.default]
        found += [each.condition for each in table.constraints.values()]
        for index in table.indexes.values():
            found += [index.predicate, *(key.expression for key in index.keys)]
        for policy in table.policies.values():
            found += [policy.using, policy.check]
    for signature, function in step.schema.functions.items():
        found += [*signature.arguments, function.returns]
    for each in step.schema.types.values():
        found += [each.base, each.default, *(check for check, _ in each.checks.values())]
    return [each for each in found if each is not None]


Rename = Callable[[Step, Any, str], None]
RENAMES: Mapping[str, Rename] = {
    **dict.fromkeys(KINDS, _relation),
    **dict.fromkeys(ROUTINES, _function),
    "OBJECT_COLUMN": _column,
    "OBJECT_ATTRIBUTE": _column,
    "OBJECT_TABCONSTRAINT": _constraint,
    "OBJECT_TRIGGER": _part("trigger", "triggers"),
    "OBJECT_POLICY": _part("policy", "policies"),
    "OBJECT_RULE": _part("rule", "rules"),
    "OBJECT_TYPE": _type,
    DOMAIN: _type,
    "OBJECT_DOMCONSTRAINT": _domain_constraint,
    "OBJECT_SCHEMA": _schema,
}


COMMANDS: Mapping[str, Command] = {"rename_stmt": rename}
