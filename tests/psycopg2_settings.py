"""The staging settings with psycopg2: Django prefers psycopg 3 where it finds it."""

import sys

sys.modules["psycopg"] = None  # type: ignore[assignment]

from staging_settings import *  # noqa: E402, F403
