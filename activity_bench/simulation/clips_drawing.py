"""The pixels of a made-up video: a body of round-ended strokes, what it does in each class, and what is behind it.

A motion gives, for each frame of an activity, how the body is bent: angles in radians (0 hangs down, positive turns to
the viewer's right), lengths in units of the body's height. An activity has a start (the body leans to one side), a
middle (the motion at full size) and an end (it leans to the other), so that its order can be seen.

Positions are rounded to 1/64 of a pixel before anything is drawn, and drawing only adds, multiplies, divides and takes
roots: so the pixels are the same on every machine, whatever the last bit of its sine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from activity_bench import chance

if TYPE_CHECKING:
    from activity_bench.simulation.clips import Clip

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Motion = Callable[["Pose", Floats, Floats], None]

LEG, ARM, TRUNK, NECK = 0.42, 0.34, 0.38, 0.13  # lengths; the head's middle is NECK above the shoulders
TALL = 0.55  # of the shorter side of the picture
MARGIN = 24  # pixels by which the scene is larger than the picture, on each side: the camera drifts within them
DISCS = 3  # things that move in the background
PERIOD = (0.7, 1.1)  # seconds of one round of a motion, about: an activity has whole rounds
BALL = [245.0, 245.0, 235.0]  # its colour


@dataclass
class Pose:
    """How the body is bent in each frame: (T,) each."""

    across: Floats  # of the hip, from where the body stands
    lift: Floats  # of the feet from the ground
    turn: Floats  # of all of the body
    bend: Floats  # of the trunk alone
    arms: list[Floats]
    legs: list[Floats]
    crouch: Floats  # 0 to 1: how much of the legs is folded
    ball: list[Floats]  # across and above the ground; not finite where there is none

    @classmethod
    def resting(cls, seconds: Floats) -> Pose:
        """Standing, with a slight sway."""
        sway = 0.06 * np.sin(2.1 * seconds)
        still = np.zeros_like(seconds)
        return cls(
            across=still.copy(), lift=still.copy(), turn=still.copy(), bend=sway, crouch=still.copy(),
            arms=[0.25 + sway, -0.25 + sway], legs=[still + 0.15, still - 0.15], ball=[still + np.nan, still + np.nan],
        )  # fmt: skip


# ---- motions: `size` runs from 0 over 1 to 0 as an activity begins and ends, `angle` by 2 pi a round: (T,) each ------


def _jumping(pose: Pose, size: Floats, angle: Floats) -> None:
    up = np.maximum(np.sin(angle), 0)
    pose.lift += 0.45 * size * up
    pose.crouch += 0.6 * size * np.maximum(-np.sin(angle), 0)


def _squatting(pose: Pose, size: Floats, angle: Floats) -> None:
    pose.crouch += size * (0.5 - 0.5 * np.cos(angle))
    for side, arm in zip((1, -1), pose.arms, strict=True):
        arm += side * size * 0.9


def _star_jumping(pose: Pose, size: Floats, angle: Floats) -> None:
    wide = size * (0.5 - 0.5 * np.cos(angle))
    for side, arm, leg in zip((1, -1), pose.arms, pose.legs, strict=True):
        arm += side * 2.4 * wide
        leg += side * 0.6 * wide


def _throwing(pose: Pose, size: Floats, angle: Floats) -> None:
    """Half a round to raise the arm with the ball behind the head, then it comes forward and the ball flies off."""
    part = (angle / (2 * np.pi)) % 1
    swing = np.where(part < 0.5, -2.4 * part / 0.5, -2.4 + 4.0 * np.minimum((part - 0.5) / 0.2, 1))
    pose.arms[0] += size * (swing - pose.arms[0])
    flown = part - 0.6
    held = flown < 0
    hand_x, hand_y = ARM * np.sin(pose.arms[0]), LEG + TRUNK - ARM * np.cos(pose.arms[0])
    pose.ball[0] = np.where(held, hand_x, 0.3 + 4.0 * flown)
    pose.ball[1] = np.where(held, hand_y, 0.9 + 0.9 * flown - 4.0 * flown * flown)


def _bouncing(pose: Pose, size: Floats, angle: Floats) -> None:
    part = (angle / np.pi) % 1  # twice a round
    pose.arms[0] += size * (1.0 + 0.3 * np.sin(2 * angle))
    pose.ball[0] = np.full_like(size, 0.36)
    pose.ball[1] = 0.08 + size * 1.6 * part * (1 - part)


def _waving(pose: Pose, size: Floats, angle: Floats) -> None:
    pose.arms[0] += size * (2.5 + 0.5 * np.sin(2 * angle))


def _bowing(pose: Pose, size: Floats, angle: Floats) -> None:
    pose.bend += size * 0.6 * (1 - np.cos(angle))


def _cartwheels(pose: Pose, size: Floats, angle: Floats) -> None:
    pose.turn += angle * (size > 0)
    pose.across += 0.45 * size * np.sin(angle / 2)
    for side, arm, leg in zip((1, -1), pose.arms, pose.legs, strict=True):
        arm += side * 2.2 * size
        leg += side * 0.45 * size


def _running(pose: Pose, size: Floats, angle: Floats) -> None:
    stride = size * np.sin(2 * angle)
    pose.across += 0.8 * size * np.sin(angle / 2)
    for side, arm, leg in zip((1, -1), pose.arms, pose.legs, strict=True):
        arm -= side * 0.9 * stride
        leg += side * 0.8 * stride


MOTIONS: Mapping[str, Motion] = {
    "Jumping": _jumping, "Squatting": _squatting, "Star jumping": _star_jumping, "Throwing a ball": _throwing,
    "Bouncing a ball": _bouncing, "Waving": _waving, "Bowing": _bowing, "Turning cartwheels": _cartwheels,
    "Running to and fro": _running,
}  # fmt: skip


# ---- frames ---------------------------------------------------------------------------------------------------------


def frames(clip: Clip, seed: int) -> Iterator[Pixels]:
    """The frames of a video, in order: (height, width, 3)."""
    seconds = np.array([clip.seconds(frame) for frame in range(len(clip.ticks) - 1)])
    scene = _scene(seed, clip)
    drift = 2 * np.pi * (seconds[:, None] / 11 + [chance.number(seed, clip.id, f"camera {axis}") for axis in "xy"])
    camera = np.rint(MARGIN / 2 * np.sin(drift)).astype(int) + MARGIN  # (T, 2): x, y
    strokes, colours = _strokes(clip, seed, seconds)
    for view, shapes in zip(camera, strokes, strict=True):
        x, y = view
        picture = scene[y : y + clip.height, x : x + clip.width].copy()
        for shape, colour in zip(shapes, colours, strict=True):
            _draw(picture, shape, colour)
        yield np.rint(picture).astype(np.uint8)


def _strokes(clip: Clip, seed: int, seconds: Floats) -> tuple[Floats, Floats]:
    """Strokes of each frame as (x, y, x, y, radius) in pixels, and their colours: (T, S, 5), (S, 3)."""
    drawn = partial(chance.number, seed, clip.id)
    tall = TALL * min(clip.width, clip.height)
    ground, stand = 0.88 * clip.height, clip.width * (0.4 + 0.2 * drawn("stand"))
    strokes = []
    for disc in range(DISCS):
        x = (drawn(f"disc {disc}") + seconds * (0.04 + 0.05 * drawn(f"speed {disc}"))) % 1 * 1.3 - 0.15
        y = 0.1 + 0.5 * drawn(f"height {disc}") + 0.03 * np.sin(3 * seconds + disc)
        at = [x * clip.width, y * clip.height]
        strokes.append(np.stack([*at, *at, np.full_like(x, (0.03 + 0.04 * drawn(f"size {disc}")) * tall)], axis=1))
    for start, end, radius in _body(_pose(clip, seed, seconds)):
        xs = [stand + tall * point[0] for point in (start, end)]
        ys = [ground - tall * point[1] for point in (start, end)]
        strokes.append(np.stack([xs[0], ys[0], xs[1], ys[1], np.full_like(xs[0], radius * tall)], axis=1))
    colours = [[60 + 195 * drawn(f"colour {s} {c}") for c in "rgb"] for s in range(DISCS)]
    clothes = [[20 + 215 * drawn(f"{part} {c}") for c in "rgb"] for part in ("skin", "shirt", "trousers")]
    skin, shirt, trousers = clothes
    colours += [trousers, trousers, shirt, skin, skin, skin, BALL]
    return np.rint(np.stack(strokes, axis=1) * 64) / 64, np.rint(np.array(colours))


def _pose(clip: Clip, seed: int, seconds: Floats) -> Pose:
    pose = Pose.resting(seconds)
    for number, activity in enumerate(clip.activities):
        part = slice(activity.first, activity.last)
        start, end = clip.seconds(activity.first), clip.seconds(activity.last)
        done = (seconds[part] - start) / (end - start)  # 0 to 1
        size = np.minimum(np.minimum(done, 1 - done) * 5, 1)  # a fifth of the time to begin, a fifth to end
        lean = 0.35 * np.sin(np.pi * np.minimum(done * 5, 1)) - 0.35 * np.sin(np.pi * np.maximum(done * 5 - 4, 0))
        low, high = PERIOD
        rounds = max(1, round((end - start) / (low + (high - low) * chance.number(seed, clip.id, f"period {number}"))))
        own = Pose.resting(seconds[part])
        MOTIONS[activity.label](own, size, 2 * np.pi * rounds * done)
        own.bend += lean
        for name in ("across", "lift", "turn", "bend", "crouch"):
            getattr(pose, name)[part] = getattr(own, name)
        for name in ("arms", "legs", "ball"):
            for whole, piece in zip(getattr(pose, name), getattr(own, name), strict=True):
                whole[part] = piece
    return pose


def _body(pose: Pose) -> list[tuple[list[Floats], list[Floats], float]]:
    """Strokes from point to point with a radius, in the body's height, the hind ones first; y is up from the ground."""
    leg = LEG * (1 - 0.55 * pose.crouch)
    hip = [pose.across, pose.lift + np.where(pose.turn == 0, leg, LEG)]
    trunk = pose.turn + pose.bend
    neck = [hip[0] + TRUNK * np.sin(trunk), hip[1] + TRUNK * np.cos(trunk)]
    head = [neck[0] + NECK * np.sin(trunk), neck[1] + NECK * np.cos(trunk)]
    feet = [[hip[0] + leg * np.sin(a - pose.turn), hip[1] - leg * np.cos(a - pose.turn)] for a in pose.legs]
    hands = [[neck[0] + ARM * np.sin(a - trunk), neck[1] - ARM * np.cos(a - trunk)] for a in pose.arms]
    ball = [pose.across + pose.ball[0], pose.ball[1]]
    return [
        *((hip, foot, 0.055) for foot in feet), (hip, neck, 0.09), *((neck, hand, 0.045) for hand in hands),
        (head, head, 0.11), (ball, ball, 0.08),
    ]  # fmt: skip


def _draw(picture: Floats, stroke: Floats, colour: Floats) -> None:
    """One stroke with soft edges, onto the part of the picture that it covers."""
    if not np.isfinite(stroke).all():
        return
    x0, y0, x1, y1, radius = stroke.tolist()
    height, width = picture.shape[:2]
    left, right = max(int(min(x0, x1) - radius - 1), 0), min(int(max(x0, x1) + radius + 2), width)
    top, bottom = max(int(min(y0, y1) - radius - 1), 0), min(int(max(y0, y1) + radius + 2), height)
    if left >= right or top >= bottom:
        return
    x, y = np.arange(left, right) - x0, (np.arange(top, bottom) - y0)[:, None]
    dx, dy = x1 - x0, y1 - y0
    along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy or 1.0), 0, 1)  # of the way from one end to the other
    off = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2)
    cover = np.clip(radius - off + 0.5, 0, 1)[:, :, None]
    part = picture[top:bottom, left:right]
    part += cover * (colour - part)


def _scene(seed: int, clip: Clip) -> Floats:
    """What stands still in the background: slow waves of colour, a few walls, a floor. (height + 2 margins, …, 3)"""
    height, width = clip.height + 2 * MARGIN, clip.width + 2 * MARGIN
    drawn = partial(chance.number, seed, f"scene of {clip.id}")
    x, y = np.arange(width) / width, np.arange(height)[:, None] / height
    scene = np.zeros((height, width, 3))
    for channel in range(3):
        waves = [np.sin(2 * np.pi * ((1 + 4 * drawn(f"x {channel} {i}")) * x + (1 + 4 * drawn(f"y {channel} {i}")) * y
                                     + drawn(f"phase {channel} {i}"))) for i in range(3)]  # fmt: skip
        scene[:, :, channel] = np.rint(60 + 110 * drawn(f"shade {channel}") + 14 * sum(waves))
    for wall in range(4):
        left, top = int(drawn(f"left {wall}") * width), int(drawn(f"top {wall}") * height * 0.6)
        part = scene[top : top + height // 4, left : left + width // 6]
        part += np.rint(70 * drawn(f"wall {wall}") - 35)
    scene[MARGIN + int(0.85 * clip.height) :] *= 0.75
    return np.rint(np.clip(scene, 0, 255))
