"""doctor: what is installed, from the package's own metadata, so that no second list goes stale; what works with it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import NamedTuple

from activity_bench import __version__, catalog
from activity_bench.data import shipped
from activity_bench.data.disk import cache_folder
from activity_bench.errors import BenchError

NAME = "activity-bench"
DECODERS = ("pyav", "decord", "torchcodec")
# What a command needs beside the base install: extras of pyproject.toml. What is not named needs none.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "train": ("models",),
    "predict": ("models",),
    "train --set tensorboard=true": ("models", "tensorboard"),
    "localize": ("models", "video"),
    "reproduce": ("models",),
    "extract-features": ("models", "video"),
    "extract-features --backbone i3d-flow": ("models", "video", "flow"),
    "extract-features --backbone torchvision:NAME": ("models", "video", "regions"),
    "extract-features --engine ray": ("models", "video", "distributed"),
    "extract-regions": ("models", "video"),
    "project": ("models",),
    "report --videos DIR": ("video",),
    "simulate clips": ("video",),
    "export --to hf": ("export",),
}


class Part(NamedTuple):
    """A package that some of us needs."""

    name: str
    version: str  # or: missing
    needed_for: str  # everything, or the extras that name it
    remedy: str


class Fact(NamedTuple):
    """Something of this machine."""

    what: str
    found: str
    remedy: str


class Works(NamedTuple):
    """A command, and whether what it needs is installed."""

    command: str
    works: bool
    needs: str
    remedy: str


class Doctor(NamedTuple):
    """All that doctor finds."""

    parts: list[Part]
    machine: list[Fact]
    commands: list[Works]


def doctor() -> Doctor:
    """What is installed, what the machine has, and which commands work with that.

    >>> [one.command for one in doctor().commands if not one.works]
    """
    needed = _needed()
    parts = [Part("python", platform.python_version(), "everything", ""), Part(NAME, __version__, "everything", "")]
    if not needed:
        parts.append(Part(f"{NAME} (metadata)", "missing", "extras", "pip install -e ."))
    for package, extras in sorted(needed.items(), key=lambda item: ("everything" not in item[1], item[0])):
        of_base = "everything" in extras
        remedy = f"pip install {package}" if of_base else f"pip install '{NAME}[{extras[0]}]'"
        version = _version(package)
        parts.append(Part(package, version or "missing", ", ".join(extras), "" if version else remedy))
    found = len(shipped.published()), len(shipped.digests())
    parts.append(Part("published figures", f"{found[0]} figures, {found[1]} digests", "leaderboard, inspect", ""))
    return Doctor(parts, _machine(), _commands(needed))


def _needed() -> dict[str, list[str]]:
    """Package -> the extras that name it; everything: the base install does."""
    needed: dict[str, list[str]] = {}
    try:
        requirements = metadata.requires(NAME) or []
    except metadata.PackageNotFoundError:
        requirements = []
    for requirement in requirements:
        package = (re.match(r"[A-Za-z0-9._-]+", requirement) or [""])[0]
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", requirement)
        if package != NAME:
            named = needed.setdefault(package, [])
            if not extra or extra[1] != "all":  # which is the sum of the others
                named.append(extra[1] if extra else "everything")
                named.sort(key="dev".__eq__)  # what our developers take comes last
    return needed


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commands(needed: Mapping[str, list[str]]) -> list[Works]:
    """Each command of the catalog; one that needs no extra works."""
    rows = []
    for command in sorted({*catalog.COMMANDS, *NEEDS}, key=lambda one: (one.split()[0], one)):
        extras = NEEDS.get(command, ())
        if command.split()[0] not in catalog.COMMANDS:
            continue
        lacking = [extra for extra in extras
                   if not all(_version(one) for one, named in needed.items() if extra in named)]  # fmt: skip
        remedy = f"pip install '{NAME}[{','.join(lacking)}]'" if lacking else ""
        rows.append(Works(command, not lacking, ", ".join(extras), remedy))
    return rows


def _machine() -> list[Fact]:
    """Cores, memory, disk, the GPU, decoders that load, and the folders that are written to."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rows = [Fact("cores", f"{usable} usable of {os.cpu_count()}", "")]
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        rows.append(Fact("memory", f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GB", ""))
    rows.append(_gpu())
    rows += [_decoder(name) for name in DECODERS]
    rows += [_place("this folder", Path()), _place("temporary folder", Path(tempfile.gettempdir()))]
    try:
        return [*rows, _place("cache", cache_folder())]
    except BenchError as error:
        return [*rows, Fact("cache", error.problem, error.hint or "")]


def _gpu() -> Fact:
    try:
        distributed = import_module("activity_bench.training.distributed")
    except ImportError:
        return Fact("GPU", "not looked for: no torch", f"pip install '{NAME}[models]'")
    device = str(distributed.device_of("auto", distributed.Processes.of_environment()))
    return Fact("GPU", "none: training runs on the CPU" if device == "cpu" else device, "")


def _decoder(name: str) -> Fact:
    try:
        module = import_module(f"activity_bench.features.{name}")
        found = module.version()
    except ImportError:  # of numpy's kin that it is written with
        return Fact(f"decoder {name}", "missing", f"pip install '{NAME}[video]'")
    except BenchError as error:
        return Fact(f"decoder {name}", error.problem, error.hint or "")
    return Fact(f"decoder {name}", found, "")


def _place(what: str, path: Path) -> Fact:
    """How much room is left, and whether anything can be written there."""
    there = path
    while not there.exists() and there != there.parent:  # what is not there yet is made when it is needed
        there = there.parent
    free = f"{shutil.disk_usage(there).free / 2**30:.1f} GB free"
    if os.access(there, os.W_OK):
        return Fact(what, f"{path.absolute()}: {free}", "")
    return Fact(what, f"{path.absolute()}: not writable", "Run elsewhere, or set TMPDIR or XDG_CACHE_HOME.")
