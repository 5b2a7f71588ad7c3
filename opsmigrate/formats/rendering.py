"""What makes a report in each of the formats."""

from collections.abc import Callable

from opsmigrate.formats.github import github
from opsmigrate.formats.html import html
from opsmigrate.formats.junit import junit
from opsmigrate.formats.markdown import markdown
from opsmigrate.formats.sarif import sarif
from opsmigrate.report import Report

RENDERERS: dict[str, Callable[[Report], str]] = {
    "text": Report.as_text,
    "json": Report.as_json,
    "markdown": markdown,
    "github": github,
    "sarif": sarif,
    "junit": junit,
    "html": html,
}
