"""One file per kind of command: what it refuses, locks, rewrites, asks, needs, loses, changes."""

from collections.abc import Mapping

from opsmigrate.preflight.interpret.commands import (
    alter_table,
    code,
    comment,
    create_index,
    create_table,
    cursors,
    databases,
    definitions,
    dml,
    drop,
    explain,
    extensions,
    functions,
    owners,
    publications,
    reindex,
    rename,
    schemas,
    sequences,
    set_schema,
    settings,
    statistics,
    triggers,
    truncate,
    types,
    views,
)
from opsmigrate.preflight.interpret.step import Command

# What a statement is called in the grammar -> its rule.
COMMANDS: Mapping[str, Command] = {
    **alter_table.COMMANDS,
    **code.COMMANDS,
    **comment.COMMANDS,
    **create_index.COMMANDS,
    **create_table.COMMANDS,
    **dml.COMMANDS,
    **drop.COMMANDS,
    **explain.COMMANDS,
    **extensions.COMMANDS,
    **functions.COMMANDS,
    **owners.COMMANDS,
    **reindex.COMMANDS,
    **rename.COMMANDS,
    **schemas.COMMANDS,
    **sequences.COMMANDS,
    **set_schema.COMMANDS,
    **settings.COMMANDS,
    **statistics.COMMANDS,
    **triggers.COMMANDS,
    **truncate.COMMANDS,
    **types.COMMANDS,
    **views.COMMANDS,
}
# What the schema knows nothing of: the rights that it takes, and no more, are told.
RIGHTS: Mapping[str, Command] = {
    **cursors.RIGHTS,
    **databases.RIGHTS,
    **definitions.RIGHTS,
    **extensions.RIGHTS,
    **publications.RIGHTS,
}
