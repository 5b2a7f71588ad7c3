"""Classes: targets that are the same to `migrate`, but for their rows, their size and their users.

A class of one among a thousand is the tenant that has drifted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.fleet.catalogs import CatalogDigest, catalog_lines
from opsmigrate.fleet.pending import Pending
from opsmigrate.fleet.targets import Target

SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class TargetClass:
    """Targets with equal applied migrations and equal catalogs, in the fleet's order.

    `migrations` are those that are pending in each of them. `known` is False for a target of which
    that cannot be said without a command of its own: it is in a class by itself.
    """

    members: tuple[Target, ...]
    migrations: tuple[str, ...] | None
    digest: CatalogDigest | None

    @property
    def known(self) -> bool:
        """Return whether what is found of one member can be said of others."""
        return self.migrations is not None and self.digest is not None

    @property
    def label(self) -> str:
        """Return what it is called: the first member, and how many more there are."""
        more = len(self.members) - 1
        return self.members[0].label + (f" and {more:,} more" if more else "")


def classes(
    found: Iterable[Pending], digests: Mapping[str, CatalogDigest]
) -> tuple[TargetClass, ...]:
    """Return the classes of the targets, of all their databases; the smallest first.

    Of equal size, in the order of the targets. `digests` are those of catalog_digests(), by label.
    """
    members: dict[tuple[str, ...], list[Pending]] = {}
    for each in found:
        digest, label = digests.get(each.target.label), each.target.label
        if each.migrations is None or each.history is None or digest is None:
            members["alone", label] = [each]
        else:
            members.setdefault(("equal", each.history, digest.whole), []).append(each)
    made = [
        TargetClass(
            members=tuple(each.target for each in some),
            migrations=some[0].migrations,
            digest=digests.get(some[0].target.label),
        )
        for some in members.values()
    ]
    return tuple(sorted(made, key=lambda each: len(each.members)))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What makes a class another one than the largest: lines of its catalog, of each at most SHOWN.

    `words` say what is not in these lines: another history, or what is around the schema.
    """

    words: tuple[str, ...] = ()
    only_here: tuple[str, ...] = ()
    missing_here: tuple[str, ...] = ()
    more: int = 0


def difference(
    one: TargetClass,
    largest: TargetClass,
    by_alias: Mapping[str, BaseDatabaseWrapper],
) -> Difference:
    """Return what makes a class another one than the largest; both are known."""
    words: list[str] = []
    if one.migrations != largest.migrations:
        words += _of_history(one, largest)
    assert one.digest is not None and largest.digest is not None  # noqa: S101, PT018 - both known
    if one.digest.shared != largest.digest.shared:
        words.append("the server, the role, the settings or the shared schemas differ")
    if one.digest.own == largest.digest.own:
        if not words:
            words.append("other migrations are recorded, of which none is pending")
        return Difference(words=tuple(words))
    here, there = (
        {
            line
            for lines in catalog_lines(by_alias[each.members[0].alias], each.members[0]).values()
            for line in lines
        }
        for each in (one, largest)
    )
    only, missing = sorted(here - there), sorted(there - here)
    return Difference(
        words=tuple(words),
        only_here=tuple(only[:SHOWN]),
        missing_here=tuple(missing[:SHOWN]),
        more=max(0, len(only) - SHOWN) + max(0, len(missing) - SHOWN),
    )


def _of_history(one: TargetClass, largest: TargetClass) -> Sequence[str]:
    own, others = one.migrations or (), largest.migrations or ()
    more = [each for each in own if each not in others]
    fewer = [each for each in others if each not in own]
    return [
        *([f"not applied here, but there: {', '.join(more)}"] if more else []),
        *([f"applied here, but not there: {', '.join(fewer)}"] if fewer else []),
    ]
