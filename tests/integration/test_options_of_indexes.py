"""WITH (…) of an index, as Django writes it and by hand: each option has its bounds."""

from collections.abc import Callable

import pytest

from tests.conftest import Ops
from tests.integration.one_cage import prepared  # noqa: F401 - a fixture
from tests.integration.zoo_migrations import migrate

MODULE = "__import__('django.contrib.postgres.indexes').contrib.postgres.indexes"


def index(kind: str, options: str) -> str:
    return f'migrations.AddIndex("cage", {MODULE}.{kind}({options}, name="i")),'


def by_hand(method: str, options: str) -> str:
    return f"""migrations.RunSQL("CREATE INDEX i ON zoo_cage USING {method} WITH ({options})"),"""


SVECTOR = 'SearchVector("name", config="english")'
FAILING = {
    "a btree that is too empty": index("BTreeIndex", 'fields=["size"], fillfactor=5'),
    "a hash that is too full": index("HashIndex", 'fields=["size"], fillfactor=101'),
    "a short list of GIN": index("GinIndex", f"{SVECTOR}, gin_pending_list_limit=1"),
    "by hand": by_hand("btree (size)", "fillfactor = 5"),
    "BRIN by hand": by_hand("brin (size)", "pages_per_range = 0"),
}
APPLYING = {
    "a btree": index("BTreeIndex", 'fields=["size"], fillfactor=10, deduplicate_items=False'),
    "a hash": index("HashIndex", 'fields=["size"], fillfactor=100'),
    "GIN": index("GinIndex", f"{SVECTOR}, fastupdate=True, gin_pending_list_limit=64"),
    "BRIN": index("BrinIndex", 'fields=["size"], autosummarize=True, pages_per_range=131072'),
    "by hand": by_hand("btree (size)", "fillfactor = 50, deduplicate_items = off"),
    "without a value": by_hand("brin (size)", "autosummarize"),
}


@pytest.mark.parametrize("about", FAILING, ids=lambda about: about.replace(" ", "-"))
def test_a_value_out_of_bounds_is_no_yes(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    alias = prepared(FAILING[about])

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code in ((1,) if "hand" in about else (1, 3))
    assert migrate(alias, "zoo") is not None


@pytest.mark.parametrize("about", APPLYING, ids=lambda about: about.replace(" ", "-"))
def test_a_value_within_them_is_fine(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    alias = prepared(APPLYING[about])

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (0, [])
    assert migrate(alias, "zoo") is None
