"""CREATE TABLE and what else makes or changes a table as a whole."""

from __future__ import annotations

from tests.interpret.forms.draw import NEW_NAMES, Draw, form


def definition(d: Draw, name: str) -> str:
    """Return a column with some of what it may have."""
    type_ = d.type()
    words = f"{name} {type_}"
    if d.maybe(0.05) and type_ in ("text", "varchar(40)", "varchar"):
        collation = d.one(('"C"', '"POSIX"', '"absent"'))
        words += f" COLLATE {collation}"
    words += d.words("NOT NULL", "NULL", share=0.3)
    if d.maybe(0.3):
        words += f" DEFAULT {d.value(type_)}"
    elif d.maybe(0.06):
        mode, options = d.one(("ALWAYS", "BY DEFAULT")), d.words("(START 5)", share=0.3)
        words += f" GENERATED {mode} AS IDENTITY{options}"
    return words + d.words("UNIQUE", f"CHECK ({name} IS NOT NULL)", share=0.15)


@form(5)
def create_table(d: Draw) -> str:
    names = d.some([f'"{each}"' for each in NEW_NAMES], 6)
    parts = [definition(d, name) for name in names]
    if d.maybe(0.5):
        parts.insert(0, f"id {d.one(('serial', 'bigserial', 'int', 'uuid', 'text'))} PRIMARY KEY")
    if d.maybe(0.3):
        target = d.relation("r")
        parts.append(f"ref int REFERENCES {d.name(target.name)}{_action(d)}")
    if d.maybe(0.3):
        parts.append(f"{d.words('CONSTRAINT checked', share=0.4)} CHECK ({names[0]} IS NOT NULL)")
    if d.maybe(0.25):
        parts.append(f"UNIQUE ({', '.join(d.some(names, 2))})")
    exists = d.words("IF NOT EXISTS", share=0.15)
    unlogged = d.words("UNLOGGED", share=0.08)
    return f"CREATE{unlogged} TABLE{exists} {d.new_relation()} ({', '.join(parts)})"


def _action(d: Draw) -> str:
    return d.words("ON DELETE CASCADE", "ON DELETE SET NULL", "DEFERRABLE", share=0.4)


@form(1.5)
def create_table_like(d: Draw) -> str:
    options = ("INCLUDING ALL", "INCLUDING DEFAULTS", "INCLUDING CONSTRAINTS", "INCLUDING INDEXES")
    like = f"LIKE {d.name(d.relation('rpv').name)}{d.words(*options, share=0.6)}"
    extra = ", also int" if d.maybe(0.3) else ""
    return f"CREATE TABLE {d.new_relation()} ({like}{extra})"


@form(1.5)
def create_table_inherits(d: Draw) -> str:
    parents = ", ".join(d.name(d.relation("r").name) for _ in range(2 if d.maybe(0.1) else 1))
    own = "own int" if d.maybe(0.6) else ""
    return f"CREATE TABLE {d.new_relation()} ({own}) INHERITS ({parents})"


@form(1.5)
def create_table_as(d: Draw) -> str:
    source = d.relation("rpvm")
    no_data = d.words("WITH NO DATA", share=0.2)
    if d.maybe(0.3):
        return f"SELECT * INTO {d.new_relation()} FROM {d.name(source.name)}"
    chosen = d.columns(source, 4) if d.maybe(0.7) else "*"
    query = f"SELECT {chosen} FROM {d.name(source.name)}"
    return f"CREATE TABLE {d.new_relation()} AS {query}{no_data}"


@form(2)
def drop_table(d: Draw) -> str:
    names = ", ".join(d.name(d.relation("rp").name) for _ in range(2 if d.maybe(0.1) else 1))
    exists = d.words("IF EXISTS", share=0.3)
    return f"DROP TABLE{exists} {names}{d.words('CASCADE', 'RESTRICT', share=0.4)}"


@form(1)
def set_schema(d: Draw) -> str:
    word, kinds = d.one((("TABLE", "rp"), ("VIEW", "v"), ("SEQUENCE", "S")))
    target = d.one(("public", "app", '"Mixed Case"', "other", "absent"))
    return f"ALTER {word} {d.name(d.relation(kinds).name)} SET SCHEMA {target}"


@form(0.7)
def set_options(d: Draw) -> str:
    what = d.one(("SET (fillfactor = 70)", "RESET (fillfactor)", "SET (autovacuum_enabled = off)"))
    return f"ALTER TABLE {d.name(d.relation('r').name)} {what}"


@form(0.7)
def set_logged(d: Draw) -> str:
    return f"ALTER TABLE {d.name(d.relation('r').name)} SET {d.one(('LOGGED', 'UNLOGGED'))}"


@form(0.7)
def replica_identity(d: Draw) -> str:
    table = d.relation("r")
    words = ["FULL", "NOTHING", "DEFAULT"]
    if table.indexes:
        words += [f"USING INDEX {d.quoted(d.one(sorted(table.indexes)))}"] * 3
    return f"ALTER TABLE {d.name(table.name)} REPLICA IDENTITY {d.one(words)}"


@form(0.5)
def cluster_on(d: Draw) -> str:
    table = d.relation("r")
    if not table.indexes or d.maybe(0.3):
        return f"ALTER TABLE {d.name(table.name)} SET WITHOUT CLUSTER"
    index = d.quoted(d.one(sorted(table.indexes)))
    return f"ALTER TABLE {d.name(table.name)} CLUSTER ON {index}"


@form(0.7)
def several_at_once(d: Draw) -> str:
    table = d.relation("r")
    actions = (
        f"ADD COLUMN {definition(d, d.new())}",
        f"DROP COLUMN {d.column(table)}",
        f"ALTER COLUMN {d.column(table)} SET NOT NULL",
        f"ALTER COLUMN {d.column(table)} TYPE {d.type()}",
        f"ADD CHECK ({d.condition(table)})",
        f"ALTER COLUMN {d.column(table)} DROP DEFAULT",
    )
    only = d.words("ONLY", share=0.1)
    return f"ALTER TABLE{only} {d.name(table.name)} {', '.join(d.some(actions, 3))}"


@form(0.7)
def truncate(d: Draw) -> str:
    more = d.words("CASCADE", "RESTART IDENTITY", "RESTART IDENTITY CASCADE", share=0.5)
    tables = [
        f"{d.words('ONLY', share=0.3)} {d.name(d.relation('rrrp').name)}"
        for _ in range(d.one((1, 1, 2)))
    ]
    return f"TRUNCATE{','.join(tables)}{more}"


@form(0.5)
def lock_table(d: Draw) -> str:
    mode = d.words("IN SHARE MODE", "IN ROW EXCLUSIVE MODE", "IN EXCLUSIVE MODE", share=0.7)
    only = d.words("ONLY", share=0.2)
    return f"LOCK TABLE{only} {d.name(d.relation('rpv').name)}{mode}"
