"""What locust runs; where it is in the package, for workers on other hosts."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from opsmigrate.uat.load.locustfile import Reader

__all__ = ["Reader"]
