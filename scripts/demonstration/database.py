"""The staging database of the demo, made and asked through psql: the demo itself has no driver."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from opsmigrate.pgtools.embedded import HOST, EmbeddedServer
from scripts import processes
from scripts.environment import ROOT, child_environment

ROLE = "staging_app"
DATABASE = "staging"


class DatabaseProblem(Exception):
    """psql could not do what the demo needs."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who connects to what, for psql."""

    server: EmbeddedServer
    role: str
    database: str
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """The same for DATABASE_URL."""
        return f"postgresql://{self.role}:{self.password}@{HOST}:{self.server.port}/{self.database}"

    def ask(self, statement: str) -> str:
        """Return what a statement answers, unaligned and without headers."""
        variables = {
            "PGHOST": HOST,
            "PGPORT": str(self.server.port),
            "PGUSER": self.role,
            "PGDATABASE": self.database,
            "PGPASSWORD": self.password,
            "PGCLIENTENCODING": "UTF8",
        }
        psql = [str(self.server.bindir / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        done = processes.run(
            psql,
            cwd=ROOT,
            environment=child_environment(**variables),
            capture=True,
            text=statement,
        )
        if done.returncode:
            raise DatabaseProblem(f"psql failed: {done.stderr.strip()}")
        return done.stdout.strip()

    def count(self, condition: str = "true") -> int:
        """Return how many payments meet the condition."""
        # S608: the conditions are literals of the demo.
        return int(self.ask(f"SELECT count(*) FROM treasury_payment WHERE {condition};"))  # noqa: S608


def create(server: EmbeddedServer) -> Session:
    """Create the database and the application's role, anew where a kept run has left them."""
    superuser = Session(
        server=server, role="postgres", database="postgres", password=server.cluster.password
    )
    password = secrets.token_urlsafe(18)
    # Not a superuser, as an application's role should not be; CREATEDB for the scratch databases.
    superuser.ask(
        f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE);"
        f"DROP ROLE IF EXISTS {ROLE};"
        f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{password}';"
    )
    superuser.ask(f"CREATE DATABASE {DATABASE} OWNER {ROLE};")
    return Session(server=server, role=ROLE, database=DATABASE, password=password)
