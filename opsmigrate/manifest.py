"""The manifest beside a backup: what it is a backup of, and how far it was verified."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from opsmigrate.files import write_atomically
from opsmigrate.postgres.session import Session
from opsmigrate.seal import WrongSealError, require_keyed_seal, with_keyed_seal

SCHEMA = 2
PRIVATE = 0o600
BACKUP_SUFFIX = ".dump"
# How far a backup can have been verified: not at all, from the file alone, by restoring it.
VERIFIED = (None, "archive", "restore")


class UnreadableManifestError(Exception):
    """There is no manifest, or it is not what was written; the message says which."""


class UnsealedManifestError(UnreadableManifestError):
    """A key is set, and the manifest is not sealed with it."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is known of a backup; `taken` is the instant of its snapshot.

    `tables` maps each table to its rows, `digests` to its digest (opsmigrate.digest.lines), empty
    where only rows were counted. `sequences` maps to the last values handed out before and after
    the dump; null: none yet. `counters` are the rows that were ever inserted, updated and deleted,
    as the server's statistics had them. `properties` are those of the database, which pg_dump
    leaves out. `seconds` is how long the dump took. Every transaction with an id (xid8) before
    `xmin` had ended at the snapshot.
    """

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
    format: str = "custom"
    compress: str = "1"
    seconds: float = 0.0
    digests: Mapping[str, str] = field(default_factory=dict)
    large_objects: Mapping[str, Any] = field(default_factory=dict)
    sequences: Mapping[str, Sequence[int | None]] = field(default_factory=dict)
    extensions: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    counters: Mapping[str, Sequence[int]] = field(default_factory=dict)
    excluded: tuple[str, ...] = ()
    xmin: int | None = None
    verified: str | None = None
    verified_at: str | None = None

    def is_of(self, session: Session) -> bool:
        """Say whether it is of the database of `session`: of the same server and oid."""
        return (
            self.database.get("system_identifier") == str(session.system_identifier)
            and self.database.get("oid") == session.oid
        )

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
    body["seal"] = _seal(body)
    body = with_keyed_seal(body)
    write_atomically(path, json.dumps(body, indent=2, ensure_ascii=False) + "\n", mode=PRIVATE)
    return path


def read_manifest(backup: Path) -> Manifest:
    """Return the manifest of a backup; raise UnreadableManifestError where it cannot be relied on.

    The seal is the SHA-256 of the other entries: an edit, or a byte that changed, is seen. It is
    no signature: whoever means to forge a manifest can make a new one, but for the seal by a key
    (opsmigrate.seal) which it must have besides where one is set: UnsealedManifestError.
    """
    path = manifest_path(backup)
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        schema, seal = body.pop("schema"), body.pop("seal", None)
    except FileNotFoundError as error:
        raise UnreadableManifestError(f"there is no manifest {path.name} beside it") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableManifestError(f"its manifest {path.name} cannot be read") from error
    if schema != SCHEMA:
        raise UnreadableManifestError(
            f"its manifest {path.name} has the format {schema}; this version reads {SCHEMA}"
        )
    try:
        body = require_keyed_seal({"schema": schema, "seal": seal, **body})
    except WrongSealError as error:
        raise UnsealedManifestError(f"its manifest {path.name} {error}") from error
    del body["schema"], body["seal"]
    if seal != _seal({"schema": schema, **body}):
        raise UnreadableManifestError(f"its manifest {path.name} is not the one that was written")
    try:
        lists = {key: tuple(body[key]) for key in ("migrations", "excluded")}
        manifest = Manifest(**{**body, **lists})
        manifest.age_hours(datetime.now(timezone.utc))  # its instant can be read
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableManifestError(f"its manifest {path.name} is incomplete") from error
    if manifest.file != backup.name or manifest.verified not in VERIFIED:
        raise UnreadableManifestError(f"its manifest {path.name} is that of another backup")
    return manifest


def read_manifests(folder: Path) -> tuple[Manifest, ...]:
    """Return the manifests in `folder` whose backup is there and whole in size, newest first.

    Other JSON files, and manifests that were damaged, are passed over.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            manifest = read_manifest(path.with_suffix(BACKUP_SUFFIX))
        except UnreadableManifestError:
            continue
        if size_of(folder / manifest.file) == manifest.bytes:
            found.append(manifest)
    return tuple(
        sorted(found, key=lambda manifest: datetime.fromisoformat(manifest.taken), reverse=True)
    )


def _seal(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def size_of(backup: Path) -> int:
    """Return the bytes of a backup, a file or a folder; -1 where it is not there."""
    try:
        if backup.is_dir():
            return sum(path.stat().st_size for path in backup.iterdir())
        return backup.stat().st_size
    except OSError:
        return -1
