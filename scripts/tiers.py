"""Which tests run on which server: the tiers of scripts/test.py."""

from __future__ import annotations

# Each server major with one of the two drivers, so that both are tried.
DRIVERS = {18: "psycopg2", 17: "psycopg", 16: "psycopg", 15: "psycopg2", 14: "psycopg"}
MAJORS = (18, 16)
# Of a test of many cases that is marked `major`, one in so many with each change.
DIAGONAL_STEP = 4
QUICK = "not system and not long and not faults and not adversary"
TIERS = {
    # What is `named` is of the faults, and quick enough for each change.
    "core": f"({QUICK}) or (named and not system)",
    "system": "system",
    "long": "long",
    "faults": "(faults or adversary) and not system",
}


def suites(tier: str, major: int | None) -> list[tuple[int, str]]:
    """Return the majors to test on, and the marks of the tests for each."""
    if major is not None:
        return [(major, TIERS[tier])]
    first, other = MAJORS
    marks = QUICK if tier == "core" else TIERS[tier]
    return [(first, TIERS[tier]), (other, f"major and {marks}")]
