"""Run the acceptance test: `python scripts/run_uat.py --settings=staging_settings`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Hand the command line to `run_uat`, or say in one sentence what to install."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "staging_settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        if error.name != "django":
            raise
        sys.exit("Django is not installed here; type: python -m pip install -r requirements.txt")
    execute_from_command_line([sys.argv[0], "run_uat", *sys.argv[1:]])


if __name__ == "__main__":
    main()
