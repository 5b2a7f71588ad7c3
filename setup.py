"""Builds the package together with the pages of docs/findings, which --explain prints."""

from setuptools import find_packages, setup

PAGES = "opsmigrate.findings"

setup(
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
