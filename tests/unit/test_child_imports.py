"""The processes that run `migrate` leave it to the settings which driver is imported, and when."""

import subprocess
import sys

import pytest

CODE = """
import sys
import {module}
print([name for name in sys.modules if name.startswith("psycopg")])
"""


@pytest.mark.parametrize(
    "module",
    ["opsmigrate.preflight.rehearsal.child", "opsmigrate.playbook.migrate_child"],
)
def test_before_the_settings_no_driver_is_imported(module: str) -> None:
    argv = [sys.executable, "-c", CODE.format(module=module)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
