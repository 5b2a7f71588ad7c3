"""What another order of the plan would save."""

from collections.abc import Iterable, Sequence
from typing import Any

from opsmigrate.counted import counted
from opsmigrate.preflight.forecast.forecast import Forecast, StatementCost
from opsmigrate.sql.grammar import deparse


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
        some = counted(len(costs), "statement rewrites", "statements rewrite")
        words = f"{some} {label} ({places})"
        together = _in_one(costs)
        if together is not None:
            words += (
                "; one rewrites it once, in a RunSQL with these operations as state_operations: "
                f"{together}"
            )
        yield {"table": label, "advice": words}


def _in_one(costs: Sequence[StatementCost]) -> str | None:
    """Return one ALTER TABLE that does what several do; None where they are not all of that kind.

    Nor where values belong to one: no report shows them.
    """
    node: Any = None
    for cost in costs:
        if len(cost.parts) != 1 or cost.parts[0].kind != "alter_table_stmt":
            return None
        [part] = cost.parts
        if part.text.split() != cost.sql.strip().rstrip(";").split():
            return None
        if node is None:
            node = type(part.node)()
            node.CopyFrom(part.node)
        else:
            node.cmds.extend(part.node.cmds)
    return deparse(node) if node is not None else None


def _place(cost: StatementCost) -> str:
    return f"{cost.migration} {cost.operation}"
