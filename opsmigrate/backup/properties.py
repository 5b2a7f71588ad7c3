"""What belongs to a database and is not in its dump: owner, rights, settings, comment, limits."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.errors import OpsmigrateError
from opsmigrate.postgres.comments import comment_on
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import first_line

READ = """
SELECT pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding),
       pg_database_size(d.oid), shobj_description(d.oid, 'pg_database'),
       d.datconnlimit, d.datistemplate, d.datacl IS NOT NULL, to_jsonb(d)::text,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(
            CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END,
            a.privilege_type, a.is_grantable)), '[]')::text
        FROM (SELECT grantee, privilege_type, bool_or(is_grantable) AS is_grantable
              FROM aclexplode(d.datacl) GROUP BY grantee, privilege_type) a),
       (SELECT coalesce(jsonb_agg(jsonb_build_array(
            CASE s.setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(s.setrole) END,
            to_jsonb(s.setconfig))), '[]')::text
        FROM pg_db_role_setting s WHERE s.setdatabase = d.oid)
FROM pg_database d WHERE d.datname = %s
"""
LOCALE = (
    "datcollate",
    "datctype",
    "datlocprovider",
    "daticulocale",
    "datlocale",
    "daticurules",
    "datcollversion",
)
# Their values are lists of names; pg_dump has the same list (variable_is_guc_list_quote).
LISTS = {
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
}
ELEMENT = re.compile(r'"((?:[^"]|"")*)"|([^,\s]+)')
# What must be the same in a database that takes the place of another one.
REPLAYED = ("owner", "comment", "connection_limit", "is_template", "grants", "settings")


def read_properties(connection: BaseDatabaseWrapper, database: str) -> dict[str, Any]:
    """Return the properties of a database of the server, as JSON can hold them; sizes in bytes.

    `grants` is null where the rights are the default ones, else a list of (role or null for
    PUBLIC, privilege, grantable), whoever granted them; `settings` a list of (role or null for
    all, "name=value").
    """
    with connection.cursor() as cursor:
        cursor.execute(READ, [database])
        owner, encoding, size, comment, limit, template, granted, row, acl, settings = (
            cursor.fetchone()
        )
    columns = json.loads(row)
    return {
        "owner": owner,
        "encoding": encoding,
        "bytes": int(size),
        "comment": comment,
        "connection_limit": limit,
        "is_template": template,
        "grants": sorted(json.loads(acl), key=str) if granted else None,
        "settings": sorted(
            ([role, item] for role, items in json.loads(settings) for item in items), key=str
        ),
        "locale": {key: columns[key] for key in LOCALE if columns.get(key) is not None},
    }


def read_extensions(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """Return the extensions of the database of `connection`, with their versions."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extname, extversion FROM pg_extension ORDER BY 1")
        return {str(name): str(version) for name, version in cursor.fetchall()}


def give_properties(
    connection: BaseDatabaseWrapper, database: str, wanted: Mapping[str, Any]
) -> None:
    """Give a new database the properties, within the transaction that `connection` is in.

    Raises OpsmigrateError where one cannot be set, or is not there afterwards.
    """
    with connection.cursor() as cursor:
        for what, statement in _statements(database, wanted):
            try:
                cursor.execute(statement)
            except Error as error:
                raise _not_given(what, first_line(error)) from error
    found = read_properties(connection, database)
    for key in REPLAYED:
        if found[key] != wanted[key]:
            raise _not_given(key, f"it is {found[key]!r} and should be {wanted[key]!r}")


def _not_given(what: str, why: str) -> OpsmigrateError:
    return OpsmigrateError(
        f"the {what} of the restored database could not be set: {why}; the live database is "
        "as it was",
        id="property-not-restored",
        hint="name the alias of a superuser with --database, or create what is missing",
    )


def _statements(database: str, wanted: Mapping[str, Any]) -> Iterator[tuple[str, Composable]]:
    name = sql.Identifier(database)
    on = sql.SQL("ALTER DATABASE {} ").format(name)
    yield "owner", on + sql.SQL("OWNER TO {}").format(sql.Identifier(wanted["owner"]))
    yield "comment", comment_on(database, wanted["comment"])
    limit = sql.SQL(str(int(wanted["connection_limit"])))
    yield "connection limit", on + sql.SQL("CONNECTION LIMIT {}").format(limit)
    if wanted["is_template"]:
        yield "template", on + sql.SQL("IS_TEMPLATE true")
    if wanted["grants"] is not None:
        yield from _grants(name, wanted["owner"], wanted["grants"])
    for role, item in wanted["settings"]:
        yield from _setting(name, role, item)


def _grants(
    name: Composable, owner: str, grants: list[tuple[str | None, str, bool]]
) -> Iterator[tuple[str, Composable]]:
    everything = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC, {}")
    yield "rights", everything.format(name, sql.Identifier(owner))
    for role, privilege, grantable in grants:
        grantee = sql.SQL("PUBLIC") if role is None else sql.Identifier(role)
        option = sql.SQL(" WITH GRANT OPTION" if grantable else "")
        yield (
            f"right {privilege} of {role or 'PUBLIC'}",
            sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
                sql.SQL(privilege), name, grantee, option
            ),
        )


def _setting(name: Composable, role: str | None, item: str) -> Iterator[tuple[str, Composable]]:
    setting, _, value = item.partition("=")
    if setting in LISTS:
        parts = [quoted.replace('""', '"') or plain for quoted, plain in ELEMENT.findall(value)]
        values = sql.SQL(", ").join(map(sql.Literal, parts or [""]))
    else:
        values = sql.Literal(value)
    # A setting's name may have a dot in it, which separates two identifiers.
    words = sql.SQL(".").join(map(sql.Identifier, setting.split(".")))
    whose = (
        sql.SQL("ALTER DATABASE {}").format(name)
        if role is None
        else sql.SQL("ALTER ROLE {} IN DATABASE {}").format(sql.Identifier(role), name)
    )
    yield f"setting {setting}", sql.SQL("{} SET {} TO {}").format(whose, words, values)
