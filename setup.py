"""Builds the package together with the pages of docs/findings and the scripts of the seed."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

PAGES = "opsmigrate.findings"
# Where opsmigrate/backfill/scripts_by_hand.py looks for them.
SCRIPTS = Path("opsmigrate", "backfill", "scripts")


class BuildWithScripts(build_py):
    """Puts the scripts for those without Python into the package."""

    def run(self) -> None:
        """Copy them after the modules; an editable installation reads them in scripts/."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / SCRIPTS
        target.mkdir(parents=True, exist_ok=True)
        for each in sorted(Path("scripts").glob("add_payment_id.*")):
            self.copy_file(str(each), str(target / each.name))


setup(
    cmdclass={"build_py": BuildWithScripts},
    packages=[*find_packages(include=["opsmigrate", "opsmigrate.*"]), PAGES],
    package_dir={PAGES: "docs/findings"},
    package_data={
        "opsmigrate": [
            "py.typed",
            "formats/templates/*.html",
            "json_schemas/*.json",
            "uat/reports/templates/*.html",
        ],
        PAGES: ["*.md"],
    },
)
