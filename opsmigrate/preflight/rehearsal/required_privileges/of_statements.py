"""What a text of SQL needs: each statement by the rule of its command."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from opsmigrate.preflight.rehearsal.required_privileges import (
    of_data,
    of_new_objects,
    of_objects,
    of_tables,
)
from opsmigrate.preflight.rehearsal.required_privileges.required import (
    DATABASE,
    Call,
    Code,
    Required,
    RequiredPrivilege,
    Unclear,
    owner,
    parts_of,
)
from opsmigrate.sql import nodes
from opsmigrate.sql.bodies import UNKNOWN, body_of, executed, statements_in
from opsmigrate.sql.grammar import scan
from opsmigrate.sql.placeholders import statements_of
from opsmigrate.sql.statement import Node, NoGrammarError, NotParsedError, Statement

Rule = Callable[[Any], Iterator[Required]]
# Where one statement executes the text of another that executes the text of a third.
DEEPEST = 8
# What they name is called later, or never.
DEFINING = ("create_function_stmt", "create_trig_stmt", "rule_stmt", "view_stmt")
# What a statement in a block may begin with that has none of the block's variables in it.
COMMANDS = frozenset(
    {
        "ALTER",
        "CLUSTER",
        "COMMENT",
        "CREATE",
        "DO",
        "DROP",
        "GRANT",
        "LOCK",
        "REFRESH",
        "REINDEX",
        "REVOKE",
        "TRUNCATE",
    }
)
SESSION_ROLES = ("role", "session_authorization")


def _field(field: str, kind: str) -> Rule:
    def rule(node: Any) -> Iterator[Required]:
        value = getattr(node, field)
        name = (value,) if isinstance(value, str) else parts_of(value)
        yield owner(name, kind)

    return rule


def _routine(node: Any) -> Iterator[Required]:
    yield owner(parts_of(node.func.objname), "ROUTINE", certain=False)


def _operator(node: Any) -> Iterator[Required]:
    yield owner(parts_of(node.opername.objname), "OPERATOR", certain=False)


def _database(node: Any) -> Iterator[Required]:
    # The fence lets the copy through and no other: in the real run it is the live database.
    yield owner((), DATABASE)


def _query(node: Any) -> Iterator[Required]:
    kind = node.query.WhichOneof("node")
    yield from _of_kind(kind, getattr(node.query, kind))


def _nothing(node: Any) -> Iterator[Required]:
    return iter(())


# What a command is called in the grammar -> what it needs. Of any other, nothing is known.
RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("delete_stmt", "insert_stmt", "merge_stmt", "select_stmt", "update_stmt"), of_data.data
    ),
    **dict.fromkeys(("declare_cursor_stmt", "explain_stmt", "prepare_stmt"), _query),
    # They end or shape a session or a transaction, or ask for the rights of their owner alone.
    **dict.fromkeys(
        (
            "alter_default_privileges_stmt",
            "close_portal_stmt",
            "constraints_set_stmt",
            "deallocate_stmt",
            "discard_stmt",
            "execute_stmt",
            "fetch_stmt",
            "listen_stmt",
            "notify_stmt",
            "transaction_stmt",
            "unlisten_stmt",
            # Of others, VACUUM and ANALYZE leave tables out, with a warning.
            "vacuum_stmt",
            "variable_set_stmt",
            "variable_show_stmt",
        ),
        _nothing,
    ),
    **dict.fromkeys(
        ("alter_database_refresh_coll_stmt", "alter_database_set_stmt", "alter_database_stmt"),
        _database,
    ),
    **dict.fromkeys(
        ("alter_extension_contents_stmt", "alter_extension_stmt"), of_objects.extension
    ),
    **dict.fromkeys(("alter_policy_stmt", "create_policy_stmt", "rule_stmt"), of_tables.on_table),
    **dict.fromkeys(
        ("cluster_stmt", "refresh_mat_view_stmt", "reindex_stmt"), of_tables.maintained
    ),
    **dict.fromkeys(("alter_publication_stmt", "create_publication_stmt"), of_objects.publication),
    "alter_collation_stmt": _field("collname", "COLLATION"),
    "alter_domain_stmt": _field("type_name", "TYPE"),
    "alter_enum_stmt": _field("type_name", "TYPE"),
    "alter_event_trig_stmt": _field("trigname", "EVENT TRIGGER"),
    "alter_function_stmt": _routine,
    "alter_object_schema_stmt": of_objects.moved,
    "alter_operator_stmt": _operator,
    "alter_owner_stmt": of_objects.given,
    "alter_seq_stmt": of_objects.sequence,
    "alter_stats_stmt": _field("defnames", "STATISTICS"),
    "alter_table_stmt": of_tables.altered,
    "alter_tsconfiguration_stmt": _field("cfgname", "TEXT SEARCH CONFIGURATION"),
    "alter_tsdictionary_stmt": _field("dictname", "TEXT SEARCH DICTIONARY"),
    "alter_type_stmt": _field("type_name", "TYPE"),
    "comment_stmt": of_objects.commented,
    "composite_type_stmt": of_new_objects.composite,
    "copy_stmt": of_data.copied,
    "create_conversion_stmt": of_new_objects.named("conversion_name"),
    "create_domain_stmt": of_new_objects.named("domainname"),
    "create_enum_stmt": of_new_objects.named("type_name"),
    "create_extension_stmt": of_new_objects.extension,
    "create_function_stmt": of_new_objects.function,
    "create_range_stmt": of_new_objects.named("type_name"),
    "create_schema_stmt": of_new_objects.schema,
    "create_seq_stmt": of_new_objects.sequence,
    "create_stats_stmt": of_new_objects.statistics,
    "create_stmt": of_tables.created,
    "create_table_as_stmt": of_data.made_by_query,
    "create_trig_stmt": of_tables.triggered,
    "define_stmt": of_new_objects.defined,
    "drop_stmt": of_objects.dropped,
    "grant_stmt": of_objects.granted,
    "index_stmt": of_tables.indexed,
    "lock_stmt": of_data.locked,
    "rename_stmt": of_objects.renamed,
    "truncate_stmt": of_data.truncated,
    "view_stmt": of_new_objects.view,
}


def required_privileges(text: str, depth: int = 0) -> Iterator[Required]:
    """Yield what a text of one or more statements needs, and where that cannot be read from it."""
    try:
        statements = statements_of(text)
    except (NotParsedError, NoGrammarError) as error:
        yield Unclear(f"its text cannot be parsed: {error}")
        return
    for statement in statements:
        yield from _of(statement, depth)


def sets_role(text: str) -> bool:
    """Return whether another role executes what follows, as far as the text tells."""
    try:
        return any(_sets_role(part) for each in statements_of(text) for part in each.parts())
    except (NotParsedError, NoGrammarError):
        return False


def _sets_role(part: Node) -> bool:
    if part.kind == "VariableSetStmt":
        return part.value.name in SESSION_ROLES
    called = part.kind == "FuncCall" and nodes.names(part.value.funcname)[-1] == "set_config"
    return bool(
        called and part.value.args and nodes.text(part.value.args[0]) in (None, *SESSION_ROLES)
    )


def _of(statement: Statement, depth: int) -> Iterator[Required]:
    if statement.kind == "do_stmt":
        yield from _of_block(statement, depth)
    elif statement.kind == "call_stmt":
        yield Code(statement.text)
        yield Unclear("what the code that it calls needs is not known")
    else:
        yield from _of_kind(statement.kind, statement.node)
    if statement.kind in DEFINING:
        return
    for part in statement.parts():
        if part.kind == "FuncCall":
            name = nodes.names(part.value.funcname)[-1]
            # The sequence stands in a literal, or belongs to a column of the table in one.
            yield Code(statement.text) if name == "setval" else Call(name)


def _of_kind(kind: str, node: Any) -> Iterator[Required]:
    rule = RULES.get(kind)
    if rule is None:
        words = kind.removesuffix("_stmt").replace("_", " ")
        yield Unclear(f"which privileges this command needs is not known ({words})")
    else:
        yield from rule(node)


def _of_block(statement: Statement, depth: int) -> Iterator[Required]:
    """A DO block: what of it is a statement of its own, and whatever else it names."""
    yield Code(statement.text)
    body = body_of(statement)
    if body is None or body.text is None or body.language != "plpgsql" or depth >= DEEPEST:
        yield Unclear("what its code needs is not known")
        return
    try:
        tokens = scan(body.text)
        texts = [*statements_in(tokens, COMMANDS), *executed(tokens)]
    except (NotParsedError, NoGrammarError) as error:
        yield Unclear(f"its code cannot be read: {error}")
        return
    for text in texts:
        if text is None:
            yield Unclear("it EXECUTEs SQL that is not in its text")
            continue
        for need in required_privileges(text, depth + 1):
            if isinstance(need, RequiredPrivilege) and UNKNOWN in need.name:
                yield Unclear("it EXECUTEs SQL with a name that is not in its text")
            elif isinstance(need, RequiredPrivilege):
                # Whether it comes to this is not known.
                yield replace(need, certain=False)
            else:
                yield need
    seen = sum(text.upper().split()[:1] == ["CREATE"] for text in texts if text)
    if seen < sum(token.kind == "CREATE" for token in tokens):
        yield Unclear("what its code makes is not known")
