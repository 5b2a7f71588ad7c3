"""One file per kind of command: what it refuses, locks, rewrites, asks, loses and changes."""

from collections.abc import Mapping

from opsmigrate.preflight.interpret.commands import drop
from opsmigrate.preflight.interpret.step import Command

# What a statement is called in the grammar -> its rule.
COMMANDS: Mapping[str, Command] = {
    **drop.COMMANDS,
}
