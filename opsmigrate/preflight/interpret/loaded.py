"""Rules of many files, of which each is imported where the first statement asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TypeVar

Rule = TypeVar("Rule")
PACKAGE = "opsmigrate.preflight.interpret.commands"


def by_key(files: Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
    """Return the file of each key: no other file has it."""
    return {key: file for file, keys in files.items() for key in keys}


@dataclass(frozen=True, eq=False)
class Loaded(Mapping[str, Rule]):
    """The rules that files of commands/ have in the mapping that they call `named`, by their keys.

    `files` are the files by the key of the rule. A plan has statements of few kinds, and to import
    all files takes longer than to interpret them.
    """

    named: str
    files: Mapping[str, str]

    def __getitem__(self, key: str) -> Rule:
        """Return the rule; raise KeyError where no file has it."""
        found: Rule = vars(import_module(f"{PACKAGE}.{self.files[key]}"))[self.named][key]
        return found

    def __contains__(self, key: object) -> bool:
        """Return whether a file has it, without importing one."""
        return key in self.files

    def __iter__(self) -> Iterator[str]:
        """Yield the keys of all files."""
        return iter(self.files)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.files)
