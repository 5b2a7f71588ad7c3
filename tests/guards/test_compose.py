"""compose.yaml, .env.example and what the settings say when DATABASE_URL is missing agree."""

from __future__ import annotations

import re
from pathlib import Path

import environ

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
LEGACY = (ROOT / "treasury/management/commands/make_legacy_staging.py").read_text(encoding="utf-8")
SETTINGS = (ROOT / "staging_settings.py").read_text(encoding="utf-8")
URL = re.compile(r"DATABASE_URL=(postgres://[^\s\"]+)")


def in_compose(key: str) -> str:
    """Return a value of compose.yaml; of a variable, its default."""
    found = re.search(rf"^ +{key}: (?:\$\{{\w+:-)?([\w.:-]+?)\}}?$", COMPOSE, re.M)
    assert found, f"compose.yaml does not set {key}"
    return found[1]


def test_the_example_url_is_that_of_compose() -> None:
    (url,) = URL.findall(EXAMPLE)
    database = environ.Env.db_url_config(url)
    port = re.search(r'"127\.0\.0\.1:\$\{POSTGRES_PORT:-(\d+)\}:5432"', COMPOSE)

    assert port
    assert database["NAME"] == in_compose("POSTGRES_DB")
    assert database["USER"] == in_compose("POSTGRES_USER")
    assert database["PASSWORD"] == in_compose("POSTGRES_PASSWORD")
    assert (database["HOST"], database["PORT"]) == ("127.0.0.1", int(port[1]))


def test_the_same_url_is_named_wherever_one_is_named() -> None:
    assert set(URL.findall(EXAMPLE)) == set(URL.findall(SETTINGS)) == set(URL.findall(COMPOSE))


def test_the_health_check_asks_for_the_database_that_is_made() -> None:
    check = re.search(r"test: \[(.+)\]", COMPOSE)

    assert check
    words = re.findall(r'"([^"]+)"', check[1])
    assert words[words.index("--username") + 1] == in_compose("POSTGRES_USER")
    assert words[words.index("--dbname") + 1] == in_compose("POSTGRES_DB")


def test_the_variables_of_the_example_are_those_that_the_settings_read() -> None:
    named = set(re.findall(r"^(\w+)=", EXAMPLE, re.M))
    read = set(re.findall(r'(?:env\.\w+|required)\(\s*"(\w+)"', SETTINGS))

    read |= set(re.findall(r'"(TREASURY_\w+)"', LEGACY))

    assert named <= read
