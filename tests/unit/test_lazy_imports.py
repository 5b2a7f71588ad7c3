"""What a small plan has no use for is not imported: each process of a fleet would pay for it."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from opsmigrate.preflight.interpret import commands
from opsmigrate.preflight.interpret.commands import alter_table

# With each of them come others.
RARE = {
    "google.protobuf",
    "opsmigrate.manifest",
    "opsmigrate.pgtools.embedded",
    "opsmigrate.playbook.one_at_a_time",
    "opsmigrate.preflight.interpret.commands.alter_table",
    "opsmigrate.preflight.interpret.reading",
    "opsmigrate.preflight.old_release.judge",
    "opsmigrate.preflight.rehearsal.rehearse",
    "opsmigrate.preflight.rehearsal.selection",
    "opsmigrate.preflight.walk.hand_written",
    "opsmigrate.preflight.walk.idle_code",
    "opsmigrate.schema.remedies",
    "opsmigrate.waivers",
}
CODE = """
import sys, django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"])
django.setup()
import {module}
print(*sorted(sys.modules))
"""


def imported_with(module: str) -> set[str]:
    """Return what a new process has imported once it has imported the module."""
    argv = [sys.executable, "-c", CODE.format(module=module)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_an_examination_loads_nothing_that_hardly_any_asks_for() -> None:
    assert imported_with("opsmigrate.management.examination") & RARE == set()


def test_a_command_loads_the_examination_only_when_it_runs() -> None:
    found = imported_with("opsmigrate.management.commands.preflight_migrate")

    assert not {"opsmigrate.preflight.plan", "opsmigrate.postgres.catalog"} & found


@pytest.mark.parametrize(
    ("files", "named"), [(commands.FILES, "COMMANDS"), (alter_table.FILES, "ACTIONS")]
)
def test_each_rule_is_found_in_the_file_that_has_it(
    files: dict[str, tuple[str, ...]], named: str
) -> None:
    has = {file: tuple(vars(import_module(f"{commands.__name__}.{file}"))[named]) for file in files}

    assert has == files


def test_no_file_with_rules_is_forgotten() -> None:
    for file in Path(commands.__path__[0]).glob("[a-z]*.py"):
        module = import_module(f"{commands.__name__}.{file.stem}")
        assert ("COMMANDS" in vars(module)) == (file.stem in commands.FILES), file
        if file.stem != "alter_table":
            assert ("ACTIONS" in vars(module)) == (file.stem in alter_table.FILES), file


def test_a_command_does_not_take_all_of_django_apart_when_it_ends() -> None:
    # What is registered first is called last.
    code = (
        "import atexit, gc\n"
        "atexit.register(lambda: print('frozen', gc.get_freeze_count() > 0))\n"
        "import django\n"
        "from django.conf import settings\n"
        "from django.core.management import execute_from_command_line\n"
        "settings.configure(INSTALLED_APPS=['opsmigrate'])\n"
        "execute_from_command_line(['manage.py', 'preflight_migrate', '--explain', 'read-only'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.endswith("frozen True\n")
