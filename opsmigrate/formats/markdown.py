"""A report as Markdown: a comment on a pull request, a step summary of GitHub, a note of GitLab."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from opsmigrate import __version__
from opsmigrate.formats.plan_rows import lock_rows, plan_rows
from opsmigrate.report import AFTER_CURE, Finding, Report, by_severity, described
from opsmigrate.shown import shown
from opsmigrate.steps import Step

# A comment of GitHub has at most 65,536 characters; a note of GitLab, far more.
MOST_CHARACTERS = 60_000
MOST_ROWS = 50
SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&$]")
# At the beginning of an item of a list: another list, or a line below a heading.
LEADING = re.compile(r"^(\d*)(?=[-+=.)])")
# What GitHub turns into links, without any mark of Markdown.
LINKING = re.compile(r":(?=//)|(?<=\bwww)\.", re.IGNORECASE)
# By the name of a table nobody is notified, and no issue is linked to: a space of no width stands
# between the mark and the word.
MENTION = re.compile(r"@|#(?=\d)|(?<=\bGH)-(?=\d)|:(?=[\w+-]+:)", re.IGNORECASE)
APART = "&#8203;"


def markdown(report: Report) -> str:
    """Return the report as Markdown of GitHub's kind, short enough for a comment."""
    result = report.result
    if result.text is not None:
        return shown(result.text, lines=True) + "\n"
    head = "\n".join(_head(report))
    tail = "\n".join(_undecided(report))
    left, parts = MOST_CHARACTERS - len(head) - min(len(tail), 10_000), []
    ordered = by_severity(result.findings)
    for number, finding in enumerate(ordered):
        part = "\n".join(_finding(finding))
        left -= len(part) + 1
        if left < 0:
            more = len(ordered) - number
            parts.append(f"\n*and {more:,} more: `--format json` has them all*\n")
            break
        parts.append(part)
    again = _again(report)
    foot = f"\n<sub>opsmigrate {__version__}, run {escaped(report.run_id)}</sub>"
    return "\n".join([head, *parts, tail[:10_000], *again, foot]) + "\n"


def escaped(text: str) -> str:
    """Return text that others made so that Markdown shows it as it is, on one line."""
    plain = shown(text).strip()
    kept = []
    position = 0
    for mention in MENTION.finditer(plain):
        kept += [_marked(plain[position : mention.start()]), f"{_marked(mention.group())}{APART}"]
        position = mention.end()
    return LEADING.sub(r"\1\\", "".join([*kept, _marked(plain[position:])]))


def code(text: str) -> str:
    """Return a code span of text that others made; nothing in it acts, in a table neither."""
    plain = shown(text).replace("|", "\\|")
    runs = [len(each) for each in re.findall("`+", plain)]
    fence = "`" * (max(runs, default=0) + 1)
    pad = " " if plain[:1] in ("`", " ") or plain[-1:] in ("`", " ") else ""
    return f"{fence}{pad}{plain}{pad}{fence}" if plain else ""


def fenced(text: str, language: str) -> str:
    """Return a block of code of text that others made."""
    plain = shown(text, lines=True)
    fence = "`" * max(3, max(map(len, re.findall("`+", plain)), default=0) + 1)
    return f"{fence}{language}\n{plain}\n{fence}"


def _marked(text: str) -> str:
    return LINKING.sub(r"\\\g<0>", SPECIAL.sub(r"\\\g<0>", text))


def _head(report: Report) -> Iterator[str]:
    result = report.result
    yield f"### {report.command}: {result.verdict.value}"
    yield f"\n**{escaped(result.summary)}**"
    if report.database:
        yield f"\n{escaped(described(report.database))}"
    rows = plan_rows(result.facts)
    if rows:
        yield "\n| plan | operations | locks | time |\n|---|---:|---|---|"
    for row in rows[:MOST_ROWS]:
        name = f"{'unapply ' if row.backwards else ''}{code(row.migration)}"
        locks = "<br>".join(map(code, row.locks[:5])) or "none that blocks"
        yield f"| {name} | {len(row.operations)} | {locks} | {row.duration} |"
    if len(rows) > MOST_ROWS:
        yield f"\n*and {len(rows) - MOST_ROWS:,} more migrations*"
    blocked = lock_rows(result.facts)
    if blocked:
        yield "\n| table | size | blocks | mode | time |\n|---|---|---|---|---|"
    for held in blocked[:MOST_ROWS]:
        cells = (code(held.table), held.size, held.blocks, held.mode, held.held)
        yield f"| {' | '.join(cells)} |"


def _finding(finding: Finding) -> Iterator[str]:
    yield f"\n**{finding.severity.value}** {code(finding.id)}: {escaped(finding.message)}"
    places = [f"{name} {code(value)}" for name, value in finding.places]
    if places:
        yield f"\nin {', '.join(places)}"
    if finding.after_cure:
        yield f"\n{AFTER_CURE}"
    if finding.hint and "\n" in finding.hint:
        # A migration to paste.
        yield f"\n{fenced(finding.hint, 'text')}"
    elif finding.hint:
        yield f"\nNext: {escaped(finding.hint)}"
    yield from _steps(finding.steps)


def _steps(steps: Iterable[Step]) -> Iterator[str]:
    for number, (_, group) in enumerate(groupby(steps, key=lambda step: step.alternative)):
        if number:
            yield "\nor:"
        for kind, alike in groupby(group, key=lambda step: step.kind):
            mark, language = ("#", "sh") if kind == "command" else ("--", "sql")
            lines = [
                shown(step.text) + (f"  {mark} {shown(step.risk)}" if step.risk else "")
                for step in alike
            ]
            yield "\n" + fenced("\n".join(lines), language)


def _undecided(report: Report) -> Iterator[str]:
    undecided = report.result.undecided
    if undecided:
        yield "\n**Undecided**\n"
    for item in undecided[:MOST_ROWS]:
        yield f"- {escaped(item.what)}: {escaped(item.why)}"
    if len(undecided) > MOST_ROWS:
        yield f"- and {len(undecided) - MOST_ROWS:,} more"


def _again(report: Report) -> list[str]:
    again = report.result.again
    if not again or not any(each.steps for each in report.result.findings):
        return []
    return [f"\nThen ask again:\n\n{fenced(again, 'sh')}"]
