"""What an acceptance check works with."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.conf import Settings
from opsmigrate.uat.baseline.record import Baseline
from opsmigrate.uat.outcome import Evidence, NotRun
from opsmigrate.uat.site import Site, Visitor


@dataclass(frozen=True, kw_only=True)
class Context:
    """A database connection that cannot write, the site, the settings, and what was before.

    `http` is a visitor of the live site with a cookie jar of its own; `no_site` says why there may
    be none. `evidence` is what the report shows besides the SQL and the answers of the site, which
    are kept by themselves.
    """

    connection: BaseDatabaseWrapper
    settings: Settings
    site: Site | None
    visitor: Visitor | None
    baseline: Baseline | None
    no_site: NotRun
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def http(self) -> Visitor:
        """The visitor of the live site; NotRun is raised where no site was given."""
        if self.visitor is None:
            raise self.no_site
        return self.visitor

    def require_site(self) -> Site:
        """Return where the site is, or raise NotRun."""
        if self.site is None:
            raise self.no_site
        return self.site

    def require_baseline(self) -> Baseline:
        """Return what was before, or raise NotRun."""
        if self.baseline is None:
            hint = "give the file that --save-baseline wrote before the migration with --baseline"
            raise NotRun("no baseline was given", hint=hint)
        return self.baseline

    def add_evidence(self, title: str, text: str) -> None:
        """Keep a text, such as sample keys, as evidence."""
        self.evidence.append(Evidence(kind="text", title=title, text=text))

    def add_table(self, title: str, rows: Sequence[Sequence[str]]) -> None:
        """Keep a table as evidence; its first row is the head."""
        table = tuple(tuple(row) for row in rows)
        self.evidence.append(Evidence(kind="table", title=title, rows=table))

    def add_image(self, title: str, image: bytes) -> None:
        """Keep a picture (JPEG or PNG) as evidence."""
        self.evidence.append(Evidence(kind="image", title=title, image=image))

    # As version 0.1.0 called them; a project's uat.py may do so still.
    keep, keep_table, keep_image = add_evidence, add_table, add_image
