"""The lines of the text report, within 80 columns where the words allow it."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opsmigrate.report import WIDTH
from opsmigrate.uat.outcome import Outcome

INDENT = " " * 9


def report_lines(outcomes: Sequence[Outcome], facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where it was looked, what every check saw, and what besides bears on it."""
    return (
        *_scene(facts),
        "",
        *(line for item in outcomes for line in _check(item)),
        *_waivers(facts["waivers"]),
        *_changes(outcomes),
        *(["", *_wrapped(_left_out(facts["deselected"]), "")] if facts["deselected"] else []),
    )


def _scene(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"Environment: {facts['environment']}, release {facts['release'] or 'unknown'}"
    served = ", served by this run" if facts["served"] else ""
    yield f"Site:        {facts['base_url'] or 'none given'}{served}"
    if facts["tls_relaxed"]:
        yield "             plain HTTP on loopback: TLS settings are relaxed here"
    since = [item["name"] for item in facts["migrations"]["since"]]
    number = facts["migrations"]["applied"]
    news = f", since then: {', '.join(since)}" if since else ""
    yield from _wrapped(f"{number} applied{news}", "Migrations:  ")
    backup = facts["backup"]
    if backup is None:
        yield "Backup:      none of this database is in BACKUP_DIR"
    else:
        verified = f"verified ({backup['verified']})" if backup["verified"] else "not verified"
        yield f"Backup:      {backup['id']} of {backup['taken'][:16]} UTC, {verified}"
        yield f"To restore:  {backup['restore']}"
    if facts["baseline"]:
        yield f"Baseline:    {facts['baseline']['id']}"
    if facts["account"]:
        yield from _wrapped(facts["account"]["written"], "Account:     ")


def _check(item: Outcome) -> Iterator[str]:
    yield f"{item.status.value:8} {item.id} ({item.severity}, {item.seconds:.2f} s)"
    yield from _wrapped(item.message, INDENT)
    if item.detail:
        yield from _wrapped(f"saw: {item.detail}", INDENT)
    for words in item.retried:
        yield from _wrapped(f"answered only at another try: {words}", INDENT)
    if item.waived:
        yield from _wrapped(f"WAIVED by {item.waived}", INDENT)


def _waivers(waivers: Sequence[Mapping[str, str]]) -> Iterator[str]:
    if waivers:
        yield from ("", "Waivers:")
    for item in waivers:
        words = f"{item['check']}: {item['state']}; {item['owner']}, until {item['expires']}: "
        yield from _wrapped(words + item["reason"], "  ")


def _changes(outcomes: Sequence[Outcome]) -> Iterator[str]:
    rows = [
        row
        for outcome in outcomes
        for item in outcome.evidence
        if item.kind == "table" and "baseline" in outcome.tags
        for row in item.rows[1:]
        if row[3] in ("changed", "declared", "live")
    ]
    if rows:
        yield from ("", "Before and after: what differs:")
    for figure, before, after, state, why in rows:
        arrow = f" {before} → {after}" if after else ""
        yield from _wrapped(f"{state}: {figure}{arrow}{f' ({why})' if why else ''}", "  ")


def _left_out(ids: Sequence[str]) -> str:
    return f"Not applicable here (no setting or option asks for it): {', '.join(ids)}"


def _wrapped(text: str, first: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first or "  "),
        # Ids of checks have them, and are to be copied.
        break_on_hyphens=False,
    )
