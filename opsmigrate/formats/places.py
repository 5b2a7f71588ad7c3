"""Where in the project's files a migration and its operations stand."""

import ast
import os
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from django.apps import apps
from django.conf import settings
from django.db.migrations.loader import MigrationLoader

from opsmigrate.report import Finding


@dataclass(frozen=True)
class Place:
    """A line of a file; `file` is relative to the repository, with slashes."""

    file: str
    line: int

    @property
    def uri(self) -> str:
        """Return the file as a relative URI."""
        return quote(self.file)


def place_of(finding: Finding) -> Place | None:
    """Return where the finding's operation stands; None where it is not in the repository."""
    if finding.migration is None:
        return None
    return place_of_operation(finding.migration, finding.operation)


def place_of_operation(migration: str, operation: str | None) -> Place | None:
    """Return where an operation such as "4: CreateModel" of a migration "app.name" stands.

    An operation that is not written out in the list stands where the list begins, and a migration
    as a whole at its class. Nothing is imported but the package that the migration is in.
    """
    file = _file_of(migration)
    inside = file and _inside(file)
    if not file or not inside:
        return None
    number = (operation or "").partition(":")[0]
    return Place(inside, _line(file, int(number) if number.isdecimal() else None))


def settings_place() -> Place | None:
    """Return the settings, which name the database: there stands what is in no migration."""
    spec = _spec(os.environ.get("DJANGO_SETTINGS_MODULE") or "")
    inside = spec and _inside(Path(spec))
    return Place(inside, 1) if inside else None


def root() -> Path:
    """Return the folder of the repository: what CI says, or the nearest with .git, or this one."""
    if workspace := os.environ.get("GITHUB_WORKSPACE"):
        return Path(workspace).resolve()
    here = Path.cwd().resolve()
    return next((each for each in (here, *here.parents) if (each / ".git").exists()), here)


def _file_of(migration: str) -> Path | None:
    label, _, name = migration.partition(".")
    if not settings.configured or label not in apps.app_configs:
        return None
    module, _ = MigrationLoader.migrations_module(label)
    found = _spec(f"{module}.{name}") if module else None
    return Path(found) if found else None


def _spec(module: str) -> str | None:
    try:
        spec = find_spec(module) if module else None
    except (ImportError, ValueError, AttributeError):
        return None
    # A module that was compiled, or is in an archive, has no lines.
    return spec.origin if spec and spec.origin and spec.origin.endswith(".py") else None


def _inside(file: Path) -> str | None:
    # What is installed is not of the repository, even where the environment is in its folder.
    if {"site-packages", "dist-packages"} & set(file.parts):
        return None
    try:
        return file.resolve().relative_to(root()).as_posix()
    except (ValueError, OSError, RuntimeError):
        return None


@lru_cache(maxsize=1024)
def _line(file: Path, number: int | None) -> int:
    try:
        module = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return 1
    migration = next(
        (each for each in module.body if isinstance(each, ast.ClassDef) and _is_migration(each)),
        None,
    )
    if migration is None:
        return 1
    found = next(filter(None, map(_operations, migration.body)), None)
    if number is None or found is None:
        return migration.lineno
    where, value = found
    if isinstance(value, ast.List | ast.Tuple) and number < len(value.elts):
        before = value.elts[: number + 1]
        if not any(isinstance(each, ast.Starred) for each in before):
            return value.elts[number].lineno
    return where


def _is_migration(node: ast.ClassDef) -> bool:
    return node.name == "Migration"


def _operations(node: ast.stmt) -> tuple[int, ast.expr] | None:
    """Return the line and the value of the statement that assigns the operations, else None."""
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        targets, value = [node.target], node.value
    else:
        return None
    named = any(isinstance(each, ast.Name) and each.id == "operations" for each in targets)
    return (node.lineno, value) if named else None
