"""Ways in which a database drifts, each a few statements made from what is there."""

from tests.drift import (
    damage_data,
    damage_dependents,
    damage_history,
    damage_kinds,
    damage_structure,
    damage_surroundings,
)
from tests.drift.target import Statements, Target

WAYS = {
    way.__name__: way
    for part in (
        damage_structure,
        damage_kinds,
        damage_dependents,
        damage_data,
        damage_surroundings,
        damage_history,
    )
    for way in part.WAYS
}


def choose(at: Target, among: list[str]) -> tuple[str, Statements]:
    """Return one of the named ways, or of all, and its statements; none where it does not apply."""
    name = at.random.choice(among or list(WAYS))
    return name, WAYS[name](at)
