"""What a statement may need of which not all is told: on what it names, and what that reaches."""

from collections.abc import Iterable, Iterator

from opsmigrate.postgres.catalog import Relation
from opsmigrate.preflight.interpret.inheritance import surroundings
from opsmigrate.preflight.interpret.rights import Doubt, Within
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.preflight.rehearsal.lacking_rights import WRITES, LackingRights
from opsmigrate.preflight.rehearsal.objects_of_others import ObjectsOfOthers
from opsmigrate.preflight.walk.privileges import missing_privilege
from opsmigrate.sql.bodies import without_literals
from opsmigrate.sql.names import Name


def doubted(lacking: LackingRights, schema: Schema, doubt: Doubt) -> Iterator[str]:
    """Yield in words what the role may lack."""
    others = lacking.others
    if doubt.within is Within.ANYTHING:
        if others.anything(lacking.catalog):
            yield doubt.why
        return
    if doubt.within is Within.CODE:
        for relation in others.relations_in(doubt.text):
            yield f"{relation.label} belongs to another role, and {doubt.why}"
        return
    named = _named(lacking, schema, doubt.text)
    rows = doubt.within is Within.ROWS
    reached = named if rows else surroundings(schema, named)
    for relation in _of_others(lacking, schema, doubt.text, _read_by(schema, reached)):
        if not rows or _lacks_any(lacking, relation):
            yield f"{relation.label} belongs to another role, and {doubt.why}"
    if not rows:
        yield from _made(lacking, schema, named, doubt)


def _named(lacking: LackingRights, schema: Schema, text: str) -> set[Name]:
    return {each for each in schema.relations if lacking.others.stands_in(each.name, text)}


def _read_by(schema: Schema, names: Iterable[Name]) -> set[Name]:
    """Return the relations, and what the views among them read."""
    found, waiting = set[Name](), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            relation = schema.at(name)
            waiting += [use.relation for use in relation.uses] if relation is not None else []
    return found


def _of_others(
    lacking: LackingRights, schema: Schema, text: str, reached: Iterable[Name]
) -> tuple[Relation, ...]:
    found = {each.oid: each for each in lacking.others.relations_in(text)}
    for name in reached:
        relation = lacking.live(schema, name)
        if relation is not None and (relation.schema, relation.name) in lacking.others.relations:
            found[relation.oid] = relation
    return tuple(found.values())


def _lacks_any(lacking: LackingRights, relation: Relation) -> bool:
    verbs = ("SELECT", *WRITES)
    return any(missing_privilege(lacking.connection, relation, verb) for verb in verbs)


def _made(lacking: LackingRights, schema: Schema, named: set[Name], doubt: Doubt) -> Iterator[str]:
    """Yield what is named that is no relation, and where something may be made."""
    catalog, others = lacking.catalog, lacking.others
    for item in others.objects:
        if not item.built_in and others.stands_in(item.name, doubt.text):
            yield f"{item.label} belongs to another role, and {doubt.why}"
    if not doubt.makes:
        return
    homes = {each.schema for each in named} | set(schema.search_path[:1])
    homes |= {each for each in schema.schemas if others.stands_in(each, doubt.text)}
    for home in sorted(homes & catalog.schemas - catalog.creatable):
        yield f"CREATE on SCHEMA {home} is not granted to the role, and {doubt.why}"


def unusable(others: ObjectsOfOthers, text: str) -> Iterator[str]:
    """Yield in words what a text names that the role may not use."""
    text = without_literals(text)
    for item in others.objects:
        if not item.usable and others.stands_in(item.name, text):
            yield f"{item.label} belongs to another role, and may not be used"
