"""Owners and privileges."""

from __future__ import annotations

from tests.interpret.forms.draw import Draw, form

ROLES = ("interpret_owner", "interpret_reader", "CURRENT_USER", "interpret_absent")


@form(1)
def owner_to(d: Draw) -> str:
    word, kinds = d.one((("TABLE", "rp"), ("VIEW", "v"), ("SEQUENCE", "S")))
    return f"ALTER {word} {d.name(d.relation(kinds).name)} OWNER TO {d.one(ROLES)}"


@form(0.4)
def type_owner_to(d: Draw) -> str:
    types = sorted(d.schema.types)
    name = d.name(d.one(types)) if types else "absent"
    return f"ALTER TYPE {name} OWNER TO {d.one(ROLES)}"


@form(1)
def grant(d: Draw) -> str:
    table = d.relation("rpvS")
    privilege = d.one(("SELECT", "INSERT, UPDATE", "ALL", f"SELECT ({d.column(table)})", "USAGE"))
    return f"GRANT {privilege} ON {d.name(table.name)} TO {d.one((*ROLES, 'PUBLIC'))}"


@form(0.5)
def revoke(d: Draw) -> str:
    table = d.relation("rpvS")
    return f"REVOKE {d.one(('SELECT', 'ALL'))} ON {d.name(table.name)} FROM {d.one(ROLES)}"


@form(0.4)
def grant_schema(d: Draw) -> str:
    what = d.one(("USAGE ON SCHEMA app", "CREATE ON SCHEMA public", "USAGE ON TYPE mood"))
    return f"GRANT {what} TO {d.one(ROLES)}"
