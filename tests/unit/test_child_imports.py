"""The process of a rehearsal leaves it to the settings which driver is imported, and when."""

import subprocess
import sys

CODE = """
import sys
import opsmigrate.preflight.rehearsal.child
print([name for name in sys.modules if name.startswith("psycopg")])
"""


def test_before_the_settings_no_driver_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
