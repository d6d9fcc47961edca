"""where: what to get, from whom, on which terms, where to put it, and what of it is here. Nothing is fetched."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from activity_bench.data import shipped
from activity_bench.data.disk import sha256
from activity_bench.errors import InputError, unknown

MOST = 500_000  # names that are looked at
HERE, SAME, OTHER, MISSING = "here", "here, as published", "another file of that name", "missing"


@dataclass(frozen=True)
class Wanted:
    """A file, and whether it is there."""

    name: str
    state: str
    path: Path | None


@dataclass(frozen=True)
class Place:
    """Something to get."""

    name: str
    title: str
    page: str
    licence: str
    put: str
    note: str
    files: tuple[Wanted, ...]
    here: str  # yes, part, no; of what has no list of names, how many


def where(name: str | None = None, folders: Sequence[Path | str] = (".",)) -> list[Place]:
    """All that the benchmarks are made from, or one of them; its files are looked for under `folders`.

    >>> where("kinetics-400", ["data"])[0].files[0].state
    """
    listed = shipped.places()
    names = [str(one["name"]) for one in listed]
    if name is not None and name not in names:
        raise unknown("corpus", name, names)
    for folder in folders:
        if not Path(folder).is_dir():
            raise InputError("no such folder", file=Path(folder), field="--folder")
    wanted = [one for one in listed if name in (None, one["name"])]
    found = _found([file["name"] for one in wanted for file in one["files"]], folders)
    return [_place(one, found) for one in wanted]


def _place(one: dict[str, Any], found: dict[str, list[Path]]) -> Place:
    files = tuple(_looked_at(file, found[file["name"]]) for file in one["files"])
    there = [file.state in (HERE, SAME) for file in files]
    here = "yes" if all(there) or (one.get("any") and any(there)) else "part" if any(there) else "no"
    if one.get("many"):
        here = f"{sum(len(found[file['name']]) for file in one['files']):,} files"
    texts = {key: str(one.get(key, "")) for key in ("name", "title", "page", "licence", "put", "note")}
    return Place(**texts, files=files, here=here)


def _looked_at(file: dict[str, Any], paths: Sequence[Path]) -> Wanted:
    """A file by its name; where its sum is known, by that: a name such as train.json says nothing."""
    if "sha256" not in file:
        return Wanted(file["name"], HERE, paths[0]) if paths else Wanted(file["name"], MISSING, None)
    for path in paths:
        if path.stat().st_size == file["bytes"] and sha256(path)[0] == file["sha256"]:
            return Wanted(file["name"], SAME, path)
    return Wanted(file["name"], OTHER, paths[0]) if paths else Wanted(file["name"], MISSING, None)


def _found(names: Iterable[str], folders: Sequence[Path | str]) -> dict[str, list[Path]]:
    """Name or pattern -> the files that bear it, in order."""
    found: dict[str, list[Path]] = {name: [] for name in names}
    patterns, seen = [name for name in found if "*" in name], 0
    for folder in folders:
        for place, inner, files in os.walk(folder):
            inner[:] = sorted(one for one in inner if not one.startswith("."))
            seen += len(files)
            if seen > MOST:
                raise InputError(f"over {MOST:,} files are here", file=Path(folder), field="--folder",
                                 hint="Name the folder of the data.")  # fmt: skip
            for file in sorted(files):
                for name in [file] * (file in found) + [one for one in patterns if fnmatchcase(file, one)]:
                    if (path := Path(place) / file).is_file():
                        found[name].append(path)
    return found
