"""Names of what reaches beyond its database: functions, catalogs, extensions."""

import re

# Functions of the server that act on other sessions, on its files, on replication or on the whole
# cluster, and of its contrib modules (PostgreSQL documentation, System Administration Functions).
FUNCTIONS = re.compile(
    r"pg_(?:cancel|terminate)_backend|pg_reload_conf|pg_rotate_logfile|pg_switch_wal"
    r"|pg_log_backend_memory_contexts|pg_log_standby_snapshot|pg_create_restore_point"
    r"|pg_(?:backup_)?(?:start|stop)(?:_backup)?|pg_promote|pg_wal_replay_\w+"
    r"|pg_(?:create|drop|copy)_(?:physical_|logical_)?replication_slot|pg_replication_\w+"
    r"|pg_logical_\w+|pg_sync_replication_slots"
    r"|pg_stat_reset_\w+|pg_stat_statements_reset"
    r"|lo_import|lo_export|pg_read_(?:binary_)?file|pg_ls_\w+|pg_stat_file|pg_file_\w+"
    r"|binary_upgrade_\w+|dblink\w*|postgres_fdw_\w+"
)
# Functions that execute SQL given as a text (documentation, XML Functions; tablefunc).
SQL_TEXT = frozenset(
    {
        "connectby",
        "crosstab",
        "crosstab2",
        "crosstab3",
        "crosstab4",
        "query_to_xml",
        "query_to_xml_and_xmlschema",
        "query_to_xmlschema",
        "ts_rewrite",
        "ts_stat",
        "xpath_table",
    }
)
# How many of their first arguments are such texts, whole. The others put theirs together.
SQL_TEXTS = {
    **dict.fromkeys(("crosstab", "crosstab2", "crosstab3", "crosstab4"), 2),
    "query_to_xml": 1,
    "query_to_xml_and_xmlschema": 1,
    "query_to_xmlschema": 1,
    "ts_stat": 1,
}
# With these, a session is another's, its text is read otherwise than it is read here, or the
# catalogs of all databases may be changed.
SETTINGS = frozenset(
    {"allow_system_table_mods", "session_authorization", "standard_conforming_strings"}
)
# pg_class.relisshared, and the view that hides one of them.
SHARED_CATALOGS = frozenset(
    {
        "pg_auth_members",
        "pg_authid",
        "pg_database",
        "pg_db_role_setting",
        "pg_parameter_acl",
        "pg_replication_origin",
        "pg_shadow",
        "pg_shdepend",
        "pg_shdescription",
        "pg_shseclabel",
        "pg_subscription",
        "pg_tablespace",
    }
)
# Extensions whose functions reach beyond the database, by what their documentation says.
OUTWARD_EXTENSIONS = frozenset(
    {
        "adminpack",
        "aws_commons",
        "aws_lambda",
        "aws_s3",
        "azure_storage",
        "clickhouse_fdw",
        "db2_fdw",
        "dblink",
        "file_fdw",
        "http",
        "jdbc_fdw",
        "mongo_fdw",
        "multicorn",
        "mysql_fdw",
        "odbc_fdw",
        "oracle_fdw",
        "orafce",
        "pg_amqp",
        "pg_background",
        "pg_curl",
        "pg_file_settings",
        "pg_kafka",
        "pg_net",
        "pgsql_http",
        "plsh",
        "postgres_fdw",
        "redis_fdw",
        "sqlite_fdw",
        "tds_fdw",
        "wrappers",
    }
)


def is_outward(name: str) -> bool:
    """Return whether a function of this name reaches beyond its database."""
    return FUNCTIONS.fullmatch(name) is not None


def is_outward_extension(name: str) -> bool:
    """Return whether functions of an extension reach outside, as those of plpython3u do."""
    return name in OUTWARD_EXTENSIONS or re.fullmatch(r"pl\w+u", name) is not None


def is_catalog(schema: str, name: str) -> bool:
    """Return whether it is a catalog of PostgreSQL's; `schema` is "" where none is said."""
    return schema in ("pg_catalog", "pg_toast") or (not schema and name.startswith("pg_"))


def is_shared_catalog(schema: str, name: str) -> bool:
    """Return whether it is a catalog that all databases of the server share."""
    return schema in ("", "pg_catalog") and name in SHARED_CATALOGS
