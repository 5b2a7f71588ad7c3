"""Where people review: a report as Markdown, GitHub annotations, SARIF, JUnit XML or HTML."""

# Their names; rendering.py has what makes them, which not every run needs.
FORMATS = ("text", "json", "markdown", "github", "sarif", "junit", "html")
