"""One file per kind of command: what it refuses, locks, rewrites, asks, loses and changes."""

from collections.abc import Mapping

from opsmigrate.preflight.interpret.commands import alter_table, create_index, create_table, drop
from opsmigrate.preflight.interpret.step import Command

# What a statement is called in the grammar -> its rule.
COMMANDS: Mapping[str, Command] = {
    **alter_table.COMMANDS,
    **create_index.COMMANDS,
    **create_table.COMMANDS,
    **drop.COMMANDS,
}
