"""A schema as a value: interpreting a statement makes the next one, and leaves this as it is.

Names are never display text: a relation is found by (schema, name). Expressions are SQL; they are
compared by opsmigrate/sql/expressions.py, never as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from opsmigrate.preflight.interpret.system import System
from opsmigrate.preflight.interpret.thing import Dependency, Thing
from opsmigrate.sql.names import Name

# The session's own schema, in which relations and types are looked up first.
TEMPORARY = "pg_temp"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column; `number` is pg_attribute.attnum, `type` is as format_type() writes it.

    With the search_path pg_catalog, that is, so that a user's type has its schema: sql/types.py.

    `identity` is "a" (always), "d" (by default) or ""; `generated` is "s" (stored), "v" (virtual)
    or "", and then `default` is its expression. `collation` is None where it is the type's own.
    `local` and `parents` are attislocal and attinhcount.
    """

    name: str
    number: int
    type: str
    not_null: bool = False
    default: str | None = None
    identity: str = ""
    generated: str = ""
    collation: Name | None = None
    local: bool = True
    parents: int = 0


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """A constraint of a table; `kind` is pg_constraint.contype, and the letters are its letters.

    `index` is the one that it owns, or, of a foreign key, the one of the target it rests on.
    `condition` is that of a CHECK, in SQL; `operators` are those of an EXCLUDE, key by key.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    target: Name | None = None
    to_columns: tuple[str, ...] = ()
    on_update: str = "a"
    on_delete: str = "a"
    match: str = "s"
    deferrable: bool = False
    deferred: bool = False
    validated: bool = True
    enforced: bool = True
    no_inherit: bool = False
    local: bool = True
    parents: int = 0
    index: str | None = None
    condition: str | None = None
    operators: tuple[str, ...] = ()
    # Of another constraint, of a parent: (relation, name).
    parent: tuple[Name, str] | None = None
    # A key that a partition has kept, perhaps: tables that inherit are asked for it as it goes.
    was_copied: bool = field(default=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key of an index: a column or an expression; None for the type's own class or collation."""

    column: str | None = None
    expression: str | None = None
    operator_class: Name | None = None
    collation: Name | None = None
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index; `include` are the columns that it carries besides its keys."""

    name: str
    keys: tuple[Key, ...]
    include: tuple[str, ...] = ()
    method: str = "btree"
    unique: bool = False
    primary: bool = False
    exclusion: bool = False
    valid: bool = True
    immediate: bool = True
    nulls_distinct: bool = True
    predicate: str | None = None
    replica_identity: bool = False
    clustered: bool = False
    # What its columns are called, where it is not as the table's are: after a RENAME.
    named: tuple[str, ...] = ()
    # The index of the partitioned table to which this one belongs.
    parent: Name | None = None
    # A new file of its own is what tells a rebuilt index: not compared, counted by Effects.


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A trigger that somebody made; `when` says that it has a condition, `type` is tgtype.

    That of a constraint trigger may be called otherwise: only the trigger is renamed.
    """

    name: str
    function: Name
    type: int
    columns: tuple[str, ...] = ()
    enabled: str = "O"
    when: bool = False
    constraint: bool = False
    deferrable: bool = False
    deferred: bool = False
    parent: Name | None = None
    # What its constraint is called, where that is not its own name.
    constraint_name: str = ""

    @property
    def of_constraint(self) -> str | None:
        """Return the name of its constraint, None where it has none."""
        return (self.constraint_name or self.name) if self.constraint else None


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A row security policy; `command` is polcmd: "*", "r", "a", "w", "d"."""

    name: str
    command: str
    permissive: bool = True
    roles: tuple[str, ...] = ("public",)
    using: str | None = None
    check: str | None = None


@dataclass(frozen=True, kw_only=True)
class SequenceFacts:
    """What a sequence is besides a relation; `internal` is that of an identity column."""

    type: str = "bigint"
    start: int = 1
    increment: int = 1
    minimum: int = 1
    maximum: int = 9223372036854775807
    cache: int = 1
    cycle: bool = False
    owner: tuple[Name, str] | None = None
    internal: bool = False


class Use(NamedTuple):
    """What a view, a function body or an expression reads: a column, or None for the relation."""

    relation: Name
    column: str | None


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A table, partitioned table, view, materialized view, sequence, foreign table or row type.

    `kind` is pg_class.relkind; indexes are no relations here but are part of their table, and
    `Schema.at()` finds them all the same. `live` is its name in the live database, None where the
    plan makes it. `last_number` is pg_class.relnatts, with the dropped columns. `row_security` is
    "", "enabled", "forced", or "idle": it would be forced, but is not enabled. `uses` are what a
    view reads.
    """

    name: Name
    kind: str = "r"
    owner: str = ""
    persistence: str = "p"
    live: Name | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    last_number: int = 0
    constraints: Mapping[str, Constraint] = field(default_factory=dict)
    indexes: Mapping[str, Index] = field(default_factory=dict)
    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    # Name -> pg_rewrite.ev_type, but for _RETURN of views.
    rules: Mapping[str, str] = field(default_factory=dict)
    statistics: frozenset[Name] = frozenset()
    # Those of them that have expressions.
    of_expressions: frozenset[Name] = frozenset()
    parents: tuple[Name, ...] = ()
    # CREATE TABLE … OF this composite type.
    of_type: Name | None = None
    # As pg_get_expr(relpartbound) and pg_get_partkeydef() write them; None where it is none.
    bound: str | None = None
    partition_key: str | None = None
    row_security: str = ""
    replica_identity: str = "d"
    options: frozenset[str] = frozenset()
    tablespace: str = ""
    method: str = ""
    sequence: SequenceFacts | None = None
    query: str | None = None
    uses: frozenset[Use] = frozenset()
    extension: str | None = None
    # Of a materialized view: whether it may be read (pg_class.relispopulated).
    populated: bool = True

    def with_column(self, column: Column) -> Relation:
        """Return it with this column added, or in the place of the one with its name."""
        return replace(
            self,
            columns={**self.columns, column.name: column},
            last_number=max(self.last_number, column.number),
        )

    def with_constraint(self, constraint: Constraint) -> Relation:
        """Return it with this constraint added, or in the place of the one with its name."""
        return replace(self, constraints={**self.constraints, constraint.name: constraint})

    def with_index(self, index: Index) -> Relation:
        """Return it with this index added, or in the place of the one with its name."""
        return replace(self, indexes={**self.indexes, index.name: index})


@dataclass(frozen=True, kw_only=True)
class Type:
    """A type that no relation made; `kind` is pg_type.typtype: "e", "d", "r", "m", "b".

    A composite type is a relation, of the kind "c".
    """

    name: Name
    kind: str
    owner: str = ""
    labels: tuple[str, ...] = ()
    # Of a domain.
    base: str | None = None
    not_null: bool = False
    default: str | None = None
    # Name -> (condition in SQL, validated).
    checks: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    extension: str | None = None


class Signature(NamedTuple):
    """A function or procedure among those of its name: by the types of its input arguments."""

    name: Name
    arguments: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function, procedure or aggregate (pg_proc.prokind); `plain` without SETOF and VARIADIC.

    `inputs` are the names of the arguments, "" for one without; `row` are the names and types of
    what it gives, where parameters say so.
    """

    signature: Signature
    kind: str = "f"
    returns: str = "void"
    language: str = "sql"
    volatility: str = "v"
    strict: bool = False
    owner: str = ""
    security_definer: bool = False
    extension: str | None = None
    plain: bool = True
    returns_set: bool = False
    defaults: int = 0
    inputs: tuple[str, ...] = ()
    row: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Everything outside the system's schemas, as one statement finds it.

    `version` is server_version_num; `system` is what the server itself brings. `search_path` are
    the schemas that are there, in order, without pg_catalog; `role` is the one that migrates.
    `tainted` are relations of which something unknown was done; where `all_tainted` is given,
    nothing is known any more, and it says since what.
    """

    version: int
    search_path: tuple[str, ...] = ("public",)
    role: str = ""
    superuser: bool = False
    # All that there are.
    roles: frozenset[str] = frozenset()
    schemas: Mapping[str, str] = field(default_factory=dict)
    relations: Mapping[Name, Relation] = field(default_factory=dict)
    types: Mapping[Name, Type] = field(default_factory=dict)
    functions: Mapping[Signature, Function] = field(default_factory=dict)
    # Name -> the schema of its objects.
    extensions: Mapping[str, str] = field(default_factory=dict)
    collations: frozenset[Name] = frozenset()
    system: System = field(default_factory=System)
    # The session's setting; "" where it is not known.
    time_zone: str = ""
    # What rests on what, as far as nothing above says it: bodies of views, of functions, of rules.
    dependencies: Mapping[Thing, frozenset[Dependency]] = field(default_factory=dict)
    # Savepoints of the transaction that is under way, and how it was then; BEGIN is the first.
    savepoints: tuple[tuple[str, Schema], ...] = ()
    # What search_path is after the transaction that has SET LOCAL search_path; None where it stays.
    path_after: tuple[str, ...] | None = None
    # Why types, functions or relations may be there that are not here, as of a new extension.
    incomplete: str | None = None
    tainted: frozenset[Name] = frozenset()
    all_tainted: str | None = None

    def at(self, name: Name) -> Relation | None:
        """Return the relation of this name; for the name of an index, the table that has it."""
        return self.relations.get(name) or self.table_of_index(name)

    def table_of_index(self, name: Name) -> Relation | None:
        """Return the table, or materialized view, that has an index of this name."""
        owner = self._index_owners.get(name)
        return None if owner is None else self.relations[owner]

    @property
    def _index_owners(self) -> Mapping[Name, Name]:
        found = self.__dict__.get("_index_owners_found")
        if found is None:
            found = {
                Name(relation.name.schema, index): relation.name
                for relation in self.relations.values()
                for index in relation.indexes
            }
            self.__dict__["_index_owners_found"] = found
        return found

    def visible(self, schema: str | None, name: str) -> Name | None:
        """Return what a name in a statement finds: of a relation, or an index; None for nothing."""
        for each in (schema,) if schema else (TEMPORARY, *self.search_path):
            if (found := Name(each, name)) in self.relations or found in self._index_owners:
                return found
        return None

    def visible_type(self, schema: str | None, name: str) -> Name | None:
        """Return what a type's name in a statement finds: a type, or the rows of a relation."""
        for each in (schema,) if schema else (TEMPORARY, *self.search_path):
            found = Name(each, name)
            if found in self.types or self.with_rows(found) is not None:
                return found
        return None

    def with_rows(self, type_: Name) -> Relation | None:
        """Return the relation whose rows are of the type of this name: a sequence makes none."""
        found = self.relations.get(type_)
        return found if found is not None and found.kind != "S" else None

    def home(self, schema: str | None) -> str | None:
        """Return the schema in which a CREATE puts something; None where there is none."""
        if schema:
            return schema if schema in self.schemas else None
        return next((each for each in self.search_path if each in self.schemas), None)

    def is_taken(self, name: Name) -> bool:
        """Return whether a relation or an index has this name (one namespace: pg_class)."""
        return name in self.relations or name in self._index_owners

    def with_relation(self, relation: Relation, *, former: Name | None = None) -> Schema:
        """Return it with this relation, in the place of `former` where it is called anew."""
        relations = dict(self.relations)
        before = relations.get(relation.name)
        if former is not None and former != relation.name:
            relations.pop(former)
            before = None
        relations[relation.name] = relation
        found = replace(self, relations=relations)
        if before is not None:
            found._keep_known(self, before, relation)
        return found

    def _keep_known(self, schema: Schema, before: Relation, after: Relation) -> None:
        """Take over what was found out of `schema`, as far as a changed relation leaves it so."""
        kept = ["_row_types", "_types_shown"]
        if before.indexes is after.indexes:
            kept.append("_index_owners_found")
        elif (owners := schema.__dict__.get("_index_owners_found")) is not None:
            home = after.name.schema
            owners = dict(owners)
            for name in before.indexes:
                owners.pop(Name(home, name), None)
            owners.update((Name(home, name), after.name) for name in after.indexes)
            self.__dict__["_index_owners_found"] = owners
        if before.parents is after.parents:
            kept.append("_children")
        if (
            before.triggers is after.triggers
            and before.constraints.keys() <= after.constraints.keys()
        ):
            # A dict of its own: what is not known yet may be found out of either schema.
            names = dict(schema.__dict__.get("_constraint_names", {}))
            more = after.constraints.keys() - before.constraints.keys()
            if more and after.name.schema in names:
                names[after.name.schema] |= more
            self.__dict__["_constraint_names"] = names
        for each in kept:
            if each in schema.__dict__:
                self.__dict__[each] = schema.__dict__[each]

    def without(self, *names: Name) -> Schema:
        """Return it without these relations."""
        gone = set(names)
        return replace(
            self,
            relations={name: each for name, each in self.relations.items() if name not in gone},
        )
