"""scripts/add_payment_id.sql, run with psql as its users run it."""

from __future__ import annotations

import subprocess

from opsmigrate.pgtools.embedded import find_bindirs
from tests.conftest import ROOT, url_of

SCRIPT = ROOT / "scripts" / "add_payment_id.sql"
ADD = "ALTER TABLE treasury_payment ADD COLUMN payment_id uuid"


def psql() -> str:
    """Return the psql of the newest major that the embedded package brings."""
    return str(max(find_bindirs().items())[1] / "psql")


def run_sql(alias: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script with these psql variables, to its end."""
    given = [f"--set={name}={value}" for name, value in variables.items()]
    return subprocess.run(
        [psql(), "-X", "-d", url_of(alias), *given, "-f", str(SCRIPT)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
