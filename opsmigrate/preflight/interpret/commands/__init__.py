"""One file per kind of command: what it refuses, locks, rewrites, asks, needs, loses, changes."""

from opsmigrate.preflight.interpret.loaded import Loaded, by_key
from opsmigrate.preflight.interpret.step import Command

# File -> what its statements are called in the grammar: the keys of its COMMANDS.
FILES = {
    "alter_table": ("alter_table_stmt",),
    "code": ("do_stmt", "call_stmt"),
    "comment": ("comment_stmt",),
    "create_index": ("index_stmt",),
    "create_table": ("create_stmt",),
    "dml": ("select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt"),
    "drop": ("drop_stmt",),
    "explain": ("explain_stmt",),
    "extensions": ("create_extension_stmt",),
    "functions": ("create_function_stmt", "alter_function_stmt"),
    "owners": (
        "alter_owner_stmt",
        "grant_stmt",
        "create_policy_stmt",
        "alter_policy_stmt",
        "rule_stmt",
    ),
    "reindex": ("reindex_stmt", "cluster_stmt"),
    "rename": ("rename_stmt",),
    "schemas": ("create_schema_stmt",),
    "sequences": ("create_seq_stmt", "alter_seq_stmt"),
    "set_schema": ("alter_object_schema_stmt",),
    "settings": (
        "variable_set_stmt",
        "variable_show_stmt",
        "lock_stmt",
        "constraints_set_stmt",
        "transaction_stmt",
        "notify_stmt",
        "listen_stmt",
        "unlisten_stmt",
        "check_point_stmt",
    ),
    "statistics": ("create_stats_stmt", "vacuum_stmt"),
    "triggers": ("create_trig_stmt",),
    "truncate": ("truncate_stmt", "copy_stmt"),
    "types": (
        "create_enum_stmt",
        "alter_enum_stmt",
        "create_domain_stmt",
        "alter_domain_stmt",
        "composite_type_stmt",
    ),
    "views": ("view_stmt", "create_table_as_stmt", "refresh_mat_view_stmt"),
}
# What a statement is called in the grammar -> its rule.
COMMANDS: Loaded[Command] = Loaded("COMMANDS", by_key(FILES))
# What the schema knows nothing of: file -> statements of which the rights, and no more, are told.
OF_RIGHTS = {
    "cursors": (
        "alter_default_privileges_stmt",
        "close_portal_stmt",
        "deallocate_stmt",
        "declare_cursor_stmt",
        "discard_stmt",
        "execute_stmt",
        "fetch_stmt",
        "prepare_stmt",
    ),
    "databases": (
        "alter_database_refresh_coll_stmt",
        "alter_database_set_stmt",
        "alter_database_stmt",
    ),
    "definitions": (
        "alter_collation_stmt",
        "alter_event_trig_stmt",
        "alter_operator_stmt",
        "alter_stats_stmt",
        "alter_tsconfiguration_stmt",
        "alter_tsdictionary_stmt",
        "alter_type_stmt",
        "create_conversion_stmt",
        "create_range_stmt",
        "define_stmt",
    ),
    "extensions": ("alter_extension_contents_stmt", "alter_extension_stmt"),
    "publications": ("alter_publication_stmt", "create_publication_stmt"),
}
RIGHTS: Loaded[Command] = Loaded("RIGHTS", by_key(OF_RIGHTS))
