"""Random fields, as they are written in a migration, and random rows for tables that have them."""

import random

from opsmigrate.postgres.catalog import Catalog, Relation
from tests.drift.target import quoted

NAMES = ["name", "code", "size", "born", "price", "notes", "order", "Mixed", "link"]
IMPORTS = """
import datetime
import uuid
from decimal import Decimal
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex, HashIndex
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Lower, Now
"""
# The class, what it must be given, and the defaults that suit it.
FIELDS = {
    "models.IntegerField": ("", ("0", "7")),
    "models.BigIntegerField": ("", ("0", "7")),
    "models.SmallIntegerField": ("", ("0", "7")),
    "models.PositiveIntegerField": ("", ("0", "7")),
    "models.BooleanField": ("", ("True", "False")),
    "models.CharField": ("max_length=20, ", ('""', '"a"')),
    "models.SlugField": ("max_length=5, ", ('""', '"a"')),
    "models.EmailField": ("", ('""', '"a"')),
    "models.TextField": ("", ('""', '"a"')),
    "models.DecimalField": ("max_digits=6, decimal_places=2, ", ('Decimal("1.5")', "0")),
    "models.FloatField": ("", ("0", "1.5")),
    "models.UUIDField": ("", ("uuid.uuid4", "uuid.UUID(int=1)")),
    "models.DateField": ("", ("datetime.date(2020, 1, 1)",)),
    "models.DateTimeField": ("", ("datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)",)),
    "models.TimeField": ("", ("datetime.time(1, 2)",)),
    "models.DurationField": ("", ("datetime.timedelta(1)",)),
    "models.JSONField": ("", ("dict", "list")),
    "models.BinaryField": ("", ('b""',)),
    "models.GenericIPAddressField": ("", ('"127.0.0.1"',)),
    "ArrayField": ("models.IntegerField(), ", ("list",)),
}
TEXTS = {"models.CharField", "models.TextField"}
# Values of every type, among them the smallest, the largest, and some that suit no other type.
VALUES = {
    "integer": ("0", "7", "-1", "40000", "2147483647"),
    "bigint": ("0", "7", "-1", "40000", "9000000000"),
    "smallint": ("0", "7", "-1"),
    "numeric": ("0", "1.5", "-2.25"),
    "double precision": ("0", "1.5", "'NaN'", "1e300"),
    "boolean": ("true", "false"),
    "text": ("''", "'a'", "'7'", "'A'", "repeat('long ', 9)"),
    "character varying": ("''", "'a'", "'7'", "'A'", "'seven'"),
    "uuid": ("gen_random_uuid()", "'00000000-0000-0000-0000-000000000001'"),
    "date": ("'2020-01-01'", "'1999-12-31'"),
    "time without time zone": ("'01:02'", "'23:59:59.5'"),
    "timestamp with time zone": ("'2020-01-01 00:00Z'", "'1999-12-31 12:00Z'"),
    "interval": ("'1 day'", "'-1 hour'"),
    "jsonb": ("'{}'", "'[1]'", "'null'", "'\"a\"'"),
    "bytea": ("''", "'\\x00'"),
    "inet": ("'127.0.0.1'", "'::1'"),
    "integer[]": ("'{}'", "'{1,2}'"),
}


def imports() -> str:
    """Return the imports of a migration's file."""
    return IMPORTS


def field(chosen: random.Random, models: list[str]) -> str:
    """Return a random field; `models` are those to which it may point."""
    null = chosen.random() < 0.4
    if models and chosen.random() < 0.15:
        null = chosen.random() < 0.95
        kind = chosen.choice(["ForeignKey"] * 3 + ["OneToOneField"])
        target = chosen.choice([*models, "self"])
        return f'models.{kind}("{target}", models.CASCADE, null={null}, related_name="+")'
    if chosen.random() < 0.05:
        return (
            "models.GeneratedField(expression=models.Value(1) + models.Value(2),"
            " output_field=models.IntegerField(), db_persist=True)"
        )
    kind = chosen.choice(list(FIELDS))
    needed, defaults = FIELDS[kind]
    options = [f"null={null}"]
    if chosen.random() < (0.3 if null else 0.9):
        options.append(f"default={chosen.choice(defaults)}")
    plain = [text for text in defaults if text not in ("dict", "list", "uuid.uuid4")]
    if plain and chosen.random() < 0.15:
        options.append(f"db_default={chosen.choice(plain)}")
    if chosen.random() < 0.05:
        options.append("unique=True")
    elif chosen.random() < 0.15:
        options.append("db_index=True")
    if chosen.random() < 0.1:
        options.append('db_comment="what it is"')
    if kind in TEXTS and chosen.random() < 0.1:
        options.append('db_collation="C"')
    return f"{kind}({needed}{', '.join(options)})"


def rows(chosen: random.Random, catalog: Catalog) -> list[str]:
    """Return some INSERTs for each table; not each of them will be taken."""
    tables = [item for item in catalog.relations if item.kind == "r" and "django_" not in item.name]
    return [
        insert
        for table in [*tables, *tables]
        for insert in (_row(chosen, catalog, table) for _ in range(chosen.randint(0, 4)))
        if insert
    ]


def _row(chosen: random.Random, catalog: Catalog, table: Relation) -> str | None:
    by_oid = {item.oid: item for item in catalog.relations}
    given = {}
    for column in table.columns:
        if column.generated or column.identity:
            continue
        values = VALUES.get(column.type.partition("(")[0], ("NULL",))
        given[column.name] = chosen.choice([*values, *([] if column.not_null else ["NULL"])])
    for item in table.constraints:
        if item.references and len(item.columns) == 1:
            target = (
                f"SELECT {quoted(item.to_columns[0])} FROM {quoted(by_oid[item.references].name)}"
            )
            given[item.columns[0]] = f"({target} LIMIT 1)"
    if not given:
        return f"INSERT INTO {quoted(table.name)} DEFAULT VALUES"
    names = ", ".join(quoted(name) for name in given)
    return f"INSERT INTO {quoted(table.name)} ({names}) VALUES ({', '.join(given.values())})"
