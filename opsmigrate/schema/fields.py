"""The fields of a migration state, bound to their columns without rendering its models.

Rendering makes a class of each model, which takes longer than everything else that is done with
the state. What only a rendered model can tell is taken from one.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from django.apps import apps as installed
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.utils import resolve_relation
from django.db.models import Field, ForeignKey, Model, OrderWrt

Key = tuple[str, str]
Sort = tuple[Any, ...]
# As Field.db_parameters() gives them.
Parameters = dict[str, Any]
if TYPE_CHECKING:
    # Only the stubs are generic.
    AnyField = Field[Any, Any]
# The type of a field of Django's own rests on its class and four attributes; asking takes long.
DJANGOS = ("django.db.models.fields", "django.db.models.fields.json")


class StateFields:
    """Looks fields up in a state, and asks them for their columns' parameters."""

    def __init__(self, state: ProjectState, connection: BaseDatabaseWrapper) -> None:
        self.state = state
        self.connection = connection
        self._bound: dict[Key, dict[str, AnyField]] = {}
        self._primary_keys: dict[Key, AnyField] = {}
        self._parameters: dict[Sort, Parameters] = {}
        self._references: dict[Sort, Parameters] = {}

    def of(self, key: Key) -> dict[str, AnyField]:
        """Return the local fields of the model `(app, name)`, by name, with their columns set."""
        if key not in self._bound:
            model = self.state.models.get(key)
            if model is None:
                found = _local_fields(installed.get_model(*key))
            else:
                found = _bind(model)
                if any(map(_brings_fields, model.bases)) or not _has_key(found):
                    found = _local_fields(self.rendered(key))
            self._bound[key] = found
        return self._bound[key]

    def rendered(self, key: Key) -> type[Model]:
        """Return the model as a class; costly the first time."""
        model: type[Model] = self._apps.get_model(*key)
        return model

    @cached_property
    def _apps(self) -> Any:
        return self.state.apps

    def installed(self, key: Key) -> type[Model]:
        """Return the class of an app without migrations, which the state does not have."""
        return installed.get_model(*key)

    def primary_key(self, key: Key) -> tuple[Key, AnyField]:
        """Return the model and its primary key."""
        if key not in self._primary_keys:
            of_model = self.of(key).values()
            self._primary_keys[key] = next(item for item in of_model if item.primary_key)
        return key, self._primary_keys[key]

    def related(self, key: Key, field: AnyField) -> Key:
        """Return the model whose table a relation of the model `key` points to."""
        to = resolve_relation(cast(Any, field.remote_field).model, *key)
        while to in self.state.models and self.state.models[to].options.get("proxy"):
            to = _proxied(self.state.models[to])
        return to

    def target(self, key: Key, field: ForeignKey[Any, Any]) -> tuple[Key, AnyField]:
        """Return the model and the field that a foreign key of the model `key` points to."""
        to = self.related(key, field)
        name = cast(Any, field).to_fields[0]
        return self.primary_key(to) if name is None else (to, self.of(to)[name])

    def parameters(self, key: Key, field: AnyField) -> Parameters:
        """Return type, check and collation of the column, as Field.db_parameters() gives them."""
        if type(field).__module__ not in DJANGOS:
            if isinstance(field, ForeignKey):
                return self.reference(*self.target(key, field))
            return self._ask(key, field)
        sort = _sort(field)
        found = self._parameters.get(sort)
        if found is None:
            found = self._parameters[sort] = self._ask(key, field)
        return found

    def _ask(self, key: Key, field: AnyField) -> Parameters:
        try:
            return field.db_parameters(self.connection)
        except AttributeError:
            # It asks for its model.
            bound = cast("AnyField", self.rendered(key)._meta.get_field(field.name))
            return bound.db_parameters(self.connection)

    def reference(self, key: Key, target: AnyField) -> Parameters:
        """Return the parameters of a column that points to the field `target` of the model."""
        found = self.parameters(key, target)
        if isinstance(target, ForeignKey):
            return {"type": found["type"], "check": None, "collation": found.get("collation")}
        is_djangos, sort = type(target).__module__ in DJANGOS, _sort(target)
        known = self._references.get(sort) if is_djangos else None
        if known is None:
            known = {
                "type": target.rel_db_type(self.connection),
                "check": None,
                "collation": found.get("collation"),
            }
            if is_djangos:
                self._references[sort] = known
        return known


def _sort(field: AnyField) -> Sort:
    """Return what the type of a field of Django's own rests on."""
    given = vars(field).get
    return (
        type(field),
        given("max_length"),
        given("max_digits"),
        given("decimal_places"),
        given("db_collation"),
    )


def _proxied(proxy: ModelState) -> Key:
    """Return the model that a proxy stands for."""
    for base in proxy.bases:
        if isinstance(base, str):
            return resolve_relation(base, proxy.app_label, proxy.name)
        if _brings_fields(base) and not base._meta.abstract:
            return base._meta.app_label, base._meta.model_name or ""
    raise LookupError(f"{proxy.app_label}.{proxy.name} is a proxy of no model")


def _brings_fields(base: object) -> TypeGuard[type[Model]]:
    """Return whether a base of a model is a class that may have fields of its own."""
    return isinstance(base, type) and issubclass(base, Model) and base is not Model


def _has_key(fields: dict[str, AnyField]) -> bool:
    """Return whether the primary key is written out; else Django adds one as it renders."""
    return any(field.primary_key for field in fields.values())


def _local_fields(model: type[Model]) -> dict[str, AnyField]:
    meta = model._meta
    return {field.name: field for field in (*meta.local_fields, *meta.local_many_to_many)}


def _bind(model: ModelState) -> dict[str, AnyField]:
    fields: dict[str, AnyField] = {}
    for name, field in model.fields.items():
        bound = fields[name] = field.__copy__()
        if type(field).__module__ in DJANGOS:
            # What set_attributes_from_name() says of a plain field, without its words for people.
            given = vars(bound)
            given["name"] = given["attname"] = name
            given["column"], given["concrete"] = given["db_column"] or name, True
        else:
            bound.set_attributes_from_name(name)
    if model.options.get("order_with_respect_to"):
        bound = OrderWrt()
        bound.set_attributes_from_name("_order")
        fields["_order"] = bound
    return fields
