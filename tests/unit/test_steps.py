"""Steps: what a finding says to type, in the text report and for another alias."""

from __future__ import annotations

from opsmigrate.steps import APPLY, Typed, as_lines, command, retyped, statement


def test_each_step_stands_whole_on_a_line_that_can_be_copied() -> None:
    steps = [
        statement('ALTER TABLE "shop_order" RENAME COLUMN "ref" TO "reference"'),
        command("python manage.py migrate shop 0003_fields"),
    ]

    assert list(as_lines("the column was renamed", steps)) == [
        "next: the column was renamed",
        '  ALTER TABLE "shop_order" RENAME COLUMN "ref" TO "reference";',
        "  python manage.py migrate shop 0003_fields",
    ]


def test_one_step_needs_no_words() -> None:
    assert list(as_lines(None, [command("python manage.py backup_db")])) == [
        "next: python manage.py backup_db"
    ]


def test_another_way_stands_behind_or_and_what_it_costs_is_a_comment() -> None:
    steps = [
        statement("ALTER TABLE a RENAME TO b"),
        statement("DROP TABLE a", risk="loses its rows", alternative=2),
        command("python manage.py migrate", risk="holds up writers", alternative=2),
    ]

    assert list(as_lines("keep the table, or not", steps)) == [
        "next: keep the table, or not",
        "  ALTER TABLE a RENAME TO b;",
        "or:",
        "  DROP TABLE a;  -- loses its rows",
        "  python manage.py migrate  # holds up writers",
    ]


def test_commands_name_another_alias_and_sql_stays() -> None:
    typed = Typed(alias="reporting")
    steps = retyped([command("python manage.py migrate shop"), statement("SELECT 1")], typed)

    assert [step.text for step in steps] == [
        "python manage.py migrate --database reporting shop",
        "SELECT 1;",
    ]
    assert retyped(steps, typed) == steps


def test_a_name_that_acts_on_a_terminal_is_shown_escaped() -> None:
    assert list(as_lines(None, [statement("DROP TABLE \x1b[31m")])) == [
        "next: DROP TABLE \\x1b[31m;"
    ]


TYPED = Typed(
    alias="reporting",
    settings="staging_settings",
    plan=("shop", "0003", "--fake-initial"),
    rehearsal=("--rehearse-on", "my spare"),
)
SETTINGS = "--database reporting --settings=staging_settings"


def test_commands_repeat_what_was_typed() -> None:
    """Else the step would ask about all apps, of the database of other settings."""
    rehearse = command("python manage.py preflight_migrate --rehearse clone")
    own = command("python manage.py migrate --fake shop 0002_tags")
    lifted = command("PGOPTIONS='-c lock_timeout=0' python manage.py migrate")
    look = command("python manage.py showmigrations shop")
    check = command("python manage.py check")
    page = command("python manage.py preflight_migrate --explain drift-type")

    steps = retyped([*APPLY, rehearse, own, lifted, look, check, page], TYPED)

    plan = f"{SETTINGS} shop 0003 --fake-initial"
    on = "--rehearse-on 'my spare'"
    assert [step.text for step in steps] == [
        f"python manage.py preflight_migrate {plan} {on}",
        f"python manage.py migrate {plan}",
        f"python manage.py preflight_migrate {plan} {on} --rehearse clone",
        f"python manage.py migrate {SETTINGS} --fake shop 0002_tags",
        f"PGOPTIONS='-c lock_timeout=0' python manage.py migrate {plan}",
        f"python manage.py showmigrations {SETTINGS} shop",
        "python manage.py check --settings=staging_settings",
        f"python manage.py preflight_migrate {SETTINGS} --explain drift-type",
    ]
