"""Damage to rights and settings."""

from tests.drift.target import OWNER, Statements, Target, quoted


def give_table_away(at: Target) -> Statements:
    """A table belongs to another role, and nothing is granted."""
    table = at.names()[0]
    return [f"ALTER TABLE {table} OWNER TO CURRENT_USER"]


def take_create_away(at: Target) -> Statements:
    """The role may not create in the schema."""
    return [
        "ALTER SCHEMA public OWNER TO CURRENT_USER",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO PUBLIC",
    ]


def rights_without_table(at: Target) -> Statements:
    """A table belongs to another role, which has granted some of what there is to grant."""
    table, column = at.names()
    rights = at.random.choice(
        ["ALL", "SELECT", "SELECT, INSERT, UPDATE, DELETE", "REFERENCES", f"SELECT ({column})"]
    )
    return [f"ALTER TABLE {table} OWNER TO CURRENT_USER", f"GRANT {rights} ON {table} TO {OWNER}"]


def revoked_from_owner(at: Target) -> Statements:
    """The owner of a table has taken a right from itself."""
    right = at.random.choice(["REFERENCES", "SELECT", "INSERT", "UPDATE", "DELETE", "ALL"])
    return [f"REVOKE {right} ON {at.names()[0]} FROM {OWNER}"]


def owned_by_group(at: Target) -> Statements:
    """A table belongs to a role of which ours is a member."""
    return [f"ALTER TABLE {at.names()[0]} OWNER TO drift_group"]


def sequence_given_away(at: Target) -> Statements:
    """What a key counts by belongs to another role."""
    table, _ = at.target()
    for column in table.columns:
        if column.identity:
            name, key = quoted(table.name), quoted(column.name)
            default = "SET DEFAULT nextval('drifted_foreign_counter')"
            return [
                f"ALTER TABLE {name} ALTER COLUMN {key} DROP IDENTITY",
                "CREATE SEQUENCE drifted_foreign_counter START 5000",
                f"ALTER TABLE {name} ALTER COLUMN {key} {default}",
            ]
    return []


def forced_row_security(at: Target) -> Statements:
    """The owner sees only the rows that a policy lets him see."""
    table, column = at.names()
    policy = at.random.choice([f"USING ({column} IS NULL)", "USING (true)", "FOR SELECT"])
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY drifted_force ON {table} {policy}"
        + (" USING (false)" if policy == "FOR SELECT" else ""),
    ]


def no_temporary_tables(at: Target) -> Statements:
    """The role may make no temporary tables."""
    return [
        f"REVOKE TEMPORARY ON DATABASE {at.database} FROM PUBLIC",
        f"REVOKE TEMPORARY ON DATABASE {at.database} FROM {OWNER}",
    ]


def default_privileges(at: Target) -> Statements:
    """What the role makes, it may not use."""
    right = at.random.choice(["ALL", "INSERT", "REFERENCES"])
    return [f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} REVOKE {right} ON TABLES FROM {OWNER}"]


def session_setting(at: Target) -> Statements:
    """Sessions of the role, or all of the database, begin with another setting."""
    setting = at.random.choice(
        [
            "statement_timeout = '1h'",
            "lock_timeout = '1min'",
            "idle_in_transaction_session_timeout = '1h'",
            "default_transaction_read_only = on",
            "default_transaction_isolation = 'serializable'",
            "default_transaction_isolation = 'repeatable read'",
            "search_path = pg_catalog, public",
            "search_path = drifted_nowhere",
            "search_path = drifted_nowhere, public",
            "session_replication_role = replica",
            "default_tablespace = 'drifted_nowhere'",
            "row_security = off",
            "standard_conforming_strings = off",
            "DateStyle = 'German'",
            "IntervalStyle = 'iso_8601'",
            "bytea_output = 'escape'",
            "TimeZone = 'Asia/Kathmandu'",
            "quote_all_identifiers = on",
            "transform_null_equals = on",
            "array_nulls = off",
            "lc_messages = 'C'",
            "xmlbinary = 'hex'",
            "check_function_bodies = off",
            "client_min_messages = 'error'",
            "role = 'drift_group'",
            "enable_seqscan = off",
            "default_table_access_method = 'heap'",
            "extra_float_digits = 0",
        ]
    )
    where = at.random.choice([f"ROLE {OWNER} IN DATABASE {at.database}", f"DATABASE {at.database}"])
    return [f"ALTER {where} SET {setting}"]


WAYS = [
    give_table_away,
    take_create_away,
    rights_without_table,
    revoked_from_owner,
    owned_by_group,
    sequence_given_away,
    forced_row_security,
    no_temporary_tables,
    default_privileges,
    session_setting,
]
