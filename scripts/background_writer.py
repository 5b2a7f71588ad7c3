"""Insert and update payments as the old release does, until standard input ends or SIGTERM."""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

# The old release's column list: it has never heard of payment_id.
INSERT = """
INSERT INTO treasury_payment (
    reference, payee, amount, currency, status, due_date, created_at, updated_at, memo, account_id
)
SELECT %(reference)s, 'Background writer', %(amount)s, currency, 'pending', current_date + 30,
       now(), now(), '', id
FROM treasury_account ORDER BY id LIMIT 1
RETURNING id
"""
UPDATE = "UPDATE treasury_payment SET status = status, updated_at = now() WHERE id = %(id)s"
INSERTS_PER_UPDATE = 4
SECONDS_AFTER_AN_ERROR = 0.1
ERRORS_KEPT = 50


@dataclass
class Figures:
    """What the writer has done."""

    inserted: int = 0
    updated: int = 0
    errors: list[str] = field(default_factory=list)
    longest_wait_ms: float = 0.0


class Writer:
    """One session that writes, each statement in a transaction of its own."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.figures = Figures()
        self.prefix = f"LIVE-{secrets.token_hex(4)}"
        self._connection = connection
        self._last_id = 0
        self._turns = 0

    def write(self) -> None:
        """Insert one payment, or update one of those that are there."""
        self._turns += 1
        if self._last_id and self._turns % (INSERTS_PER_UPDATE + 1) == 0:
            self._update()
        else:
            self._insert()

    def _insert(self) -> None:
        reference = f"{self.prefix}-{self._turns:08d}"
        row = self._execute(INSERT, {"reference": reference, "amount": self._turns % 900 + 100})
        self._last_id = int(row[0])
        self.figures.inserted += 1

    def _update(self) -> None:
        # Old payments and new ones alike: any of them can be in the batch being seeded.
        chosen = random.randint(1, self._last_id)  # noqa: S311 - not a secret
        self._execute(UPDATE, {"id": chosen})
        self.figures.updated += 1

    def _execute(self, statement: str, parameters: dict[str, Any]) -> tuple[Any, ...]:
        started = time.monotonic()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchone() if cursor.description else ()
        finally:
            waited = round((time.monotonic() - started) * 1000, 1)
            self.figures.longest_wait_ms = max(self.figures.longest_wait_ms, waited)

    def note(self, error: Exception) -> None:
        """Keep an error and begin again with a new session."""
        if len(self.figures.errors) < ERRORS_KEPT:
            self.figures.errors.append(f"{type(error).__name__}: {error}".strip())
        self._connection.close()


def ending() -> threading.Event:
    """Return an event that is set when this process is to end."""
    event = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: event.set())
    threading.Thread(target=_wait_for_end_of_input, args=(event,), daemon=True).start()
    return event


def _wait_for_end_of_input(event: threading.Event) -> None:
    # os.read and not sys.stdin: a thread that holds sys.stdin's lock breaks the end of the process.
    while os.read(0, 1024):
        pass
    event.set()


def main() -> None:
    """Write until told to end, then print the figures as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pause-ms", type=float, default=5.0, help="between two statements")
    pause = parser.parse_args().pause_ms / 1000
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "staging_settings")
    import django
    from django.db import Error, connection

    django.setup()
    end = ending()
    writer = Writer(connection)
    while not end.wait(pause):
        try:
            writer.write()
        except Error as error:
            writer.note(error)
            end.wait(SECONDS_AFTER_AN_ERROR)
    connection.close()
    print(json.dumps(asdict(writer.figures)), flush=True)


if __name__ == "__main__":
    main()
