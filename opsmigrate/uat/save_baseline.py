"""Save what a database and its site are like before a migration."""

from datetime import datetime, timezone
from pathlib import Path

from opsmigrate.conf import Settings
from opsmigrate.counted import counted
from opsmigrate.errors import UndecidedError
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.postgres.session import read_only_thread, second_connection
from opsmigrate.progress import Progress
from opsmigrate.report import Finding, Result, Severity, Verdict
from opsmigrate.schema.history import applied_migrations
from opsmigrate.uat.baseline.compare import live_models
from opsmigrate.uat.baseline.figures import measure, measured_models, stable_marks
from opsmigrate.uat.baseline.pages import fetch
from opsmigrate.uat.baseline.record import Baseline, Page, identity, write_baseline
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.registry import discover, registry
from opsmigrate.uat.site import Login, OutOfReachError, Site, Visitor
from opsmigrate.uat.system import System

NOT_FOUND = 404
# A page that is mostly noise shows little of a change.
WORDS_TO_COMPARE = 0.5


def save_baseline(system: System, *, run_id: str, file: Path, progress: Progress) -> Result:
    """Write the baseline to `file`, and return what it holds.

    Raises UndecidedError where a site was given and does not answer, or refuses the login: a
    baseline without what was asked for would be compared with nothing.
    """
    broken = discover()
    if broken:
        raise UndecidedError(
            f"{broken[0].module} cannot be imported: {broken[0].words}",
            id="check-error",
            hint="correct it: it may declare expected changes",
        )
    connection, settings, site = system.connection, system.settings, system.site
    progress.phase("figures of every model …")
    with read_only_thread(), second_connection(connection) as own:
        # The history is read by Django, which asks whatever connection the alias has.
        with project_search_path(connection):
            models = measured_models(own)
        marks, settled = stable_marks(own, models)
        live = live_models(registry.expectations, [model.label for model in models])
        figures = measure(own, models, {key: marks[key] for key in live if key in marks})
        applied = applied_migrations(own)
    progress.phase("key pages …")
    fetched = _pages(site, settings) if site else []
    pages = {path: page for path, page, _ in fetched}
    absent = len(settings.uat.urls) - len(pages) if site else 0
    notes = _notes(settings, site=site, settled=settled, absent=absent)
    notes += tuple(
        f"of the words of {path} only {compared:.0%} will be compared: the others are not the same "
        "from one answer to the next"
        for path, _, compared in fetched
        if compared < WORDS_TO_COMPARE
    )
    baseline = Baseline(
        taken=datetime.now(timezone.utc).isoformat(),
        run_id=run_id,
        release=settings.release,
        database=identity(system.session),
        migrations=applied,
        base_url=site.base_url if site else None,
        models=figures,
        pages=pages,
        notes=notes,
    )
    write_baseline(file, baseline)
    number = sum(len(each.figures) for each in figures.values())
    return Result(
        verdict=Verdict.PASSED,
        summary=f"baseline of {counted(len(figures), 'model')} ({counted(number, 'figure')}) and "
        f"{counted(len(pages), 'page')} saved to {file}",
        findings=tuple(_warning(note) for note in notes),
        facts={
            "file": str(file),
            "models": len(figures),
            "figures": number,
            "pages": {path: page.status for path, page in pages.items()},
            "live": live,
            "migrations": list(applied),
        },
        detail=(
            *(
                f"  {label}: {each.figures.get('count', '?')} rows"
                for label, each in figures.items()
            ),
            *(f"  {path}: {page.status}" for path, page in pages.items()),
        ),
    )


def _pages(site: Site, settings: Settings) -> list[tuple[str, Page, float]]:
    visitor = Visitor(site, login=Login(site, settings.uat.login))
    try:
        visitor.log_in()
        pages = []
        for url in settings.uat.urls:
            path, page, compared = fetch(visitor, url.url, expected=url.status)
            if page.status not in (url.status, NOT_FOUND):
                raise Failed(f"{path} answered {page.status or 'now so, now so'}, not {url.status}")
            # A page that only the next release has cannot be the same before it.
            if page.status == url.status:
                pages.append((path, page, compared))
    except (OutOfReachError, Failed) as error:
        raise _incomplete(str(error)) from error
    if settings.uat.urls and not pages:
        raise _incomplete("none of them exists")
    return pages


def _incomplete(why: str) -> UndecidedError:
    return UndecidedError(
        f"the pages before the migration cannot be recorded: {why}",
        id="baseline-incomplete",
        hint="check that the site is up, and that its address and the login are right; or save "
        "the baseline without --base-url",
    )


def _notes(settings: Settings, *, site: Site | None, settled: bool, absent: int) -> tuple[str, ...]:
    notes = []
    if absent:
        notes.append(
            f"{absent} of the key URLs do not exist yet (404), and are not in the baseline"
        )
    if site is None and settings.uat.urls:
        notes.append("no site was given, so no page is in the baseline")
    if not settled:
        notes.append(
            "a transaction has been open for 10 s; rows that it adds below the highest keys will "
            "look like changes"
        )
    return tuple(notes)


def _warning(note: str) -> Finding:
    return Finding(
        id="baseline-partial",
        severity=Severity.WARNING,
        message=note,
        hint="save it again with --base-url, while no long transaction is open; a page that is "
        "never the same twice does not belong in a baseline",
    )
