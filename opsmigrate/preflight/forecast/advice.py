"""What another order of the plan would save."""

import re
from collections.abc import Iterable

from opsmigrate.counted import counted
from opsmigrate.preflight.forecast.forecast import Forecast, StatementCost

ACTIONS = re.compile(r"ALTER TABLE (\S+) ([^;]+)")


def order_advice(forecast: Forecast) -> list[dict[str, str]]:
    """Return what another order would save, for each live table."""
    return [*_indexes_built_twice(forecast), *_rewritten_twice(forecast)]


def _indexes_built_twice(forecast: Forecast) -> Iterable[dict[str, str]]:
    made: dict[str, StatementCost] = {}
    said: set[str] = set()
    for cost in forecast.costs:
        for label in cost.effects.rewrites:
            if label in made and label not in said:
                said.add(label)
                yield {
                    "table": label,
                    "advice": f"{_place(cost)} rewrites {label} after {_place(made[label])} "
                    "made an index on it, which is then built a second time: put "
                    "the rewrite first",
                }
        for label in cost.effects.builds:
            if label not in cost.effects.rewrites:
                made.setdefault(label, cost)


def _rewritten_twice(forecast: Forecast) -> Iterable[dict[str, str]]:
    found: dict[str, list[StatementCost]] = {}
    for cost in forecast.costs:
        for label in cost.effects.rewrites:
            found.setdefault(label, []).append(cost)
    for label, costs in found.items():
        if len(costs) < 2:
            continue
        places = ", ".join(_place(cost) for cost in costs)
        matches = [ACTIONS.match(" ".join(cost.sql.split())) for cost in costs]
        actions = [match[2] for match in matches if match is not None]
        some = counted(len(costs), "statement rewrites", "statements rewrite")
        words = f"{some} {label} ({places})"
        if len(actions) == len(costs) and matches[0] is not None:
            words += (
                "; one rewrites it once, in a RunSQL with these operations as state_operations: "
                f"ALTER TABLE {matches[0][1]} {', '.join(actions)}"
            )
        yield {"table": label, "advice": words}


def _place(cost: StatementCost) -> str:
    return f"{cost.migration} {cost.operation}"
