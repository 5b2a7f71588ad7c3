"""The code that a statement reaches: functions that it calls, and triggers of what it writes."""

from collections.abc import Iterator

from opsmigrate.preflight.interpret.rights import Needs
from opsmigrate.preflight.rehearsal.lacking_rights import WRITES, LackingRights
from opsmigrate.preflight.walk.privileges import missing_privilege
from opsmigrate.sql import nodes
from opsmigrate.sql.statement import Node

# What they name is called later, or never.
DEFINING = ("create_function_stmt", "create_trig_stmt", "rule_stmt", "view_stmt")
SESSION_ROLES = ("role", "session_authorization")


def code_reached(lacking: LackingRights, needs: Needs) -> Iterator[str]:
    """Yield in words what code of the database names that is another role's: it runs as ours."""
    for name in _called(lacking, needs):
        for source in lacking.others.functions.get(name, ()):
            yield from _behind(lacking, f"the function {name}", source)
    written = {tuple(each) for each in needs.effects.writes_rows} if needs.effects else set()
    written |= {each.name for each in needs.rights if each.privilege in WRITES}
    for name_ in sorted(written):
        relation = lacking.live(needs.before, name_)
        for source in lacking.others.triggers.get(relation.oid, ()) if relation else ():
            yield from _behind(lacking, f"a trigger of {relation.label}", source)  # type: ignore[union-attr]


def _called(lacking: LackingRights, needs: Needs) -> Iterator[str]:
    statement = needs.statement
    if statement is None or statement.kind in DEFINING:
        return
    for part in statement.parts():
        if part.kind == "FuncCall":
            yield nodes.names(part.value.funcname)[-1]
    if statement.kind == "do_stmt":
        for name in lacking.others.functions:
            if lacking.others.stands_in(name, statement.text):
                yield name


def _behind(lacking: LackingRights, what: str, source: str) -> Iterator[str]:
    """Yield the relations of others that code of the database names."""
    for other in lacking.others.relations_in(source):
        verbs = ("SELECT", *WRITES)
        if any(missing_privilege(lacking.connection, other, verb) for verb in verbs):
            yield f"{what} names {other.label}, of another role"


def sets_role(needs: Needs) -> bool:
    """Return whether another role executes what follows, as far as the text tells."""
    return needs.statement is not None and any(map(_sets_role, needs.statement.parts()))


def _sets_role(part: Node) -> bool:
    if part.kind == "VariableSetStmt":
        return part.value.name in SESSION_ROLES
    called = part.kind == "FuncCall" and nodes.names(part.value.funcname)[-1] == "set_config"
    return bool(
        called and part.value.args and nodes.text(part.value.args[0]) in (None, *SESSION_ROLES)
    )
