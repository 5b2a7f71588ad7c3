"""How far a rehearsal has come, for whoever must know it after its process was ended."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

NAME = "how-far.json"


@dataclass(frozen=True)
class RehearsalProgress:
    """The place that runs, what was begun (migration, backwards), and what the fence refused."""

    migration: str | None = None
    operation: str | None = None
    applied: list[tuple[str, bool]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)


def write_progress(folder: Path, progress: RehearsalProgress) -> None:
    """Put it into the folder, whole or not at all."""
    part = folder / f"{NAME}.part"
    part.write_text(json.dumps(asdict(progress)), encoding="utf-8")
    os.replace(part, folder / NAME)


def read_progress(folder: Path) -> RehearsalProgress:
    """Return what was written last; an empty one where nothing was."""
    try:
        return RehearsalProgress(**json.loads((folder / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return RehearsalProgress()
