"""Which type becomes which, and how: PostgreSQL's rules of casts, on the interpreted schema."""

from __future__ import annotations

from opsmigrate.preflight.interpret.schema import Schema, Type
from opsmigrate.preflight.interpret.system import TypeFacts
from opsmigrate.sql.names import Name
from opsmigrate.sql.types import element_type, user_type, without_modifier

# Contexts of a cast, from the narrowest: what one allows, those after it allow too.
CONTEXTS = "iae"
UNKNOWN = "unknown"
# Of these, and of those that begin with "any", are only arguments and results.
PSEUDO = frozenset({UNKNOWN, "record", "trigger", "void", "cstring", "internal"})
# Polymorphic types that any type of a kind fits: the first letter of typtype or "A" for arrays.
POLYMORPHIC = {
    "anyelement": "",
    "anycompatible": "",
    "any": "",
    '"any"': "",
    "anyarray": "A",
    "anycompatiblearray": "A",
    "anyenum": "e",
    "anyrange": "r",
    "anycompatiblerange": "r",
    "anymultirange": "m",
    "anycompatiblemultirange": "m",
    "anynonarray": "N",
    "anycompatiblenonarray": "N",
}


def is_pseudo(shown: str) -> bool:
    """Return whether a type is one of those that no value in a row is of."""
    return shown in PSEUDO or shown.startswith("any")


def user_type_of(schema: Schema, shown: str) -> Type | None:
    """Return the type that no relation made and that the schema has under this key."""
    cache = schema.__dict__.get("_types_shown")
    if cache is None:
        cache = {user_type(name): each for name, each in schema.types.items()}
        schema.__dict__["_types_shown"] = cache
    found: Type | None = cache.get(shown)
    return found


def facts_of(schema: Schema, shown: str) -> TypeFacts | None:
    """Return what is known of a type without its modifier; None for what is not."""
    bare = without_modifier(shown)
    ours = user_type_of(schema, bare)
    if ours is not None:
        category = {"e": "E", "r": "R", "m": "R", "c": "C", "d": "U", "b": "U"}[ours.kind]
        base = without_modifier(ours.base) if ours.base else None
        if ours.kind == "d" and base and (under := facts_of(schema, base)):
            category = under.category
        if ours.kind != "b":
            return TypeFacts(ours.kind, category, False, base)
    if (element := element_type(bare)) is not None and facts_of(schema, element):
        return TypeFacts("b", "A", False, None)
    if bare in row_types(schema):
        return TypeFacts("c", "C", False, None)
    return schema.system.types.get(bare)


def row_types(schema: Schema) -> dict[str, Name]:
    """Return the types that relations made."""
    cache = schema.__dict__.get("_row_types")
    if cache is None:
        cache = {
            user_type(name): name for name, each in schema.relations.items() if each.kind != "S"
        }
        schema.__dict__["_row_types"] = cache
    found: dict[str, Name] = cache
    return found


def base_type(schema: Schema, shown: str) -> str:
    """Return the type without its modifier; of a domain, what it is made of in the end."""
    bare = without_modifier(shown)
    while (facts := facts_of(schema, bare)) and facts.kind == "d" and facts.base:
        bare = without_modifier(facts.base)
    return bare


def has_domain_constraints(schema: Schema, shown: str) -> bool:
    """Return whether a value has to pass the constraints of a domain."""
    while (domain := user_type_of(schema, without_modifier(shown))) and domain.kind == "d":
        if domain.not_null or domain.checks:
            return True
        shown = domain.base or ""
    return False


def how(schema: Schema, source: str, target: str, context: str) -> str | None:
    """Return how a value becomes one of another type: "b" as it is, "f" by a function, "i" by text.

    None where it does not in this context: "i" in an expression, "a" where it is assigned, "e"
    where a cast is written. The rules of find_coercion_pathway() in parse_coerce.c.
    """
    source, target = without_modifier(source), without_modifier(target)
    if source in (target, UNKNOWN):
        return "b" if source == target else "i"
    if target in POLYMORPHIC:
        return "b" if fits(schema, source, target) else None
    if source == "record" or target == "record":
        return "b" if (facts := facts_of(schema, source)) and facts.kind == "c" else None
    ours, theirs = base_type(schema, source), base_type(schema, target)
    if ours == theirs:
        return "b"
    found = schema.system.casts.get((ours, theirs))
    if found is not None:
        return found[1] if CONTEXTS.index(found[0]) <= CONTEXTS.index(context) else None
    elements = element_type(ours), element_type(theirs)
    if elements[0] is not None and elements[1] is not None:
        # Element by element, but where they stay as they are.
        return how(schema, elements[0], elements[1], context)
    return _by_text(schema, ours, theirs, context)


def _by_text(schema: Schema, source: str, target: str, context: str) -> str | None:
    categories = [
        facts.category if (facts := facts_of(schema, each)) else "" for each in (source, target)
    ]
    if context in "ae" and categories[1] == "S":
        return "i"
    return "i" if context == "e" and categories[0] == "S" else None


def fits(schema: Schema, source: str, polymorphic: str) -> bool:
    """Return whether a type is one of those that a polymorphic type stands for."""
    kind = POLYMORPHIC[polymorphic]
    base = base_type(schema, source)
    if kind == "":
        return True
    is_array = element_type(base) is not None or base in ("int2vector", "oidvector")
    if kind in "AN":
        return is_array == (kind == "A")
    facts = facts_of(schema, base)
    return facts is not None and facts.kind == kind


def is_binary(schema: Schema, source: str, target: str) -> bool:
    """Return whether a value stays as it is, without any function (IsBinaryCoercible)."""
    ours, theirs = base_type(schema, source), without_modifier(target)
    if ours == theirs or without_modifier(source) == theirs:
        return True
    if theirs in POLYMORPHIC:
        return fits(schema, ours, theirs)
    if theirs == "record":
        facts = facts_of(schema, ours)
        return facts is not None and facts.kind == "c"
    return schema.system.casts.get((ours, theirs)) == ("i", "b")
