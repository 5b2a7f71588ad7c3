"""Scan code, packages, settings, headers: `python scripts/security_scan.py`; as uat_scan does."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import manage
from scripts.result_option import as_result

if __name__ == "__main__":
    manage.main([sys.argv[0], "uat_scan", *as_result(sys.argv[1:])])
