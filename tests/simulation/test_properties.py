"""Each knob of the world moves its own property, as stated, and no other."""

from __future__ import annotations

import pytest

from activity_bench.simulation.parameters import KNOBS, WorldOptions
from activity_bench.simulation.properties import PROPERTIES, moved

pytestmark = pytest.mark.quick

TOLERANCE = 0.08  # 48 classes of 64 numbers, which are drawn anew where kinship or order change


def test_every_knob_has_its_property() -> None:
    assert set(PROPERTIES) == set(KNOBS)


def test_a_knob_moves_its_own_property_and_no_other() -> None:
    for line in moved(WorldOptions(dim=128, common=0.25)):  # 0.05, as it stands, is less than the tolerance
        assert line.found == pytest.approx(line.stated, abs=TOLERANCE), line
        assert line.found_off == pytest.approx(line.stated_off, abs=TOLERANCE), line
        assert line.others < TOLERANCE < abs(line.found - line.found_off), line


@pytest.mark.parametrize(
    ("knob", "value"),
    [("kinship", 0.8), ("order", 0.9), ("common", 0.7), ("tempo", 0.6), ("drift", 2.0), ("scenes", 3.0),
     ("distractors", 2.5), ("slow", 0.9), ("mislead", 0.6), ("shift", 0.7)],
)  # fmt: skip
def test_properties_are_as_stated_elsewhere_too(knob: str, value: float) -> None:
    options = WorldOptions(dim=128, seed=1, **{knob: value})  # type: ignore[arg-type]
    measured = PROPERTIES[knob].measure(options)
    assert measured == pytest.approx(PROPERTIES[knob].stated(options), abs=0.15 if knob == "distractors" else TOLERANCE)
