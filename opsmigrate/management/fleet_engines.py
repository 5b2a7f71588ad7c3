"""Who runs the units of a fleet: this machine, or the workers of the project's Celery."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.db import connections

from opsmigrate.conf import Settings
from opsmigrate.fleet.about import About
from opsmigrate.fleet.capacity import limits
from opsmigrate.fleet.celery_engine import CeleryEngine
from opsmigrate.fleet.class_engine import COMMAND, ClassEngine
from opsmigrate.fleet.local_engine import LocalEngine
from opsmigrate.fleet.progress import FleetProgress
from opsmigrate.fleet.run import Engine
from opsmigrate.fleet.run_folder import RunFolder
from opsmigrate.fleet.shared_place import SharedPlace, files_of
from opsmigrate.fleet.unit import Unit
from opsmigrate.management.fleet_arguments import require_command
from opsmigrate.progress import Progress

# Of workers elsewhere nobody knows here how many there are; the server's connections bound them.
MOST_ON_A_QUEUE = 64


def engine_for(
    about: About,
    folder: Path,
    *,
    settings: Settings,
    options: dict[str, Any],
    progress: Progress,
    tell: Callable[[FleetProgress], None],
) -> Callable[[Sequence[Unit]], Engine]:
    """Return what makes an engine for units of the run, as --engine and --at-most say.

    What preflight_migrate says of one target, it says of all that are like it (ClassEngine).
    `tell` is told how far the engine is. Raises UsageError and UndecidedError where there is no
    Celery to run them.
    """
    plain = _plain_engine(about, folder, settings, options, progress, tell)
    if about.command != COMMAND:
        return plain
    return lambda units: ClassEngine(
        units,
        folder,
        engine=plain,
        # Django's recorder of migrations asks the alias's own connection, and none like it.
        connection_of=lambda alias: connections[alias],
        options=require_command(about.command, about.arguments),
        say=progress.phase,
    )


def _plain_engine(
    about: About,
    folder: Path,
    settings: Settings,
    options: dict[str, Any],
    progress: Progress,
    tell: Callable[[FleetProgress], None],
) -> Callable[[Sequence[Unit]], Engine]:
    if options["engine"] == "local":
        most = options["at_most"] or os.cpu_count() or 1
        return lambda units: LocalEngine(units, folder, at_most=_limits(units, most), progress=tell)
    celery = CeleryEngine(
        folder,
        release=about.release,
        storage=settings.fleet_storage,
        connection_of=lambda alias: connections[alias],
        seconds=require_command(about.command, about.arguments).get("time_budget"),
        say=progress.phase,
        progress=tell,
    )
    most = options["at_most"] or MOST_ON_A_QUEUE
    return lambda units: celery.run(units, at_most=_limits(units, most))


def _limits(units: Sequence[Unit], most: int) -> Callable[[str], int]:
    return limits({each.target.server: connections[each.target.alias] for each in units}, most)


def bring_back(about: About, folder: Path, settings: Settings) -> None:
    """Write into the run's folder what workers have finished elsewhere since it was stopped."""
    place = SharedPlace(files_of(folder, settings.fleet_storage))
    place.bring([each.label for each in about.targets], RunFolder(folder))
