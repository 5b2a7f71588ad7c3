"""The manifest beside a backup: what it is a backup of, and how far it was verified."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from opsmigrate.files import write_atomically
from opsmigrate.json_files import OR_EMPTY, UnreadableError, read_object, shaped
from opsmigrate.pgtools.printing import PRINTING
from opsmigrate.postgres.session import Session
from opsmigrate.seal import WrongSealError, require_keyed_seal, with_keyed_seal

# As JSON writes it, and not a backslash that is followed by the same letters.
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
SCHEMA = 2
PRIVATE = 0o600
BACKUP_SUFFIX = ".dump"
# How far a backup can have been verified: not at all, from the file alone, by restoring it.
VERIFIED = (None, "archive", "restore")
# By so much the clocks of a server and of its client may differ.
CLOCKS_DIFFER = timedelta(minutes=5)


class _Server(TypedDict, total=False):
    server_version: str


class _Identity(_Server):
    name: str
    oid: int
    system_identifier: str


class _LargeObjects(TypedDict):
    chunks: int
    digest: str


class _Roles(TypedDict):
    owners: Sequence[str]
    grantees: Sequence[str]


class _Provider(TypedDict, total=False):
    datlocprovider: Literal["c", "i", "b"]
    daticulocale: str | None
    datlocale: str | None
    daticurules: str | None


class _Locale(_Provider):
    datcollate: str
    datctype: str


class _SinceRoles(TypedDict, total=False):
    roles: _Roles


class _Properties(_SinceRoles):
    owner: str
    encoding: str
    bytes: int
    comment: str | None
    connection_limit: int
    is_template: bool
    grants: Sequence[tuple[str | None, Literal["CREATE", "CONNECT", "TEMPORARY"], bool]] | None
    settings: Sequence[tuple[str | None, str]]
    locale: _Locale


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
    leaves out, `printed` the settings that values were written with. `seconds` is how long the dump
    took. Every transaction with an id (xid8) before `xmin` had ended at the snapshot.
    """

    file: str
    bytes: int
    sha256: str
    taken: str
    finished: str
    run_id: str
    release: str | None
    database: Annotated[Mapping[str, Any], _Identity]
    client_version: str
    lsn: str | None
    migrations: tuple[str, ...]
    tables: Mapping[str, int]
    format: str = "custom"
    compress: str = "1"
    seconds: float = 0.0
    digests: Mapping[str, str] = field(default_factory=dict)
    large_objects: Annotated[Mapping[str, Any], OR_EMPTY, _LargeObjects] = field(
        default_factory=dict
    )
    sequences: Mapping[str, Annotated[Sequence[int | None], tuple[int | None, int | None]]] = field(
        default_factory=dict
    )
    extensions: Mapping[str, str] = field(default_factory=dict)
    properties: Annotated[Mapping[str, Any], OR_EMPTY, _Properties] = field(default_factory=dict)
    counters: Mapping[str, Annotated[Sequence[int], tuple[int, int, int, int]]] = field(
        default_factory=dict
    )
    excluded: tuple[str, ...] = ()
    xmin: int | None = None
    verified: str | None = None
    verified_at: str | None = None
    printed: Mapping[str, str] = field(default_factory=dict)

    @property
    def printing(self) -> Mapping[str, str]:
        """Return the settings that its text was written with (opsmigrate.pgtools.printing).

        An older manifest says of them only what the database itself had set.
        """
        if self.printed:
            return self.printed
        settings = self.properties.get("settings", ())
        own = dict(item.partition("=")[::2] for role, item in settings if role is None)
        return {name: own[name] for name in PRINTING.keys() & own.keys()}

    def is_of(self, session: Session) -> bool:
        """Return whether it is of the database of `session`: of the same server and oid."""
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

    def is_from_the_future(self, now: datetime) -> bool:
        """Return whether the snapshot is dated in the future: then its age is not known."""
        return datetime.fromisoformat(self.taken) > now + CLOCKS_DIFFER


@dataclass(frozen=True)
class PassedOver:
    """A file that looks like a manifest by its name, and why it is none that can be used."""

    name: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """What is in a folder of backups: the manifests, newest first, and what was passed over."""

    manifests: tuple[Manifest, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()


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
        body = read_object(path)
    except FileNotFoundError as error:
        raise UnreadableManifestError(f"there is no manifest {path.name} beside it") from error
    except UnreadableError as error:
        raise UnreadableManifestError(
            f"its manifest {path.name} cannot be read: {error}"
        ) from error
    schema, seal = body.pop("schema", None), body.pop("seal", None)
    if schema != SCHEMA:
        raise UnreadableManifestError(
            f"its manifest {path.name} has the format {schema}; this version reads {SCHEMA}"
            if isinstance(schema, int)
            else f"{path.name} is not a manifest"
        )
    try:
        body = require_keyed_seal({"schema": schema, "seal": seal, **body})
    except WrongSealError as error:
        raise UnsealedManifestError(f"its manifest {path.name} {error}") from error
    del body["schema"], body["seal"]
    if seal != _seal({"schema": schema, **body}):
        raise UnreadableManifestError(
            f"its manifest {path.name} differs from the one that was written"
        )
    try:
        _require_no_nul(body)
        manifest = shaped(Manifest, body)
        manifest.age_hours(datetime.now(timezone.utc))  # its instant can be read
        int(manifest.client_version.partition(".")[0])
    except UnreadableError as error:
        raise UnreadableManifestError(f"its manifest {path.name} is incomplete: {error}") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise UnreadableManifestError(f"its manifest {path.name} is incomplete") from error
    if manifest.file != backup.name or manifest.verified not in VERIFIED:
        raise UnreadableManifestError(f"its manifest {path.name} belongs to another backup")
    return manifest


def read_manifests(folder: Path) -> tuple[Manifest, ...]:
    """Return the manifests in `folder` whose backup is there and whole in size, newest first."""
    return read_shelf(folder).manifests


def read_shelf(folder: Path) -> Shelf:
    """Return the manifests in `folder` whose backup is there and whole in size, newest first.

    Whatever else is called *.json there is passed over, and named: other JSON files, manifests
    that were damaged, pipes and devices, what is too large to be one.
    """
    found, passed_over = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            manifest = read_manifest(path.with_suffix(BACKUP_SUFFIX))
        except UnreadableManifestError as error:
            passed_over.append(PassedOver(path.name, str(error)))
            continue
        if size_of(folder / manifest.file) == manifest.bytes:
            found.append(manifest)
        else:
            why = f"its backup {manifest.file} does not exist, or has another size"
            passed_over.append(PassedOver(path.name, why))
    found.sort(key=lambda manifest: datetime.fromisoformat(manifest.taken), reverse=True)
    return Shelf(manifests=tuple(found), passed_over=tuple(passed_over))


def _require_no_nul(body: Mapping[str, Any]) -> None:
    # No text of PostgreSQL's, and no name of a file, has one; whatever is given one raises.
    if NUL.search(json.dumps(body)):
        raise UnreadableError("it holds a NUL character")


def _seal(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def size_of(backup: Path) -> int:
    """Return the bytes of a backup, a file or a folder; -1 where it is not there."""
    try:
        if backup.is_dir():
            return sum(path.stat().st_size for path in backup.iterdir())
        # What is neither has no size of its own, and reading it may never end.
        return backup.stat().st_size if backup.is_file() else -1
    except OSError:
        return -1
