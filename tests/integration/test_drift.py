"""Drift: what means nothing is not said; test_drift_remedies.py has what is found, and cures it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from django.core.management import call_command
from django.db import ProgrammingError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from opsmigrate.postgres.catalog import Relation, read_catalog
from opsmigrate.schema.drift import drift_of
from opsmigrate.schema.drift_words import Drift
from tests.integration.drift_zoo import LEFT_OUT, MODELS, NO_DRIFTS
from tests.integration.zoo_migrations import writer
from tests.prepared import database_alias


@pytest.fixture(scope="module")
def zoo(
    django_db_modify_db_settings: None, django_db_blocker: Any, tmp_path_factory: Any
) -> Iterator[str]:
    """Yield the alias of a database with the zoo's tables."""
    patch = pytest.MonkeyPatch()
    folder: Path = tmp_path_factory.mktemp("zoo")
    patch.syspath_prepend(folder)
    settings = type("Settings", (), {})()
    writer(folder, settings, patch)(MODELS)
    with (
        django_db_blocker.unblock(),
        database_alias() as alias,
        pytest.MonkeyPatch.context() as django,
    ):
        from django.conf import settings as own

        django.setattr(own, "MIGRATION_MODULES", settings.MIGRATION_MODULES)
        with connections[alias].cursor() as cursor:
            cursor.execute("CREATE SCHEMA aside")
        call_command("migrate", "zoo", database=alias, verbosity=0)
        yield alias
    patch.undo()


@contextmanager
def drifted(alias: str, statements: str) -> Iterator[BaseDatabaseWrapper]:
    """Yield the connection after the statements, which are undone at the end."""
    connection = connections[alias]
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        found = {item.name: item for item in read_catalog(connection).relations}
        cursor.execute(filled(statements, found))
        yield connection
        transaction.set_rollback(True, using=alias)


def filled_now(alias: str, statements: str) -> None:
    """Execute the statements, and keep what they did."""
    found = {item.name: item for item in read_catalog(connections[alias]).relations}
    with connections[alias].cursor() as cursor:
        cursor.execute(filled(statements, found))


def filled(statements: str, tables: dict[str, Relation]) -> str:
    """Fill in the names that Django made up: of a table's constraint or index on columns."""
    role = f"role_{token_hex(4)}"

    def name(match: re.Match[str]) -> str:
        if match.group(1) == "role":
            return role
        owner, _, columns = match.group(1).rpartition(".")
        *wanted, last = columns.split(",")
        table, like = tables[owner], last == "like"
        key = tuple(wanted if like else [*wanted, last])
        indexes = [
            item.name
            for item in table.indexes
            if item.columns == key and item.opclasses[0].endswith("pattern_ops") == like
        ]
        keys = [
            (item.kind, item.name)
            for item in table.constraints
            if item.columns == key and item.kind in "fu"
        ]
        return quoted(min(keys)[1] if "CONSTRAINT {" in statements else indexes[0])

    return re.sub(r"{([^}]+)}", name, statements)


def quoted(name: str) -> str:
    return '"' + name + '"'


def drifts(connection: BaseDatabaseWrapper) -> tuple[Drift, ...]:
    """Return the drift of the zoo."""
    found = drift_of(connection, MigrationExecutor(connection), read_catalog(connection))
    left_out = LEFT_OUT if leaves_out(connection) else None
    return tuple(item for item in found if item.name is None or item.name != left_out)


def leaves_out(connection: BaseDatabaseWrapper) -> bool:
    """Say whether the server has no unique constraints in which NULLs are equal."""
    connection.ensure_connection()
    return int(connection.connection.info.server_version) < 150_000


def test_an_untouched_database_shows_no_drift(zoo: str) -> None:
    assert drifts(connections[zoo]) == ()


def test_a_constraint_that_the_server_is_too_old_for_is_claimed_and_not_there(zoo: str) -> None:
    connection = connections[zoo]
    found = drift_of(connection, MigrationExecutor(connection), read_catalog(connection))

    expected = [("drift-unique", LEFT_OUT)] if leaves_out(connection) else []
    assert [(item.id, item.name) for item in found] == expected


@pytest.mark.parametrize("statements", NO_DRIFTS.values(), ids=NO_DRIFTS)
def test_what_means_nothing_is_no_drift(zoo: str, statements: str) -> None:
    if LEFT_OUT in statements and leaves_out(connections[zoo]):
        with pytest.raises(ProgrammingError, match="syntax"), drifted(zoo, statements):
            pass
        return
    with drifted(zoo, statements) as connection:
        assert [item.words for item in drifts(connection)] == []


def test_a_relation_is_visible_where_the_server_says_so(zoo: str) -> None:
    shadowed = """
        CREATE SCHEMA shadow; CREATE TABLE shadow.zoo_cage (id int); CREATE TABLE shadow.alone ();
        CREATE TABLE aside.elsewhere (id int); CREATE TABLE public.pg_class (id int);
        SET LOCAL search_path = shadow, public"""
    with drifted(zoo, shadowed) as connection, connection.cursor() as cursor:
        relations = read_catalog(connection).relations
        cursor.execute("SELECT oid, pg_table_is_visible(oid) FROM pg_class")
        visible = dict(cursor.fetchall())

    assert {item.oid: item.visible for item in relations} == {
        item.oid: visible[item.oid] for item in relations
    }
    assert [item.label for item in relations if item.name == "zoo_cage" and item.visible] == [
        "shadow.zoo_cage"
    ]
