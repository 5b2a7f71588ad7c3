"""Views, sequences, triggers, policies, rules, schemas."""

from __future__ import annotations

from opsmigrate.preflight.interpret.schema import Relation
from tests.interpret.forms.draw import Draw, form


def _query(d: Draw) -> str:
    table = d.relation("rrrpvm")
    where = f" WHERE {d.condition(table)}" if d.maybe(0.3) else ""
    chosen = d.columns(table, 4) if d.maybe(0.8) else "*"
    if d.maybe(0.1):
        return f"SELECT count(*) AS n, {d.column(table)} AS g FROM {d.name(table.name)} GROUP BY 2"
    return f"SELECT {chosen} FROM {d.name(table.name)}{where}"


@form(3)
def create_view(d: Draw) -> str:
    replace = d.words("OR REPLACE", share=0.2)
    return f"CREATE{replace} VIEW {d.new_relation()} AS {_query(d)}"


@form(1)
def replace_view(d: Draw) -> str | None:
    view = d.relation("v")
    if not view.query:
        return None
    query = view.query.rstrip(";")
    more = ", 1 AS one" if d.maybe(0.4) else ""
    return (
        f"CREATE OR REPLACE VIEW {d.name(view.name)} AS SELECT inner_.*{more} FROM ({query}) inner_"
    )


@form(1)
def create_materialized_view(d: Draw) -> str:
    exists = d.words("IF NOT EXISTS", share=0.1)
    no_data = d.words("WITH NO DATA", share=0.2)
    return f"CREATE MATERIALIZED VIEW{exists} {d.new_relation()} AS {_query(d)}{no_data}"


@form(0.7)
def refresh(d: Draw) -> str:
    concurrently = d.words("CONCURRENTLY", share=0.2)
    no_data = d.words("WITH NO DATA", share=0.2)
    return f"REFRESH MATERIALIZED VIEW{concurrently} {d.name(d.relation('m').name)}{no_data}"


@form(1.2)
def drop_view(d: Draw) -> str:
    word, kinds = d.one((("VIEW", "v"), ("VIEW", "v"), ("MATERIALIZED VIEW", "m")))
    exists = d.words("IF EXISTS", share=0.2)
    return f"DROP {word}{exists} {d.name(d.relation(kinds).name)}{d.words('CASCADE', share=0.3)}"


@form(1)
def create_sequence(d: Draw) -> str:
    type_ = d.words("AS int", "AS smallint", share=0.2)
    options = d.words("START 10", "INCREMENT -1", "MAXVALUE 99 CYCLE", "MINVALUE 5", share=0.4)
    table = d.relation("r")
    owned = f" OWNED BY {d.name(table.name)}.{d.column(table)}" if d.maybe(0.3) else ""
    exists = d.words("IF NOT EXISTS", share=0.1)
    return f"CREATE SEQUENCE{exists} {d.new_relation()}{type_}{options}{owned}"


@form(1)
def alter_sequence(d: Draw) -> str:
    table = d.relation("r")
    owned = f"OWNED BY {d.name(table.name)}.{d.column(table)}"
    what = d.one(
        (
            owned,
            "OWNED BY NONE",
            "INCREMENT 3",
            "RESTART WITH 5",
            "AS bigint",
            "MAXVALUE 3",
            "CYCLE",
        )
    )
    return f"ALTER SEQUENCE {d.name(d.relation('S').name)} {what}"


@form(0.8)
def drop_sequence(d: Draw) -> str:
    name = d.name(d.relation("S").name)
    return f"DROP SEQUENCE{d.words('IF EXISTS', share=0.2)} {name}{d.words('CASCADE', share=0.3)}"


@form(1.5)
def create_trigger(d: Draw) -> str:
    table = d.relation("rrpv")
    of = f" OF {d.columns(table, 2)}" if d.maybe(0.3) else ""
    when = d.one(("BEFORE UPDATE", "AFTER UPDATE", "AFTER INSERT OR UPDATE"))
    level = d.one(("FOR EACH ROW", "FOR EACH ROW", "FOR EACH STATEMENT"))
    if table.kind == "v" and d.maybe(0.8):
        when, of, level = "INSTEAD OF UPDATE", "", "FOR EACH ROW"
    replace = d.words("OR REPLACE", share=0.1)
    on = f"{when}{of} ON {d.name(table.name)} {level}"
    function = d.one(("fired", "fired", "fired", "plus", "absent"))
    return f"CREATE{replace} TRIGGER {d.new()} {on} EXECUTE FUNCTION {function}()"


@form(0.4)
def create_constraint_trigger(d: Draw) -> str:
    on = f"AFTER INSERT ON {d.name(d.relation('r').name)} DEFERRABLE INITIALLY DEFERRED"
    return f"CREATE CONSTRAINT TRIGGER {d.new()} {on} FOR EACH ROW EXECUTE FUNCTION fired()"


def _with(d: Draw, what: str) -> Relation:
    every = [each for each in d.schema.relations.values() if getattr(each, what)]
    return d.one(sorted(every, key=lambda each: each.name)) if every else d.relation("r")


@form(1)
def drop_trigger(d: Draw) -> str:
    table = _with(d, "triggers")
    name = d.quoted(d.one([*sorted(table.triggers), "absent"]))
    return f"DROP TRIGGER{d.words('IF EXISTS', share=0.3)} {name} ON {d.name(table.name)}"


@form(0.7)
def enable_trigger(d: Draw) -> str:
    table = _with(d, "triggers")
    name = d.one([*map(d.quoted, sorted(table.triggers)), "USER", "ALL", "absent"])
    word = d.one(("ENABLE", "DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"))
    if name in ("USER", "ALL"):
        word = word.partition(" ")[0]
    return f"ALTER TABLE {d.name(table.name)} {word} TRIGGER {name}"


@form(1.2)
def create_policy(d: Draw) -> str:
    table = d.relation("rrpv")
    words = f"CREATE POLICY {d.new()} ON {d.name(table.name)}"
    words += d.words("AS RESTRICTIVE", share=0.2) + d.words("FOR SELECT", "FOR UPDATE", share=0.4)
    return f"{words} USING ({d.condition(table)})"


@form(0.6)
def alter_policy(d: Draw) -> str:
    table = _with(d, "policies")
    name = d.quoted(d.one([*sorted(table.policies), "absent"]))
    return f"ALTER POLICY {name} ON {d.name(table.name)} USING ({d.condition(table)})"


@form(0.7)
def drop_policy(d: Draw) -> str:
    table = _with(d, "policies")
    name = d.quoted(d.one([*sorted(table.policies), "absent"]))
    return f"DROP POLICY{d.words('IF EXISTS', share=0.3)} {name} ON {d.name(table.name)}"


@form(1)
def row_security(d: Draw) -> str:
    word = d.one(("ENABLE", "DISABLE", "FORCE", "NO FORCE"))
    return f"ALTER TABLE {d.name(d.relation('rp').name)} {word} ROW LEVEL SECURITY"


@form(0.6)
def create_rule(d: Draw) -> str:
    table = d.relation("rv")
    event = d.one(("INSERT", "UPDATE", "DELETE"))
    replace = d.words("OR REPLACE", share=0.1)
    return f"CREATE{replace} RULE {d.new()} AS ON {event} TO {d.name(table.name)} DO ALSO NOTHING"


@form(0.4)
def drop_rule(d: Draw) -> str:
    table = _with(d, "rules")
    name = d.quoted(d.one([*sorted(table.rules), "absent"]))
    return f"DROP RULE {name} ON {d.name(table.name)}"


@form(0.8)
def schemas(d: Draw) -> str:
    name = d.one(("other", "spare", '"Mixed Case"', "absent", "fresh"))
    if d.maybe():
        return f"CREATE SCHEMA{d.words('IF NOT EXISTS', share=0.3)} {name}"
    return f"DROP SCHEMA{d.words('IF EXISTS', share=0.3)} {name}{d.words('CASCADE', share=0.2)}"
