"""The manifest beside a backup: what it is a backup of, and how far it was verified."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from opsmigrate.files import write_atomically

SCHEMA = 1
PRIVATE = 0o600
# How far a backup can have been verified: not at all, from the file alone, by restoring it.
VERIFIED = (None, "archive", "restore")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is known of a backup; `taken` is the instant of its snapshot, `tables` maps to rows."""

    file: str
    bytes: int
    sha256: str
    taken: str
    finished: str
    run_id: str
    release: str | None
    database: Mapping[str, Any]
    client_version: str
    lsn: str | None
    migrations: tuple[str, ...]
    tables: Mapping[str, int]
    verified: str | None = None
    verified_at: str | None = None

    def with_verification(self, level: str) -> "Manifest":
        """Return the manifest, saying that `level` was verified now."""
        return replace(self, verified=level, verified_at=datetime.now(timezone.utc).isoformat())

    def age_hours(self, now: datetime) -> float:
        """Return the hours since the snapshot."""
        return (now - datetime.fromisoformat(self.taken)).total_seconds() / 3600


def manifest_path(backup: Path) -> Path:
    """Return where the manifest of `backup` stands: the same name, ending in .json."""
    return backup.with_suffix(".json")


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Write the manifest beside its backup, readable by its owner only; return its path."""
    path = manifest_path(folder / manifest.file)
    body = {"schema": SCHEMA, **asdict(manifest)}
    write_atomically(path, json.dumps(body, indent=2, ensure_ascii=False) + "\n", mode=PRIVATE)
    return path


def read_manifests(folder: Path) -> tuple[Manifest, ...]:
    """Return the manifests in `folder` whose backup is there and whole in size, newest first.

    Other JSON files, and manifests that were damaged, are passed over.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        manifest = _read(path)
        if manifest is not None and _is_there(folder / manifest.file, manifest.bytes):
            found.append(manifest)
    return tuple(
        sorted(found, key=lambda manifest: datetime.fromisoformat(manifest.taken), reverse=True)
    )


def _read(path: Path) -> Manifest | None:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body.pop("schema") != SCHEMA:
            return None
        manifest = Manifest(**{**body, "migrations": tuple(body["migrations"])})
        manifest.age_hours(datetime.now(timezone.utc))  # its instant can be read
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    named = isinstance(manifest.file, str) and manifest.file == Path(manifest.file).name
    return manifest if named and manifest.verified in VERIFIED else None


def _is_there(backup: Path, size: int) -> bool:
    return backup.is_file() and backup.stat().st_size == size
