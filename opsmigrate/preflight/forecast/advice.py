"""What another order of the plan would save."""

import re
from collections.abc import Iterable

from opsmigrate.counted import counted
from opsmigrate.preflight.forecast.outlook import Forecast, Weight

ACTIONS = re.compile(r"ALTER TABLE (\S+) ([^;]+)")


def order_advice(forecast: Forecast) -> list[dict[str, str]]:
    """Return what another order would save, for each live table."""
    return [*_indexes_built_twice(forecast), *_rewritten_twice(forecast)]


def _indexes_built_twice(forecast: Forecast) -> Iterable[dict[str, str]]:
    made: dict[str, Weight] = {}
    said: set[str] = set()
    for weight in forecast.weights:
        for label in weight.effects.rewrites:
            if label in made and label not in said:
                said.add(label)
                yield {
                    "table": label,
                    "advice": f"{_place(weight)} rewrites {label} after {_place(made[label])} "
                    "made an index on it, which is then built a second time: put "
                    "the rewrite first",
                }
        for label in weight.effects.builds:
            if label not in weight.effects.rewrites:
                made.setdefault(label, weight)


def _rewritten_twice(forecast: Forecast) -> Iterable[dict[str, str]]:
    found: dict[str, list[Weight]] = {}
    for weight in forecast.weights:
        for label in weight.effects.rewrites:
            found.setdefault(label, []).append(weight)
    for label, weights in found.items():
        if len(weights) < 2:
            continue
        places = ", ".join(_place(weight) for weight in weights)
        matches = [ACTIONS.match(" ".join(weight.sql.split())) for weight in weights]
        actions = [match[2] for match in matches if match is not None]
        some = counted(len(weights), "statement rewrites", "statements rewrite")
        words = f"{some} {label} ({places})"
        if len(actions) == len(weights) and matches[0] is not None:
            words += (
                "; one rewrites it once, in a RunSQL with these operations as state_operations: "
                f"ALTER TABLE {matches[0][1]} {', '.join(actions)}"
            )
        yield {"table": label, "advice": words}


def _place(weight: Weight) -> str:
    return f"{weight.migration} {weight.operation}"
