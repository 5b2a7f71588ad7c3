"""Steps: what a finding says to type, in the text report and for another alias."""

from __future__ import annotations

from opsmigrate.steps import aimed, as_lines, command, statement


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
    steps = aimed([command("python manage.py migrate shop"), statement("SELECT 1")], "reporting")

    assert [step.text for step in steps] == [
        "python manage.py migrate --database reporting shop",
        "SELECT 1;",
    ]
    assert aimed(steps, "reporting") == steps


def test_commands_name_the_settings_that_were_typed() -> None:
    steps = [
        command("python manage.py migrate shop"),
        command("PGOPTIONS='-c lock_timeout=0' python manage.py migrate"),
        command("python manage.py check --deploy"),
        command("python scripts/load_test.py --base-url http://127.0.0.1"),
        command("apt-get install chromium"),
        statement("SELECT 1"),
    ]

    aimed_steps = aimed(steps, "reporting", "shop.settings.staging")

    given = "--settings=shop.settings.staging"
    assert [step.text for step in aimed_steps] == [
        f"python manage.py migrate --database reporting {given} shop",
        f"PGOPTIONS='-c lock_timeout=0' python manage.py migrate --database reporting {given}",
        f"python manage.py check {given} --deploy",
        f"python scripts/load_test.py {given} --base-url http://127.0.0.1",
        "apt-get install chromium",
        "SELECT 1;",
    ]
    assert aimed(aimed_steps, "reporting", "shop.settings.staging") == aimed_steps
    assert aimed(steps, "default") == tuple(steps)


def test_a_name_that_acts_on_a_terminal_is_shown_escaped() -> None:
    assert list(as_lines(None, [statement("DROP TABLE \x1b[31m")])) == [
        "next: DROP TABLE \\x1b[31m;"
    ]
