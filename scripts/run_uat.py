"""Run the acceptance test: `python scripts/run_uat.py --settings=staging_settings`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import manage

if __name__ == "__main__":
    manage.main([sys.argv[0], "run_uat", *sys.argv[1:]])
