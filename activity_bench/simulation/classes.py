"""The made-up classes: a tree of three levels in which siblings are alike, and the classes of the trimmed files.

The names are plain activities; no video of them exists. One is not ASCII, as real class names may be.
"""

from __future__ import annotations

from collections.abc import Iterator

ROOT = "Root"  # the name of the top node, as in the official file; it is nobody's ancestor in a class tree

TREE: dict[str, dict[str, tuple[str, ...]]] = {
    "Sports and exercise": {
        "Racket games": ("Playing table tennis", "Playing badminton", "Playing squash"),
        "Throwing events": ("Throwing a javelin", "Throwing a discus", "Putting the shot"),
        "Board sports on water": ("Windsurfing", "Kite surfing", "Wakeboarding"),
        "Climbing": ("Climbing a rock face", "Climbing a rope", "Climbing an ice wall"),
    },
    "Household work": {
        "Cleaning": ("Mopping the floor", "Sweeping the yard", "Washing windows"),
        "Laundry": ("Ironing a shirt", "Folding towels", "Hanging out washing"),
        "Decorating": ("Painting a fence", "Laying tiles", "Hanging wallpaper"),
        "Gardening": ("Mowing the lawn", "Trimming a hedge", "Raking leaves"),
    },
    "Food and drink": {
        "Baking": ("Kneading dough", "Icing a cake", "Rolling out pastry"),
        "Cutting food": ("Chopping onions", "Peeling potatoes", "Slicing bread"),
        "Making drinks": ("Making lemonade", "Brewing coffee", "Mixing a cocktail"),
        "Cooking in a pan": ("Making crêpes", "Frying an egg", "Tossing vegetables"),
    },
    "Arts and leisure": {
        "String instruments": ("Playing the guitar", "Playing the violin", "Playing the harp"),
        "Handicraft": ("Knitting a scarf", "Weaving a basket", "Carving wood"),
        "Board games": ("Playing chess", "Playing checkers", "Playing backgammon"),
        "Dancing": ("Dancing a waltz", "Dancing a tango", "Tap dancing"),
    },
}

COINCIDING = (  # trimmed classes that are leaves of the tree too, but for capitals
    "climbing a rope", "folding towels", "kneading dough", "knitting a scarf", "making crêpes", "mopping the floor",
    "mowing the lawn", "playing badminton", "playing chess", "playing squash", "playing table tennis", "tap dancing",
)  # fmt: skip

TRIMMED = tuple(sorted((
    *COINCIDING,
    "archery", "blowing glass", "braiding hair", "building a sandcastle", "driving a tractor", "javelin throw",
    "juggling balls", "milking a goat", "opening a parcel", "pole vault", "pushing a wheelbarrow", "riding a unicycle",
    "shuffling cards", "skipping stones", "tying a necktie", "training a dog", "walking on stilts", "yawning",
)))  # fmt: skip

SPOTTED = (  # the THUMOS-like classes; the first three have near or exact names among the trimmed ones
    "Archery", "JavelinThrow", "PoleVault", "SkateboardJump", "TableTennisServe", "TrampolineSomersault",
)  # fmt: skip


def paths() -> dict[str, tuple[str, ...]]:
    """Leaf -> its ancestors, nearest first, without the root."""
    return {leaf: (group, top) for top, groups in TREE.items() for group, leaves in groups.items() for leaf in leaves}


def siblings(leaf: str) -> tuple[str, ...]:
    """The other leaves of a leaf's parent."""
    group, top = paths()[leaf]
    return tuple(other for other in TREE[top][group] if other != leaf)


def nodes() -> Iterator[tuple[int, str, int | None, str | None]]:
    """(id, name, parent's id, parent's name) of every node, the root first, each level before the next."""
    yield 0, ROOT, None, None
    level: list[tuple[str, str]] = [(top, ROOT) for top in TREE]
    level += [(group, top) for top, groups in TREE.items() for group in groups]
    level += [(leaf, group) for leaf, (group, _) in paths().items()]
    ids = {ROOT: 0} | {name: number for number, (name, _) in enumerate(level, 1)}
    for name, parent in level:
        yield ids[name], name, ids[parent], parent
