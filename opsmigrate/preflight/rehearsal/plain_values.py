"""A row of plain values for a model whose table has none."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from opsmigrate.schema.types import base, canonical, is_array

MOMENT = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)
BY_TYPE: dict[str, object] = {
    "smallint": 1,
    "integer": 1,
    "bigint": 1,
    "numeric": Decimal(0),
    "real": 0.0,
    "double precision": 0.0,
    "character varying": "a",
    "character": "a",
    "text": "a",
    "boolean": False,
    "uuid": uuid.UUID(int=1),
    "date": MOMENT.date(),
    "time without time zone": MOMENT.time(),
    "timestamp with time zone": MOMENT,
    "timestamp without time zone": MOMENT.replace(tzinfo=None),
    "interval": datetime.timedelta(0),
    "bytea": b"",
    "jsonb": {},
    "inet": "127.0.0.1",
}


def plain_row(model: type[Model], connection: BaseDatabaseWrapper) -> Any:
    """Return an unsaved row, with NULL where the model allows it; None where a value is unknown."""
    values = {}
    for field in model._meta.local_concrete_fields:
        if field.generated:
            continue
        value = _value(field, connection)
        if value is None and not field.null:
            return None
        values[field.attname] = value
    return model(**values)


def _value(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> object:
    if field.null and not field.primary_key:
        return None
    if field.choices:
        return field.flatchoices[0][0]
    type_ = canonical(str(field.db_parameters(connection=connection)["type"]))
    return [] if is_array(type_) else BY_TYPE.get(base(type_))
