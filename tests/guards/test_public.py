"""docs/reference/public.md is what the code has, and former names are still understood."""

from __future__ import annotations

import os

from django.core.management import load_command_class

from opsmigrate.pages import FORMER_IDS, page_of
from scripts.docs import PAGE, page


def test_the_page_of_what_is_public_is_current() -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(page(), encoding="utf-8")

    assert PAGE.read_text(encoding="utf-8") == page(), "run: python scripts/docs.py"


def test_the_former_id_of_a_finding_leads_to_its_page() -> None:
    for former, present in FORMER_IDS.items():
        assert page_of(former) == page_of(present)
        assert page_of(former).startswith(f"# {present}\n")


def test_the_former_spelling_of_an_option_is_understood() -> None:
    command = load_command_class("opsmigrate", "preflight_migrate")
    parser = command.create_parser("manage.py", "preflight_migrate")

    assert parser.parse_args(["--accept-unexamined"]).accept_undecided is True
    assert parser.parse_args([]).accept_undecided is False
    assert "--accept-unexamined" not in parser.format_help()
