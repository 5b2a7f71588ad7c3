"""A schema with one of everything that can drift, and the ways in which it does."""

from dataclasses import dataclass

MODELS = """
migrations.CreateModel("Cage", [
    ("id", models.BigAutoField(primary_key=True)),
    ("code", models.UUIDField(unique=True, default=uuid.uuid4)),
    ("name", models.CharField(max_length=20, db_index=True)),
    ("label", models.CharField(max_length=20, db_collation="C")),
    ("size", models.PositiveIntegerField(db_default=1)),
    ("price", models.DecimalField(max_digits=9, decimal_places=2, null=True)),
    ("note", models.TextField(null=True)),
    ("tags", ArrayField(models.CharField(max_length=10), default=list)),
    ("data", models.JSONField(default=dict)),
    ("open", DateRangeField(null=True)),
    ("double", models.GeneratedField(
        expression=models.F("size") * 2, output_field=models.IntegerField(), db_persist=True)),
    ("token", models.UUIDField(unique=True, null=True)),
    ("more", models.JSONField(null=True)),
    ("opened", models.DateTimeField(null=True)),
], options={
    "unique_together": {("name", "label")},
    "indexes": [
        models.Index(fields=["-price", "size"], name="zoo_cage_price"),
        models.Index(fields=["opened"], condition=models.Q(size__gt=3), name="zoo_cage_opened"),
        models.Index(Lower("note"), name="zoo_cage_note"),
        models.Index(fields=["size"], include=["price"], name="zoo_cage_size"),
        models.Index(fields=["label"], opclasses=["varchar_pattern_ops"], name="zoo_cage_label"),
        GinIndex(fields=["data"], name="zoo_cage_data"),
    ],
    "constraints": [
        models.CheckConstraint(condition=models.Q(price__gte=0), name="zoo_cage_price_min"),
        models.CheckConstraint(
            condition=~models.Q(label__in=["a", "b"]) | models.Q(price__isnull=True),
            name="zoo_cage_labels"),
        models.CheckConstraint(
            condition=models.Q(opened__year__gte=1990), name="zoo_cage_year"),
        models.CheckConstraint(
            condition=~models.Q(note__startswith="100%"), name="zoo_cage_percent"),
        models.UniqueConstraint(
            fields=["opened"], condition=models.Q(size__gt=9), name="zoo_cage_once"),
        models.UniqueConstraint(Lower("label"), name="zoo_cage_lower"),
        models.UniqueConstraint(fields=["label", "size"], name="zoo_cage_later",
            deferrable=models.Deferrable.DEFERRED),
        ExclusionConstraint(name="zoo_cage_open", expressions=[("open", "&&")]),
    ],
}),
migrations.CreateModel("Keeper", [
    ("id", models.AutoField(primary_key=True)),
    ("cage", models.ForeignKey("zoo.Cage", models.CASCADE)),
    ("second", models.OneToOneField("zoo.Cage", models.CASCADE, to_field="code", null=True,
        related_name="+")),
    ("free", models.ForeignKey("zoo.Cage", models.DO_NOTHING, null=True, db_constraint=False,
        db_index=False, related_name="+")),
    ("cages", models.ManyToManyField("zoo.Cage", related_name="+")),
    ("friends", models.ManyToManyField("self")),
]),
migrations.CreateModel("Head", [
    ("keeper_ptr", models.OneToOneField("zoo.Keeper", models.CASCADE, primary_key=True,
        parent_link=True, serialize=False)),
    ("rank", models.SmallIntegerField(db_column="The Rank")),
], bases=("zoo.keeper",)),
migrations.CreateModel("Shadow", [], options={"proxy": True}, bases=("zoo.keeper",)),
migrations.CreateModel("Elsewhere", [
    ("id", models.AutoField(primary_key=True))], options={"managed": False}),
migrations.CreateModel("Ticket", [
    ("name", models.CharField(max_length=8, primary_key=True)),
    ("head", models.ForeignKey("zoo.Head", models.CASCADE)),
    ("shadow", models.ForeignKey("zoo.Shadow", models.CASCADE, null=True)),
], options={"order_with_respect_to": "head", "db_table": 'aside"."The Ticket'}),
migrations.AddField("cage", "ticket", models.ForeignKey("zoo.Ticket", models.CASCADE, null=True)),
migrations.AddConstraint("cage", models.UniqueConstraint(
    fields=["price", "opened"], name="zoo_cage_nulls", nulls_distinct=False)),
"""
# Values that a wrong cast, a shift or a cut would change.
ROWS = """
INSERT INTO zoo_cage (code, name, label, size, price, note, tags, data, open, token, more, opened)
SELECT gen_random_uuid(), 'cage ' || n, 'Käfig ' || n, n, n + 0.25, 'note  ' || n || '  ',
       ARRAY['tag', 'x' || n], jsonb_build_object('n', n),
       daterange('2024-01-01'::date + n, '2024-01-01'::date + n + 1), gen_random_uuid(),
       '{"a": 1.50}', '2024-03-31 01:30:15.123456+00'::timestamptz + n * interval '1 day'
FROM generate_series(1, 3) AS n;
INSERT INTO zoo_keeper (cage_id, second_id)
SELECT id, CASE WHEN size > 1 THEN code END FROM zoo_cage;
INSERT INTO zoo_keeper_cages (keeper_id, cage_id)
SELECT k.id, c.id FROM zoo_keeper k, zoo_cage c;
INSERT INTO zoo_keeper_friends (from_keeper_id, to_keeper_id)
SELECT k.id, f.id FROM zoo_keeper k, zoo_keeper f WHERE k.id < f.id;
INSERT INTO zoo_head (keeper_ptr_id, "The Rank") SELECT id, 7 FROM zoo_keeper LIMIT 2;
INSERT INTO aside."The Ticket" (name, head_id, shadow_id, _order)
SELECT 'T' || keeper_ptr_id, keeper_ptr_id, keeper_ptr_id, 1 FROM zoo_head;
UPDATE zoo_cage SET ticket_id = (SELECT min(name) FROM aside."The Ticket");
"""
# What Django leaves out without a word before PostgreSQL 15.
LEFT_OUT = "zoo_cage_nulls"


@dataclass(frozen=True)
class Injected:
    """Statements that make a database drift, and the one thing that must be said of it."""

    name: str
    statements: str
    id: str | None
    table: str = "public.zoo_cage"
    column: str | None = None
    constraint: str | None = None


CAGE, KEEPER = "ALTER TABLE zoo_cage ", "ALTER TABLE zoo_keeper "
TICKET = 'ALTER TABLE aside."The Ticket" '
COLUMN = CAGE + "ALTER COLUMN "
DRIFTS = (
    Injected("table gone", "DROP TABLE zoo_head CASCADE", "drift-table-missing", "public.zoo_head"),
    Injected(
        "table of a ManyToManyField gone",
        "DROP TABLE zoo_keeper_cages",
        "drift-table-missing",
        "public.zoo_keeper_cages",
    ),
    Injected(
        "table in another schema gone",
        'DROP TABLE aside."The Ticket" CASCADE',
        "drift-table-missing",
        "aside.The Ticket",
    ),
    Injected(
        "view in the place of a table",
        "DROP TABLE zoo_keeper_friends; CREATE VIEW zoo_keeper_friends AS SELECT 1 AS id",
        "drift-table-missing",
        "public.zoo_keeper_friends",
    ),
    Injected(
        "column gone", CAGE + "DROP COLUMN code CASCADE", "drift-column-missing", column="code"
    ),
    Injected(
        "oddly named column gone",
        'ALTER TABLE zoo_head DROP COLUMN "The Rank"',
        "drift-column-missing",
        "public.zoo_head",
        "The Rank",
    ),
    Injected(
        "order column gone",
        TICKET + "DROP COLUMN _order",
        "drift-column-missing",
        "aside.The Ticket",
        "_order",
    ),
    Injected("column added", CAGE + "ADD COLUMN x int", "drift-column-unknown", column="x"),
    Injected("shorter text", COLUMN + "name TYPE varchar(15)", "drift-type", column="name"),
    Injected("text for varchar", COLUMN + "name TYPE text", "drift-type", column="name"),
    Injected("precision", COLUMN + "price TYPE numeric(9, 3)", "drift-type", column="price"),
    Injected("unbounded numeric", COLUMN + "price TYPE numeric", "drift-type", column="price"),
    Injected("no time zone", COLUMN + "opened TYPE timestamp", "drift-type", column="opened"),
    Injected("uuid as text", COLUMN + "token TYPE varchar(36)", "drift-type", column="token"),
    Injected("json for jsonb", COLUMN + "more TYPE json", "drift-type", column="more"),
    Injected(
        "array of longer texts", COLUMN + "tags TYPE varchar(11)[]", "drift-type", column="tags"
    ),
    Injected(
        "a domain",
        "CREATE DOMAIN words AS text; " + COLUMN + "note TYPE words",
        "drift-type",
        column="note",
    ),
    Injected(
        "wider key", KEEPER + "ALTER COLUMN id TYPE bigint", "drift-type", "public.zoo_keeper", "id"
    ),
    Injected("NULL allowed", COLUMN + "name DROP NOT NULL", "drift-null", column="name"),
    Injected("NULL forbidden", COLUMN + "note SET NOT NULL", "drift-null", column="note"),
    Injected("database default gone", COLUMN + "size DROP DEFAULT", "drift-default", column="size"),
    Injected("identity gone", COLUMN + "id DROP IDENTITY", "drift-identity", column="id"),
    Injected(
        "identity of a ManyToManyField gone",
        "ALTER TABLE zoo_keeper_cages ALTER COLUMN id DROP IDENTITY",
        "drift-identity",
        "public.zoo_keeper_cages",
        "id",
    ),
    Injected(
        "collation gone",
        COLUMN + 'label TYPE varchar(20) COLLATE "default"',
        "drift-collation",
        column="label",
    ),
    Injected(
        "collation added", COLUMN + 'note TYPE text COLLATE "C"', "drift-collation", column="note"
    ),
    Injected(
        "no longer generated", COLUMN + "double DROP EXPRESSION", "drift-generated", column="double"
    ),
    Injected(
        "primary key gone",
        "ALTER TABLE zoo_keeper_cages DROP CONSTRAINT zoo_keeper_cages_pkey",
        "drift-primary-key",
        "public.zoo_keeper_cages",
        "id",
    ),
    Injected(
        "another primary key",
        "ALTER TABLE zoo_keeper_cages DROP CONSTRAINT zoo_keeper_cages_pkey,"
        " ADD PRIMARY KEY (keeper_id, cage_id)",
        "drift-primary-key",
        "public.zoo_keeper_cages",
        "id",
    ),
    Injected(
        "unique gone", CAGE + "DROP CONSTRAINT zoo_cage_token_key", "drift-unique", column="token"
    ),
    Injected(
        "unique of a OneToOneField gone",
        KEEPER + "DROP CONSTRAINT zoo_keeper_second_id_key",
        "drift-unique",
        "public.zoo_keeper",
        "second_id",
    ),
    Injected(
        "partial unique gone",
        "DROP INDEX zoo_cage_once",
        "drift-unique",
        column="opened",
        constraint="zoo_cage_once",
    ),
    Injected(
        "partial unique for all rows",
        "DROP INDEX zoo_cage_once; CREATE UNIQUE INDEX zoo_cage_once ON zoo_cage (opened)",
        "drift-unique",
        column="opened",
        constraint="zoo_cage_once",
    ),
    Injected(
        "unique expression gone",
        "DROP INDEX zoo_cage_lower",
        "drift-unique",
        constraint="zoo_cage_lower",
    ),
    Injected(
        "unique no longer deferrable",
        CAGE + "DROP CONSTRAINT zoo_cage_later, ADD CONSTRAINT zoo_cage_later UNIQUE (label, size)",
        "drift-unique",
        constraint="zoo_cage_later",
    ),
    Injected(
        "unique with distinct NULLs",
        CAGE + "DROP CONSTRAINT zoo_cage_nulls, "
        "ADD CONSTRAINT zoo_cage_nulls UNIQUE (price, opened)",
        "drift-unique",
        constraint="zoo_cage_nulls",
    ),
    Injected(
        "unique pair of a ManyToManyField gone",
        "ALTER TABLE zoo_keeper_cages DROP CONSTRAINT {zoo_keeper_cages.keeper_id,cage_id}",
        "drift-unique",
        "public.zoo_keeper_cages",
    ),
    Injected(
        "foreign key gone",
        KEEPER + "DROP CONSTRAINT {zoo_keeper.cage_id}",
        "drift-foreign-key",
        "public.zoo_keeper",
        "cage_id",
    ),
    Injected(
        "foreign key to a column gone",
        KEEPER + "DROP CONSTRAINT {zoo_keeper.second_id}",
        "drift-foreign-key",
        "public.zoo_keeper",
        "second_id",
    ),
    Injected(
        "foreign key to the parent gone",
        "ALTER TABLE zoo_head DROP CONSTRAINT {zoo_head.keeper_ptr_id}",
        "drift-foreign-key",
        "public.zoo_head",
        "keeper_ptr_id",
    ),
    Injected(
        "foreign key to a proxy gone",
        TICKET + "DROP CONSTRAINT {The Ticket.shadow_id}",
        "drift-foreign-key",
        "aside.The Ticket",
        "shadow_id",
    ),
    Injected(
        "foreign key elsewhere",
        KEEPER + "DROP CONSTRAINT {zoo_keeper.cage_id}; CREATE TABLE other "
        "(id bigint PRIMARY KEY); INSERT INTO other SELECT generate_series(1, 9); "
        + KEEPER
        + "ADD FOREIGN KEY (cage_id) REFERENCES other",
        "drift-foreign-key",
        "public.zoo_keeper",
        "cage_id",
    ),
    Injected(
        "foreign key that cascades",
        KEEPER
        + "DROP CONSTRAINT {zoo_keeper.cage_id}; "
        + KEEPER
        + "ADD FOREIGN KEY (cage_id) REFERENCES zoo_cage ON DELETE CASCADE",
        "drift-foreign-key",
        "public.zoo_keeper",
        "cage_id",
    ),
    Injected(
        "foreign key NOT VALID",
        KEEPER
        + "DROP CONSTRAINT {zoo_keeper.cage_id}; "
        + KEEPER
        + "ADD CONSTRAINT late FOREIGN KEY (cage_id) REFERENCES zoo_cage NOT VALID",
        "drift-not-validated",
        "public.zoo_keeper",
        "cage_id",
        "late",
    ),
    Injected(
        "check gone",
        CAGE + "DROP CONSTRAINT zoo_cage_price_min",
        "drift-check",
        column="price",
        constraint="zoo_cage_price_min",
    ),
    Injected(
        "check of a field gone",
        CAGE + "DROP CONSTRAINT zoo_cage_size_check",
        "drift-check",
        column="size",
    ),
    Injected(
        "check NOT VALID",
        CAGE + "DROP CONSTRAINT zoo_cage_price_min, ADD CONSTRAINT "
        "zoo_cage_price_min CHECK (price >= 0) NOT VALID",
        "drift-not-validated",
        column="price",
        constraint="zoo_cage_price_min",
    ),
    Injected(
        "check with another limit",
        CAGE + "DROP CONSTRAINT zoo_cage_price_min, ADD CONSTRAINT "
        "zoo_cage_price_min CHECK (price > 0)",
        "drift-check",
        column="price",
        constraint="zoo_cage_price_min",
    ),
    Injected(
        "check with another limit, for a role that may not read the table",
        CAGE + "DROP CONSTRAINT zoo_cage_price_min, ADD CONSTRAINT "
        "zoo_cage_price_min CHECK (price > 0); CREATE ROLE {role}; "
        "GRANT SELECT ON django_migrations TO {role}; SET LOCAL ROLE {role}",
        "drift-check",
        column="price",
        constraint="zoo_cage_price_min",
    ),
    Injected(
        "check with another limit, beside one that raises",
        CAGE + "DROP CONSTRAINT zoo_cage_price_min, ADD CONSTRAINT "
        "zoo_cage_price_min CHECK (price > 0), "
        "DROP CONSTRAINT zoo_cage_year, ADD CONSTRAINT zoo_cage_year "
        "CHECK (1 / (date_part('year', opened) - 1990) < 2)",
        "drift-check",
        column="price",
        constraint="zoo_cage_price_min",
    ),
    Injected(
        "check of a longer list",
        CAGE + "DROP CONSTRAINT zoo_cage_labels, ADD CONSTRAINT "
        "zoo_cage_labels CHECK (label NOT IN ('a', 'b', 'c') OR price IS NULL)",
        "drift-check",
        constraint="zoo_cage_labels",
    ),
    Injected(
        "check that lets no NULL in",
        CAGE + "DROP CONSTRAINT zoo_cage_percent, ADD CONSTRAINT zoo_cage_percent "
        "CHECK (note IS NOT NULL AND note NOT LIKE '100\\%%')",
        "drift-check",
        column="note",
        constraint="zoo_cage_percent",
    ),
    Injected(
        "check of another year",
        CAGE + "DROP CONSTRAINT zoo_cage_year, ADD CONSTRAINT zoo_cage_year "
        "CHECK (opened >= '1991-01-01 00:00:00+00')",
        "drift-check",
        column="opened",
        constraint="zoo_cage_year",
    ),
    Injected(
        "partial unique for other rows",
        "DROP INDEX zoo_cage_once; "
        "CREATE UNIQUE INDEX zoo_cage_once ON zoo_cage (opened) WHERE size > 8",
        "drift-unique",
        column="size",
        constraint="zoo_cage_once",
    ),
    Injected(
        "unique in another expression",
        "DROP INDEX zoo_cage_lower; CREATE UNIQUE INDEX zoo_cage_lower ON zoo_cage (upper(label))",
        "drift-unique",
        column="label",
        constraint="zoo_cage_lower",
    ),
    Injected(
        "partial index for other rows",
        "DROP INDEX zoo_cage_opened; "
        "CREATE INDEX zoo_cage_opened ON zoo_cage (opened) WHERE size >= 3",
        "drift-index",
        column="size",
        constraint="zoo_cage_opened",
    ),
    Injected(
        "index on another expression",
        "DROP INDEX zoo_cage_note; CREATE INDEX zoo_cage_note ON zoo_cage (md5(note))",
        "drift-index",
        column="note",
        constraint="zoo_cage_note",
    ),
    Injected(
        "exclusion gone",
        CAGE + "DROP CONSTRAINT zoo_cage_open",
        "drift-exclusion",
        constraint="zoo_cage_open",
    ),
    Injected("index of a field gone", "DROP INDEX {zoo_cage.name}", "drift-index", column="name"),
    Injected(
        "index of a foreign key gone",
        "DROP INDEX {zoo_keeper.cage_id}",
        "drift-index",
        "public.zoo_keeper",
        "cage_id",
    ),
    Injected(
        "index for LIKE gone", "DROP INDEX {zoo_cage.name,like}", "drift-index", column="name"
    ),
    Injected(
        "descending index ascending",
        "DROP INDEX zoo_cage_price; CREATE INDEX zoo_cage_price ON zoo_cage (price, size)",
        "drift-index",
        constraint="zoo_cage_price",
    ),
    Injected(
        "partial index for all rows",
        "DROP INDEX zoo_cage_opened; CREATE INDEX zoo_cage_opened ON zoo_cage (opened)",
        "drift-index",
        column="opened",
        constraint="zoo_cage_opened",
    ),
    Injected(
        "index on an expression gone",
        "DROP INDEX zoo_cage_note",
        "drift-index",
        constraint="zoo_cage_note",
    ),
    Injected(
        "index that covers no more",
        "DROP INDEX zoo_cage_size; CREATE INDEX zoo_cage_size ON zoo_cage (size)",
        "drift-index",
        column="size",
        constraint="zoo_cage_size",
    ),
    Injected(
        "index with another operator class",
        "DROP INDEX zoo_cage_label; CREATE INDEX zoo_cage_label ON zoo_cage (label)",
        "drift-index",
        column="label",
        constraint="zoo_cage_label",
    ),
    Injected(
        "index by another method",
        "DROP INDEX zoo_cage_data; CREATE INDEX zoo_cage_data ON zoo_cage (data)",
        "drift-index",
        column="data",
        constraint="zoo_cage_data",
    ),
    Injected(
        "index on other columns",
        "DROP INDEX zoo_cage_price; CREATE INDEX zoo_cage_price ON zoo_cage (price DESC, name)",
        "drift-index",
        constraint="zoo_cage_price",
    ),
    Injected(
        "another owner",
        "CREATE ROLE {role}; ALTER TABLE zoo_head OWNER TO {role}",
        "drift-owner",
        "public.zoo_head",
    ),
)
# What looks different and means nothing.
NO_DRIFTS = {
    "the same demands in other words": CAGE + "DROP CONSTRAINT zoo_cage_price_min, "
    "ADD CONSTRAINT zoo_cage_price_min CHECK (NOT price < 0.00::double precision), "
    "DROP CONSTRAINT zoo_cage_labels, ADD CONSTRAINT zoo_cage_labels "
    "CHECK (price IS NULL OR (label <> 'b' AND label <> ALL (ARRAY['a']))), "
    "DROP CONSTRAINT zoo_cage_percent, ADD CONSTRAINT zoo_cage_percent "
    "CHECK (left(note, 4) <> '100%'), "
    "DROP CONSTRAINT zoo_cage_year, ADD CONSTRAINT zoo_cage_year "
    "CHECK (date_part('year', opened AT TIME ZONE 'UTC') > 1989); "
    "DROP INDEX zoo_cage_once; CREATE UNIQUE INDEX zoo_cage_once ON zoo_cage (opened) "
    "WHERE 9 < size; DROP INDEX zoo_cage_opened; CREATE INDEX zoo_cage_opened "
    "ON zoo_cage (opened) WHERE size BETWEEN 4 AND 2147483647; "
    "DROP INDEX zoo_cage_lower; CREATE UNIQUE INDEX zoo_cage_lower ON zoo_cage (lower(label))",
    "a check of what the column was before": CAGE + "DROP CONSTRAINT zoo_cage_price_min, "
    "ADD CONSTRAINT zoo_cage_price_min CHECK (price::double precision >= 0)",
    "serial for identity": COLUMN
    + "id DROP IDENTITY; CREATE SEQUENCE s OWNED BY zoo_cage.id; "
    + COLUMN
    + "id SET DEFAULT nextval('s')",
    "key of a ManyToManyField of another day": "ALTER TABLE zoo_keeper_cages "
    "ALTER COLUMN id TYPE int",
    "renamed constraints": CAGE
    + "RENAME CONSTRAINT zoo_cage_price_min TO a; "
    + CAGE
    + "RENAME CONSTRAINT zoo_cage_code_key TO b; "
    + CAGE
    + "RENAME CONSTRAINT zoo_cage_open TO c; "
    + CAGE
    + "RENAME CONSTRAINT zoo_cage_size_check TO d; "
    + KEEPER
    + "RENAME CONSTRAINT {zoo_keeper.cage_id} TO e; "
    + CAGE
    + "RENAME CONSTRAINT zoo_cage_pkey TO f",
    "renamed indexes": "ALTER INDEX zoo_cage_price RENAME TO a; "
    "ALTER INDEX {zoo_cage.name} RENAME TO b; "
    "ALTER INDEX zoo_cage_once RENAME TO c; ALTER INDEX {zoo_cage.name,like} RENAME TO d; "
    "ALTER INDEX zoo_cage_note RENAME TO e",
    "unknown tables, views, indexes, checks, defaults and triggers": "CREATE TABLE x (id int); "
    "CREATE VIEW y AS SELECT id FROM zoo_cage; CREATE INDEX z ON zoo_cage (opened, size); "
    + CAGE
    + "ADD CONSTRAINT wide CHECK (size < 100); "
    + COLUMN
    + "name SET DEFAULT ''",
    "an index that a unique constraint stands for": "DROP INDEX {zoo_cage.name}; "
    "CREATE UNIQUE INDEX x ON zoo_cage (name)",
    "a unique index for a unique constraint": KEEPER + "DROP CONSTRAINT zoo_keeper_second_id_key; "
    "CREATE UNIQUE INDEX x ON zoo_keeper (second_id)",
    "unique columns in another order": CAGE + "DROP CONSTRAINT zoo_cage_nulls, "
    "ADD CONSTRAINT zoo_cage_nulls UNIQUE NULLS NOT DISTINCT (opened, price)",
}
