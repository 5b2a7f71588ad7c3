"""Damage to what Django itself keeps: its history, content types and permissions."""

from tests.drift.target import HISTORY, OWNER, Statements, Target, quoted


def unrecord_last(at: Target) -> Statements:
    """The last migration that was applied is no longer recorded."""
    return [f"DELETE FROM {HISTORY} WHERE id = (SELECT max(id) FROM {HISTORY})"]


def unrecord_any(at: Target) -> Statements:
    """Some migration that was applied is no longer recorded."""
    place = at.random.random()
    return [
        f"DELETE FROM {HISTORY} WHERE id = (SELECT id FROM {HISTORY} ORDER BY id"
        f" OFFSET floor({place} * (SELECT count(*) FROM {HISTORY})) LIMIT 1)"
    ]


def record_next(at: Target) -> Statements:
    """A migration of which nothing was done is recorded."""
    return [
        f"INSERT INTO {HISTORY} (app, name, applied) SELECT app, left(name, 4) || '_drifted',"
        f" now() FROM {HISTORY} ORDER BY id DESC LIMIT 1"
    ]


def break_history(at: Target) -> Statements:
    """The history cannot be written."""
    return [f"ALTER TABLE {HISTORY} ALTER COLUMN id DROP IDENTITY"]


def doubled_history(at: Target) -> Statements:
    """Migrations are recorded twice."""
    return [
        f"INSERT INTO {HISTORY} (app, name, applied) SELECT app, name, applied FROM {HISTORY}"
        " ORDER BY id DESC LIMIT 3"
    ]


def foreign_history(at: Target) -> Statements:
    """Migrations of an app that is not installed are recorded."""
    return [
        f"INSERT INTO {HISTORY} (app, name, applied) VALUES"
        " ('drifted', '0001_initial', now()), ('drifted', '0002_more', now())"
    ]


def undated_history(at: Target) -> Statements:
    """When migrations were applied is not known."""
    return [
        f"ALTER TABLE {HISTORY} ALTER COLUMN applied DROP NOT NULL",
        f"UPDATE {HISTORY} SET applied = NULL",
    ]


def history_of_other_types(at: Target) -> Statements:
    """The history has columns of other types, or one more."""
    change = at.random.choice(
        [
            "ALTER COLUMN name TYPE varchar(12) USING left(name, 12)",
            "ALTER COLUMN name TYPE varchar(40) USING left(name, 40)",
            "ALTER COLUMN applied TYPE timestamp",
            "ALTER COLUMN applied TYPE date",
            "ALTER COLUMN id TYPE smallint",
            "ALTER COLUMN app TYPE text",
            "ADD COLUMN by text NOT NULL DEFAULT CURRENT_USER",
            "ADD UNIQUE (app, name)",
            "ADD CHECK (applied < '2020-01-01') NOT VALID",
        ]
    )
    return [f"ALTER TABLE {HISTORY} {change}"]


def history_meddled_with(at: Target) -> Statements:
    """Rows of the history are refused or swallowed."""
    deed = at.random.choice(["RAISE EXCEPTION ''drifted'';", "RETURN NULL;", "RETURN NEW;"])
    return [
        f"CREATE FUNCTION drifted_history() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {deed} END'",
        f"CREATE TRIGGER drifted_history BEFORE INSERT ON {HISTORY}"
        " FOR EACH ROW EXECUTE FUNCTION drifted_history()",
    ]


def behind(at: Target) -> Statements:
    """A sequence of Django's own tables gives numbers that are taken."""
    table = at.random.choice([HISTORY, "django_content_type", "auth_permission"])
    last = at.random.choice(
        ["1", "(SELECT max(id) - 2 FROM {0})", "(SELECT max(id) + 50 FROM {0})"]
    )
    return [f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {last.format(table)})"]


def types_already_there(at: Target) -> Statements:
    """Content types and permissions of what comes are there."""
    coming = [name.partition("_") for name in at.coming]
    rows = ", ".join(f"('{app}', '{model}')" for app, _, model in coming)
    given = "SELECT codename, id, 'drifted' FROM (SELECT 'add_' || model AS codename, id"
    if not coming:
        return []
    return [
        f"INSERT INTO django_content_type (app_label, model) VALUES {rows} ON CONFLICT DO NOTHING",
        f"INSERT INTO auth_permission (codename, content_type_id, name) {given}"
        " FROM django_content_type ORDER BY id DESC LIMIT 2) there ON CONFLICT DO NOTHING",
    ]


def doubled_types(at: Target) -> Statements:
    """Content types stand twice, or permissions do."""
    table = at.random.choice(["django_content_type", "auth_permission"])
    if table not in at.tables:
        return []
    known = at.tables[table]
    names = ", ".join(quoted(item.name) for item in known.columns if item.name != "id")
    gone = [
        f"DROP CONSTRAINT {quoted(item.name)}" for item in known.constraints if item.kind == "u"
    ]
    return [
        f"ALTER TABLE {table} {', '.join(gone)}",
        f"INSERT INTO {table} ({names}) SELECT {names} FROM {table} ORDER BY id DESC LIMIT 4",
    ]


def types_of_other_shape(at: Target) -> Statements:
    """Django's own tables have columns of another kind."""
    change = at.random.choice(
        [
            "django_content_type ALTER COLUMN model TYPE varchar(20) USING left(model, 20)",
            "django_content_type ADD COLUMN drifted int NOT NULL DEFAULT 0",
            "django_content_type ALTER COLUMN app_label TYPE text",
            "auth_permission ALTER COLUMN codename TYPE varchar(12) USING left(codename, 12)",
            "auth_permission ALTER COLUMN name TYPE varchar(25) USING left(name, 25)",
            "auth_permission ADD CHECK (length(name) < 20) NOT VALID",
            "django_content_type ADD CHECK (length(model) < 9) NOT VALID",
            f"auth_permission OWNER TO {OWNER}",
        ]
    )
    return [f"ALTER TABLE {change}"]


WAYS = [
    unrecord_last,
    unrecord_any,
    record_next,
    break_history,
    doubled_history,
    foreign_history,
    undated_history,
    history_of_other_types,
    history_meddled_with,
    behind,
    types_already_there,
    doubled_types,
    types_of_other_shape,
]
