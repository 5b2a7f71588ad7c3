"""What the live database has answered, for as long as a walk lasts."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Answers:
    """What the live database has answered in one walk, and need not be asked again.

    `others_have_code` says whether roles that are not trusted have any; None before it is asked.
    """

    operator_classes: dict[tuple[str, str, str], bool | None] = field(default_factory=dict)
    others_have_code: bool | None = None
