"""Classes of the simulated world: kin are alike by the stated ratio, phases differ, names and places are stable."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from activity_bench.simulation.classes import ROOT, TREE, paths, siblings
from activity_bench.simulation.concepts import OFFSETS, Concepts, canonical
from activity_bench.simulation.parameters import WorldOptions
from activity_bench.simulation.properties import correlation

pytestmark = pytest.mark.quick

WIDE = {"dim": 1024, "concepts": 512, "layout": 0.0}  # a correlation is then known to 1 / 20


def concepts(tree: dict[str, tuple[str, ...]] | None = None, **options: Any) -> Concepts:
    return Concepts(WorldOptions(**options), paths() if tree is None else tree)


def rows(made: Concepts, label: str) -> np.ndarray:
    return made.rows(made.path(label))


def pairs() -> dict[str, list[tuple[str, str]]]:
    """Pairs of leaves by how they are kin."""
    tree = paths()
    found: dict[str, list[tuple[str, str]]] = {"siblings": [], "cousins": [], "strangers": []}
    for a, b in combinations(tree, 2):
        kin = "siblings" if tree[a][0] == tree[b][0] else "cousins" if tree[a][1] == tree[b][1] else "strangers"
        found[kin].append((a, b))
    return found


@pytest.mark.parametrize("kinship", [0.0, 0.3, 0.5, 0.8])
def test_kin_share_the_stated_variance(kinship: float) -> None:
    made = concepts(kinship=kinship, common=0.0, **WIDE)
    for kin, expected in (("siblings", kinship), ("cousins", kinship**2), ("strangers", 0.0)):
        found = [correlation(rows(made, a), rows(made, b)) for a, b in pairs()[kin][::7]]
        assert np.mean(found) == pytest.approx(expected, abs=0.03), kin
    assert np.mean([rows(made, label).var() for label in paths()]) == pytest.approx(1, abs=0.03)


def test_siblings_are_nearer_than_strangers_at_the_default_size() -> None:
    made = concepts()
    near, far = (
        np.array([correlation(rows(made, a), rows(made, b)) for a, b in pairs()[kin]])
        for kin in ("siblings", "strangers")
    )
    effect = (near.mean() - far.mean()) / np.sqrt((near.var() + far.var()) / 2)
    assert effect > 4  # standard deviations; stated 0.45 apart, each known to about 0.1


@pytest.mark.parametrize("order", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("common", [0.0, 0.5])
def test_phases_differ_as_stated(order: float, common: float) -> None:
    made = concepts(order=order, common=common, **WIDE)
    some = list(paths())[::6]
    found = [correlation(a, b) for label in some for a, b in combinations(rows(made, label), 2)]
    assert np.mean(found) == pytest.approx(1 - order, abs=0.04)
    strangers = [(a, b) for a, b in combinations(some, 2) if paths()[a][1] != paths()[b][1]]
    same = [correlation(rows(made, a), rows(made, b)) for a, b in strangers]
    assert np.mean(same) == pytest.approx(order * common, abs=0.04)


@pytest.mark.parametrize("layout", [0.0, 0.4, 1.0])
def test_offsets_hold_their_share_of_a_class(layout: float) -> None:
    """What only boxes tell is `layout` of the variance of a class's rows."""
    made = concepts(order=0.0, dim=1024, layout=layout)
    offsets = made.map("offsets", 1, OFFSETS, 1024)[0]  # (4, dim)
    basis = np.linalg.qr(offsets.T)[0].T
    shares = []
    for label in paths():
        row = rows(made, label)[0]
        shares.append(np.square(basis @ row).sum() / made.options.dim)
    assert np.mean(shares) == pytest.approx(layout, abs=0.12)  # four numbers a class, 48 classes that are kin


def test_trimmed_clips_differ_as_stated() -> None:
    made = concepts(shift=0.3, common=0.0, **WIDE)
    places = [made.path(label) for label in paths()]
    found = [correlation(made.rows(place), made.rows(place, True)) for place in places]
    assert np.mean(found) == pytest.approx(0.7, abs=0.03)
    assert concepts(shift=0.0).rows(places[0], True).tobytes() == concepts(shift=0.0).rows(places[0]).tobytes()


def test_names_are_alike_where_classes_are() -> None:
    made = concepts(word_noise=0.5)
    found = {kin: [correlation(made.word(a), made.word(b)) for a, b in some] for kin, some in pairs().items()}
    assert np.mean(found["siblings"]) == pytest.approx(0.5 / 1.25, abs=0.05)
    assert np.mean(found["cousins"]) == pytest.approx(0.25 / 1.25, abs=0.05)
    assert np.mean(found["strangers"]) == pytest.approx(0, abs=0.05)


def test_one_activity_under_two_names() -> None:
    assert canonical("TableTennisServe") == canonical("table tennis serve")
    made = concepts({"Playing chess": ("Board games", "Arts"), "Tap dancing": ("Dancing", "Arts")})
    assert made.path("playing chess") == made.path("Playing chess") == ("Arts", "Board games", "playingchess")
    assert correlation(made.word("playing chess"), made.word("Playing chess")) == pytest.approx(0.8, abs=0.1)
    assert canonical("!!!") == "!!!"


def test_a_class_that_the_tree_lacks_is_adopted() -> None:
    made = concepts()
    assert made.path("yawning")[:-1] in made.parents
    assert made.path("yawning") == concepts().path("yawning")
    bare = concepts({})
    families = {bare.path(f"class {i}")[:-1] for i in range(400)}
    assert len(families) == 40 and all(len(path) == 2 for path in families)


def test_the_root_is_nobodys_kin() -> None:
    rooted = concepts({label: (*path, ROOT) for label, path in paths().items()}, dim=8)
    assert all((rows(rooted, label) == rows(concepts(dim=8), label)).all() for label in paths())


def test_siblings_of_a_class_do_not_change_it() -> None:
    """A manifest that has fewer classes has the same vectors for those it has."""
    few = {label: path for label, path in paths().items() if path[0] in TREE["Sports and exercise"]}
    label = "Playing squash"
    assert siblings(label)[0] in few
    assert (rows(concepts(few), label) == rows(concepts(), label)).all()


def test_others_are_no_siblings() -> None:
    made = concepts()
    own = frozenset(parent for parent in made.parents[:8])
    found = {made.other(f"v{i}", "distractor", own) for i in range(300)}
    assert not {path[:-1] for path in found} & own
    assert len(found) == 32  # four below each of the eight parents that are left
    assert not {path[-1] for path in found} & {canonical(label) for label in paths()}


def test_classes_whose_names_are_near_are_near() -> None:
    """Half of what two classes have in common is the cosine of their names, less what all names have in common."""
    drawn = np.random.Generator(np.random.Philox(1)).standard_normal((40, 300)).astype(np.float32)
    drawn[1::2] = 0.8 * drawn[::2] + 0.6 * drawn[1::2]  # each odd one is near the one before it
    labels = [f"class {i}" for i in range(40)]
    names = dict(zip(labels, drawn + 5.0, strict=True))  # as GloVe's, all vectors share a direction
    options = WorldOptions(kinship=0.0, common=0.0, **WIDE)
    made = Concepts(options, dict.fromkeys(labels, ()), names)

    def mean(made: Concepts, step: int) -> float:
        return float(
            np.mean([correlation(rows(made, f"class {i}"), rows(made, f"class {i + step}")) for i in range(0, 38, 2)])
        )

    assert mean(made, 1) == pytest.approx(0.4, abs=0.03) and mean(made, 2) == pytest.approx(0.0, abs=0.03)
    assert np.std(rows(made, "class 7")) == pytest.approx(1.0, abs=0.06)
    assert mean(Concepts(options, dict.fromkeys(labels, ())), 1) == pytest.approx(0.0, abs=0.03)
    shifted = [made.rows(made.path("class 0"), trimmed) for trimmed in (False, True)]
    assert correlation(*shifted) == pytest.approx(1 - options.shift, abs=0.06)


def test_classes_that_name_one_activity_are_as_alike_as_stated() -> None:
    """The class on the tree is followed; one that follows stands beside it; of several partners the first counts."""
    tree = paths()
    on_tree, other = list(tree)[:2]
    options = WorldOptions(kinship=0.0, common=0.0, **WIDE)
    pairs = [
        (on_tree, "Same Thing", 1.0),
        ("judged thing", on_tree, 0.8),
        ("judged thing", other, 1.0),
        ("a", "a", 1.0),
    ]
    made = Concepts(options, tree, alike=pairs)
    assert made.path("same thing")[:-1] == made.path("judged thing")[:-1] == made.path(on_tree)[:-1]
    assert np.array_equal(rows(made, "Same Thing"), rows(made, on_tree))
    assert correlation(rows(made, "judged thing"), rows(made, on_tree)) == pytest.approx(np.sqrt(0.8), abs=0.04)
    assert correlation(rows(made, "judged thing"), rows(made, other)) == pytest.approx(0.0, abs=0.08)
    assert correlation(made.word("judged thing"), made.word(on_tree)) > correlation(
        made.word("stranger"), made.word(on_tree)
    )
    assert np.array_equal(rows(made, on_tree), rows(Concepts(options, tree), on_tree))
