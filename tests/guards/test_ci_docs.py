"""What docs/ci.md tells people to paste: YAML, and commands that exist with these options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class

from opsmigrate.formats import FORMATS
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def lines(value: Any) -> Iterator[str]:
    """Yield every text of a YAML document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from lines(each)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("block", BLOCKS)
def test_what_is_pasted_runs_commands_that_exist(block: str) -> None:
    commands = [each for each in lines(yaml.safe_load(block)) if "manage.py" in each]

    assert commands
    for each in commands:
        _, _, name, *arguments = shlex.split(each)
        parser = load_command_class("opsmigrate", name).create_parser("manage.py", name)
        asked = vars(parser.parse_args(arguments))
        for also in asked["also"]:
            format, _, file = also.partition("=")
            assert format in FORMATS
            assert file in block.replace(each.strip(), ""), "a file that nothing reads"


def test_each_format_is_described() -> None:
    assert set(FORMATS) == set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
