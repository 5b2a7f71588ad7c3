"""Rules of many files, of which each is imported where the first statement asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TypeVar

Rule = TypeVar("Rule")
PACKAGE = "opsmigrate.preflight.interpret.commands"


class Loaded(Mapping[str, Rule]):
    """The rules that files of commands/ have in the mapping that they call `named`, by their keys.

    A plan has statements of few kinds, and to import all files takes longer than to interpret them.
    """

    def __init__(self, named: str, files: Mapping[str, tuple[str, ...]]) -> None:
        """Take the keys of each file, which its mapping has and no other one."""
        self._named = named
        self._files = {key: file for file, keys in files.items() for key in keys}

    def __getitem__(self, key: str) -> Rule:
        """Return the rule; raise KeyError where no file has it."""
        found: Rule = vars(import_module(f"{PACKAGE}.{self._files[key]}"))[self._named][key]
        return found

    def __contains__(self, key: object) -> bool:
        """Return whether a file has it, without importing one."""
        return key in self._files

    def __iter__(self) -> Iterator[str]:
        """Yield the keys of all files."""
        return iter(self._files)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._files)
