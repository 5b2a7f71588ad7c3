"""Build what is published, the same bytes each time, and check it: dist/, with a list of its parts.

    python scripts/package.py

It makes an environment under .demo/ with the tools. `SOURCE_DATE_EPOCH` is the time of the last
commit unless it is set. Beside the wheel and the sdist stands a CycloneDX SBOM of the wheel with
all that it needs to run, in the versions that pip finds today.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts import processes
from scripts.archives import normalise
from scripts.environment import (
    DEMO,
    ROOT,
    Environment,
    EnvironmentProblem,
    child_environment,
    ensure,
)

# The extra `package` of pyproject.toml has the same, and the bounds.
TOOLS = (".[package]",)
DIST = ROOT / "dist"
EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"


class PackageProblem(Exception):
    """Something cannot be built, or does not pass a check; what was typed has said why."""


def epoch_of(root: Path) -> int:
    """Return the seconds since 1970 that all files of the archives get.

    Raises PackageProblem where nothing says them.
    """
    if given := os.environ.get(EPOCH_VARIABLE):
        return int(given)
    command = [shutil.which("git") or "git", "log", "-1", "--format=%ct"]
    try:
        done = processes.run(command, cwd=root, environment=child_environment(), capture=True)
        return int(done.stdout)
    except (OSError, ValueError) as problem:
        raise PackageProblem(
            f"set {EPOCH_VARIABLE} (seconds since 1970): git does not tell the last commit's"
        ) from problem


def build(python: Path, source: Path, dist: Path, epoch: int) -> list[Path]:
    """Build the sdist, and the wheel from it, into `dist`, and return both.

    `python` has the packages build and setuptools. The archives depend on the files and on the
    epoch only: not on the folder, on the time or on the rights that files have here.
    """
    outdir = ["--outdir", str(dist), str(source)]
    command = [str(python), "-m", "build", "--no-isolation", *outdir]
    _run(command, **{EPOCH_VARIABLE: str(epoch)})
    built = sorted(path for path in dist.iterdir() if path.name.endswith((".whl", ".tar.gz")))
    for path in built:
        normalise(path, epoch)
    return built


def check(tools: Environment, built: Sequence[Path]) -> None:
    """Check what would be uploaded; raises PackageProblem where a check fails."""
    _run([tools.program("twine"), "check", "--strict", *built])
    wheels = [path for path in built if path.suffix == ".whl"]
    # The pages of the findings and the scripts are no modules, and are wanted.
    _run([tools.program("check-wheel-contents"), *wheels])


def write_sbom(tools: Environment, wheel: Path, target: Path) -> None:
    """Write the CycloneDX SBOM of a wheel and of what it needs, from an environment with just it.

    The tool is cyclonedx-py (https://pypi.org/project/cyclonedx-bom/), and states no time.
    """
    with tempfile.TemporaryDirectory() as folder:
        only = Environment(Path(folder) / "venv")
        _run([sys.executable, "-m", "venv", "--without-pip", only.folder])
        pip = [str(tools.python), "-m", "pip", "--python", str(only.python), "install", "--quiet"]
        _run([*pip, "--no-compile", "--disable-pip-version-check", str(wheel)])
        options = ["--output-reproducible", "--pyproject", str(ROOT / "pyproject.toml")]
        options += ["--output-format", "JSON", "--output-file", str(target)]
        _run([tools.program("cyclonedx-py"), "environment", *options, str(only.python)])


def _run(command: Sequence[str | Path], **variables: str) -> None:
    print(f"$ {' '.join(str(each) for each in command)}", flush=True)
    done = processes.run(command, cwd=ROOT, environment=child_environment(**variables))
    if done.returncode:
        raise PackageProblem(f"{Path(command[0]).name} ended with {done.returncode}")


def main() -> int:
    """Build everything into an empty dist/, check it, and return the exit code."""
    try:
        tools = ensure(DEMO / "package-venv", TOOLS, files=[ROOT / "pyproject.toml"])
        shutil.rmtree(DIST, ignore_errors=True)
        built = build(tools.python, ROOT, DIST, epoch_of(ROOT))
        check(tools, built)
        (wheel,) = (path for path in built if path.suffix == ".whl")
        name, version, *_ = wheel.name.split("-")
        write_sbom(tools, wheel, DIST / f"{name}-{version}.cdx.json")
    except (PackageProblem, EnvironmentProblem, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print("\n".join(str(path.relative_to(ROOT)) for path in sorted(DIST.iterdir())))
    return 0


if __name__ == "__main__":
    with processes.interruptible():
        sys.exit(main())
