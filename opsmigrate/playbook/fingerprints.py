"""The plan and the release as digests, so that what runs is what was judged."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import django
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor

from opsmigrate import __version__


@dataclass(frozen=True)
class Fingerprint:
    """One migration of a plan; `digest` changes with its file, and with what it says that it does.

    The file alone would not do: it may have been replaced since it was loaded.
    """

    migration: str
    backwards: bool
    digest: str


def fingerprints(plan: Iterable[tuple[Migration, bool]]) -> tuple[Fingerprint, ...]:
    """Return the fingerprints of a plan: pairs of a migration, and whether it is unapplied."""
    return tuple(
        Fingerprint(f"{each.app_label}.{each.name}", backwards, _digest_of(each))
        for each, backwards in plan
    )


def unlike(
    expected: Iterable[Fingerprint], found: Iterable[Fingerprint]
) -> tuple[tuple[str, str], ...]:
    """Return in what two plans differ: names of migrations, each with the reason.

    Their order is not compared: the graph determines it.
    """
    before = {each.migration: each for each in expected}
    after = {each.migration: each for each in found}
    reasons = dict.fromkeys(before.keys() - after.keys(), "is no longer in the plan")
    reasons |= dict.fromkeys(after.keys() - before.keys(), "was not in the plan")
    for name in before.keys() & after.keys():
        if before[name].backwards != after[name].backwards:
            reasons[name] = "goes in the other direction"
        elif before[name].digest != after[name].digest:
            reasons[name] = "has another content"
    return tuple(sorted(reasons.items()))


def release_digest(executor: MigrationExecutor) -> str:
    """Return what changes with the code that migrates: the graph, Django, opsmigrate."""
    graph: Mapping[tuple[str, str], Migration] = executor.loader.disk_migrations
    files = {".".join(key): _file_digest(each) for key, each in graph.items()}
    said = {"opsmigrate": __version__, "django": django.get_version(), "migrations": files}
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _digest_of(migration: Migration) -> str:
    said = [_file_digest(migration), *map(_described, migration.operations)]
    return sha256(json.dumps(said).encode()).hexdigest()


def _described(operation: object) -> str:
    try:
        return str(operation.describe())  # type: ignore[attr-defined]
    except Exception:  # an operation of the project's own may raise anything
        return type(operation).__qualname__


def _file_digest(migration: Migration) -> str | None:
    module = sys.modules.get(type(migration).__module__)
    file = getattr(module, "__file__", None)
    try:
        return sha256(Path(file).read_bytes()).hexdigest() if file else None
    except OSError:
        # In a zip file, or gone since.
        return None
