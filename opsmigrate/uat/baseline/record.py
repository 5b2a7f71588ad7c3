"""The baseline's file: what it holds, which database it is of, and when it is refused."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from opsmigrate.errors import RefusedError
from opsmigrate.files import write_atomically
from opsmigrate.json_files import UnreadableError, read_object, shaped
from opsmigrate.postgres.session import Session
from opsmigrate.seal import WrongSealError, require_keyed_seal, with_keyed_seal
from opsmigrate.steps import Step, command
from opsmigrate.uat.canonical import digest_of

KIND = "uat-baseline"
SCHEMA = 1
# Pages of a site behind a login may hold what only its users may see.
PRIVATE = 0o600
SAVE = "before the migration, save one of this database; after it, there is nothing to compare with"


@dataclass(frozen=True, kw_only=True)
class ModelFigures:
    """The figures of a model, as text; `mark` is its highest key, where that is a number."""

    figures: Mapping[str, str]
    mark: int | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """The words of a page, each stretch of noise as one mark; `seconds` is the quicker answer."""

    status: int
    words: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What was before; `database` has name, system_identifier and oid, `notes` what to know."""

    taken: str
    run_id: str
    release: str | None
    database: Mapping[str, Any]
    migrations: tuple[str, ...]
    base_url: str | None
    models: Mapping[str, ModelFigures]
    pages: Mapping[str, Page]
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What the reports call it."""
        return f"run {self.run_id}, {self.taken[:19]}"

    def age_seconds(self) -> float:
        """Return how long ago it was taken."""
        moment = datetime.fromisoformat(self.taken)
        return (datetime.now(timezone.utc) - moment).total_seconds()


def identity(session: Session) -> dict[str, Any]:
    """Return what tells this database from every other one."""
    return {
        "name": session.database,
        "system_identifier": str(session.system_identifier),
        "oid": session.oid,
    }


def write_baseline(file: Path, baseline: Baseline) -> None:
    """Write the file, whole or not at all, readable by its owner only."""
    body = {"schema": SCHEMA, "kind": KIND, **asdict(baseline)}
    sealed = with_keyed_seal({**body, "sha256": digest_of(body)})
    write_atomically(file, json.dumps(sealed, indent=1, ensure_ascii=False) + "\n", mode=PRIVATE)


def read_baseline(
    file: Path, *, session: Session, applied: tuple[str, ...], max_age_hours: float
) -> Baseline:
    """Return the baseline of this database.

    Raises RefusedError where the file is missing or damaged, not sealed with the key that is set,
    of another database, not from before the present migration state, or older than
    `max_age_hours`.
    """
    baseline = _read(file)
    ours = identity(session)
    if any(baseline.database.get(key) != ours[key] for key in ("system_identifier", "oid")):
        raise _foreign(
            file,
            f"the baseline {file} is of database {baseline.database.get('name')} (oid "
            f"{baseline.database.get('oid')} of server {baseline.database.get('system_identifier')}"
            f"), not of {session.database} here (oid {session.oid} of server "
            f"{session.system_identifier})",
        )
    undone = sorted(set(baseline.migrations) - set(applied))
    if undone:
        raise _foreign(
            file,
            f"the baseline {file} was saved when {undone[0]} was applied, but it is not applied "
            "now: this is not a later state of that database",
        )
    age = baseline.age_seconds()
    if not 0 <= age <= max_age_hours * 3600:
        was = f"{age / 3600:.1f} hours old" if age > 0 else f"from the future ({baseline.taken})"
        raise RefusedError(
            f"the baseline {file} is {was}; at most {max_age_hours:g} hours are allowed",
            id="baseline-stale",
            hint=SAVE,
            steps=_save(file),
        )
    return baseline


def _save(file: Path) -> tuple[Step, ...]:
    text = f"python manage.py run_uat --save-baseline {shlex.quote(str(file))}"
    return (command(text, risk="replaces that file"),)


def _foreign(file: Path, words: str) -> RefusedError:
    return RefusedError(words, id="baseline-foreign", hint=SAVE, steps=_save(file))


def _read(file: Path) -> Baseline:
    try:
        body = _trusted(file, read_object(file))
        digest, kind = body.pop("sha256", None), body.pop("kind", None)
        schema = body.pop("schema", None)
        if (kind, schema) != (KIND, SCHEMA) or digest != digest_of(
            {"schema": SCHEMA, "kind": KIND, **body}
        ):
            raise _damaged(file)
        baseline = shaped(Baseline, body)
        # Without a time zone no age can be known.
        baseline.age_seconds()
    except FileNotFoundError as error:
        raise RefusedError(
            f"there is no baseline {file}", id="baseline-missing", hint=SAVE, steps=_save(file)
        ) from error
    except (UnreadableError, ValueError, TypeError, OverflowError) as error:
        raise _damaged(file) from error
    return baseline


def _trusted(file: Path, body: dict[str, Any]) -> dict[str, Any]:
    """Return the baseline without its keyed seal; raises RefusedError where a key is not its."""
    if body.get("kind") != KIND:
        raise _damaged(file)
    try:
        return require_keyed_seal(body)
    except WrongSealError as error:
        raise RefusedError(
            f"the baseline {file} {error}", id="seal-unkeyed", hint=SAVE, steps=_save(file)
        ) from error


def _damaged(file: Path) -> RefusedError:
    return RefusedError(
        f"{file} is not a baseline of run_uat, or was changed since it was saved",
        id="baseline-unreadable",
        hint=SAVE,
        steps=_save(file),
    )
