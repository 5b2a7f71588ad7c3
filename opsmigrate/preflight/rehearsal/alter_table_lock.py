"""The lock of an ALTER TABLE that is a transaction of its own, from its actions."""

from typing import Any

from opsmigrate.sql import nodes
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.statement import NoGrammarError, NotParsedError

# Actions that lock less than ACCESS EXCLUSIVE (PostgreSQL documentation, ALTER TABLE; its function
# AlterTableGetLockLevel). The strongest of several counts.
WEAK = frozenset(
    {
        "AT_AttachPartition",
        "AT_ClusterOn",
        "AT_DropCluster",
        "AT_ResetOptions",
        "AT_ResetRelOptions",
        "AT_SetOptions",
        "AT_SetRelOptions",
        "AT_SetStatistics",
        "AT_ValidateConstraint",
    }
)
TRIGGERS = ("AT_EnableTrig", "AT_EnableAlwaysTrig", "AT_EnableReplicaTrig", "AT_DisableTrig")
SHARE_UPDATE_EXCLUSIVE = "ShareUpdateExclusiveLock"
SHARE_ROW_EXCLUSIVE = "ShareRowExclusiveLock"
ACCESS_EXCLUSIVE = "AccessExclusiveLock"
ORDER = (SHARE_UPDATE_EXCLUSIVE, SHARE_ROW_EXCLUSIVE, ACCESS_EXCLUSIVE)


def alter_table_lock(text: str) -> str:
    """Return the mode in which the statement locks its table; the strongest where that is open."""
    try:
        statements = parse(text)
    except (NotParsedError, NoGrammarError):
        return ACCESS_EXCLUSIVE
    if len(statements) != 1 or statements[0].kind != "alter_table_stmt":
        return ACCESS_EXCLUSIVE  # RENAME and SET SCHEMA are statements of another kind
    modes = [_mode(each.alter_table_cmd) for each in statements[0].node.cmds]
    return max(modes, key=ORDER.index, default=ACCESS_EXCLUSIVE)


def _mode(command: Any) -> str:
    subtype = nodes.label(command, "subtype")
    if subtype in WEAK:
        return SHARE_UPDATE_EXCLUSIVE
    if subtype.startswith(TRIGGERS):
        return SHARE_ROW_EXCLUSIVE
    constraint = getattr(command, "def").constraint
    adds = subtype == "AT_AddConstraint"
    if adds and nodes.label(constraint, "contype") == "CONSTR_FOREIGN":
        return SHARE_ROW_EXCLUSIVE
    return ACCESS_EXCLUSIVE
