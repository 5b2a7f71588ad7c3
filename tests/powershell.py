"""PowerShell, parsed: it cannot be run on every machine that runs these tests."""

from __future__ import annotations

from collections.abc import Iterator

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

LANGUAGE = Language(tree_sitter_powershell.language())


def parsed(source: str) -> Node:
    """Return the syntax tree of a script; fail where it is none."""
    root = Parser(LANGUAGE).parse(source.encode()).root_node
    wrong = [node.start_point for node in every(root) if node.type == "ERROR" or node.is_missing]
    assert not wrong, f"no PowerShell at {wrong[0].row + 1}:{wrong[0].column + 1}"
    return root


def every(node: Node, kind: str | None = None) -> Iterator[Node]:
    """Yield the node and all within it, in their order; only those of a kind, where it is given."""
    if kind in (None, node.type):
        yield node
    for child in node.children:
        yield from every(child, kind)


def text(node: Node) -> str:
    """Return what stands in the source."""
    assert node.text is not None
    return node.text.decode()


def aliases_of_parameters(root: Node) -> dict[str, set[str]]:
    """Return the parameters of a script, each with its aliases."""
    found = {}
    for parameter in every(root, "script_parameter"):
        [variable] = [node for node in parameter.children if node.type == "variable"]
        found[text(variable).lstrip("$")] = {
            text(value).strip("'")
            for attribute in every(parameter, "attribute")
            if text(attribute).startswith("[Alias(")
            for value in every(attribute, "attribute_argument")
        }
    return found


def assigned(node: Node) -> list[tuple[str, str]]:
    """Return every assignment within the node: what it assigns to, and what."""
    return [
        (text(each.children[0]), text(each.children[-1]))
        for each in every(node, "assignment_expression")
    ]


def options_of(command: Node) -> list[str]:
    """Return the names of the options that a command line gives."""
    return [text(each).lstrip("-") for each in every(command, "command_parameter")]
