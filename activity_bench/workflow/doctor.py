"""doctor: what is installed, from the package's own metadata, so that no second list can go stale."""

from __future__ import annotations

import platform
import re
from importlib import metadata

from activity_bench import __version__
from activity_bench.data import shipped

NAME = "activity-bench"


def doctor() -> list[tuple[str, str, str, str]]:
    """Rows of (part, version, needed for, how to get it): the interpreter, then every dependency."""
    rows = [("python", platform.python_version(), "everything", ""), (NAME, __version__, "everything", "")]
    try:
        requirements = metadata.requires(NAME) or []
    except metadata.PackageNotFoundError:
        return [*rows, (f"{NAME} (metadata)", "missing", "extras", "pip install -e .")]
    needed: dict[str, list[str]] = {}
    for requirement in requirements:
        package = (re.match(r"[A-Za-z0-9._-]+", requirement) or [""])[0]
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", requirement)
        if package != NAME:
            needed.setdefault(package, []).append(extra[1] if extra else "everything")
    for package, extras in sorted(needed.items(), key=lambda item: ("everything" not in item[1], item[0])):
        version = _version(package)
        remedy = (
            ""
            if version
            else f"pip install '{NAME}[{extras[0]}]'"
            if extras[0] != "everything"
            else f"pip install {package}"
        )
        rows.append((package, version or "missing", ", ".join(extras), remedy))
    found = len(shipped.published()), len(shipped.digests())
    rows.append(("published figures", f"{found[0]} figures, {found[1]} digests", "leaderboard, inspect", ""))
    return rows


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
