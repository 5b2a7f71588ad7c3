"""The facts of verify_backup."""

from typing import Literal

from opsmigrate.facts.report import Facts


class _IfRestored(Facts, total=False):
    restored_on: str


class Verified(_IfRestored):
    """What was verified now (`level`), and what the manifest says since."""

    file: str
    level: Literal["archive", "restore"]
    verified: str | None


VerifyFacts = Verified | Facts
