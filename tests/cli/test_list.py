"""list, where there is no torch, and what it says of each entry."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from activity_bench import catalog

pytestmark = pytest.mark.quick

# None in the table of modules is what an import finds where a library is not installed.
BARE = "import sys; sys.modules.update(dict.fromkeys(('torch', 'av', 'safetensors')))\n"
TABLES = (catalog.BUILDERS, catalog.METHODS, catalog.BACKBONES, catalog.METRICS, catalog.PROTOCOLS, catalog.EXPORTS)


def test_everything_is_listed_without_torch(environment: Callable[..., dict[str, str]]) -> None:
    code = BARE + "from activity_bench.cli import main; sys.exit(main(['list']))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()[1:]]
    assert {(name, kind) for name, kind, about in rows if about} >= {(n, k) for n, k in kinds()}
    said = {(name, kind): about for name, kind, about in rows}
    assert said["vgg16-regions", "backbones"] == (
        "Regions of an image: Ren, He, Girshick and Sun, *Faster R-CNN*, NIPS 2015, with VGG-16, up to fc7."
    )
    assert said["sail", "methods"].endswith(
        "via Image Query*, IJCAI 2019, section 4."
    )  # from the docstring's next line


def kinds() -> list[tuple[str, str]]:
    names = ("benchmarks", "methods", "backbones", "metrics", "protocols", "formats")
    return [(name, kind) for kind, entries in zip(names, TABLES, strict=True) for name in entries]


def test_one_kind(cli: Callable[..., Any]) -> None:
    lines = cli("list", "backbones").stdout.splitlines()[1:]
    assert [line.split("\t")[0] for line in lines] == sorted(catalog.BACKBONES)


@pytest.mark.parametrize("name", sorted(catalog.BACKBONES))
def test_a_backbone_is_where_the_table_says(name: str) -> None:
    assert catalog.load("backbone", catalog.BACKBONES, name).name == name
