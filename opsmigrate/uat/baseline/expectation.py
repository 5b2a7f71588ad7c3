"""A change since the baseline that is meant."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What may change, or must by exactly `by`, and why.

    With `live` it is a model; its rows that came since do not count.
    """

    what: str
    reason: str
    by: Decimal | None
    live: bool
