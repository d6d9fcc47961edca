"""Word vectors: every format gives the same vectors, and a label gets the entry or the mean that it should."""

from __future__ import annotations

import csv
import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from activity_bench.data.embeddings import affinities, arrays, read_words, words_of
from activity_bench.errors import InputError
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.simulate import simulate_corpus, simulate_words
from tests.data.vectors import VECTORS, WORDS, WRITERS, V, Write, binary, glove, npy, npz, put, text

pytestmark = pytest.mark.quick


# ---- formats --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_vectors(kind: str, tmp_path: Path) -> None:
    format_, write = WRITERS[kind]
    path = put(tmp_path, write(WORDS, VECTORS))
    found = read_words(path, WORDS)
    assert (found.format, found.dim, found.file, found.unknown, found.repeated) == (format_, 5, str(path), {}, 0)
    assert found.sha256 == sha256(path.read_bytes()).hexdigest()
    for word in WORDS:
        np.testing.assert_array_equal(found.vectors[word], V[word], strict=True)


@pytest.mark.parametrize("write", [glove, text, binary])
def test_text_and_binary_may_be_compressed(write: Write, tmp_path: Path) -> None:
    found = read_words(put(tmp_path, write(WORDS, VECTORS), "words.gz"), WORDS)
    np.testing.assert_array_equal(np.stack([found.vectors[word] for word in WORDS]), VECTORS)


@pytest.mark.parametrize("suffix", [".txt", ".json"])
@pytest.mark.parametrize("beside", [True, False], ids=["beside it", "listed after it"])
def test_an_npy_has_its_names_in_another_file(suffix: str, beside: bool, tmp_path: Path) -> None:
    entries = [{"word": word, "defn": "-"} for word in WORDS]
    listed = json.dumps(entries) if suffix == ".json" else "\n".join(WORDS) + "\n"
    names = put(tmp_path, listed.encode(), ("classes" if beside else "other") + suffix)
    path = put(tmp_path, npy(VECTORS.astype(np.float64)), "classes.npy")
    found = read_words(path if beside else f"{path},{names}", WORDS)
    np.testing.assert_array_equal(np.stack([found.vectors[word] for word in WORDS]), VECTORS)
    sums = "".join(f"{file.name} {sha256(file.read_bytes()).hexdigest()}\n" for file in (path, names))
    assert (found.format, found.sha256) == (arrays.NPY, sha256(sums.encode()).hexdigest())


def test_several_files_count_as_one_and_the_first_wins(tmp_path: Path) -> None:
    first = put(tmp_path, npz(["javelin"], VECTORS[:1]), "a.npz")
    second = put(tmp_path, glove(WORDS, VECTORS), "b,c.txt")  # a comma in the name of a file that is there is no comma
    third = put(tmp_path, glove(WORDS, VECTORS), "d.txt")
    found = read_words(f"{first}, {third}", ["javelin", "throw"])
    np.testing.assert_array_equal(found.vectors["javelin"], V["the"])
    np.testing.assert_array_equal(found.vectors["throw"], V["throw"])
    assert (found.format, found.repeated) == ("npz, GloVe text", 1)
    np.testing.assert_array_equal(read_words(second, ["throw"]).vectors["throw"], V["throw"])
    put(tmp_path, glove(WORDS, VECTORS[:, :4]), "d.txt")
    with pytest.raises(InputError, match=r"d\.txt: vectors of another length; found 4; expected 5 numbers"):
        read_words(f"{first},{third}", ["javelin"])


def test_what_the_simulation_writes_is_read_label_by_label(tmp_path: Path) -> None:
    simulate_corpus(tmp_path / "corpus")
    build_dataset("relocalization", [tmp_path / "corpus/activitynet.json"], tmp_path / "manifest")
    simulate_words(tmp_path / "manifest", tmp_path / "words.npz")
    with np.load(tmp_path / "words.npz") as written:
        names, vectors = written["names"].tolist(), written["vectors"]
    found = read_words(tmp_path / "words.npz", names)
    assert len(names) > 20 and not found.unknown
    np.testing.assert_array_equal(np.stack([found.vectors[name] for name in names]), vectors.astype(np.float32))


# ---- labels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("label", "words"), [
    ("JavelinThrow", ["Javelin", "Throw"]), ("playing guitar", ["playing", "guitar"]), ("BMX", ["BMX"]),
    ("Ice_hockey-2", ["Ice", "hockey", "2"]), ("BMXRacing", ["BMX", "Racing"]), ("3DPrinting", ["3D", "Printing"]),
    ("massaging person's head", ["massaging", "person", "head"]), ("golf (in game)", ["golf", "in", "game"]),
    ("Café crème", ["Café", "crème"]), ("OneRaisedArm", ["One", "Raised", "Arm"]), ("!?", []),
])  # fmt: skip
def test_a_label_is_split_into_words(label: str, words: list[str]) -> None:
    assert list(words_of(label)) == words


@pytest.mark.parametrize("write", [glove, binary, npz])
def test_a_label_is_the_mean_of_its_words(write: Write, tmp_path: Path) -> None:
    found = read_words(
        put(tmp_path, write(WORDS, VECTORS)), ["JavelinThrow", "the javelin, the sky", "BASKETBALL dunk"]
    )
    assert dict(found.unknown) == {"the javelin, the sky": ("sky",)}
    of = {"JavelinThrow": ["javelin", "throw"], "the javelin, the sky": ["the", "javelin", "the"],
          "BASKETBALL dunk": ["basketball", "Dunk"]}  # fmt: skip
    for label, words in of.items():
        mean = np.mean([V[word].astype(np.float64) for word in words], axis=0).astype(np.float32)
        np.testing.assert_array_equal(found.vectors[label], mean, strict=True)


def test_the_case_of_a_word_is_taken_first_as_spelt_then_lower_then_capitalised(tmp_path: Path) -> None:
    for held, taken in (
        (["polish", "Polish", "POLISH"], "POLISH"),
        (["Polish", "polish"], "polish"),
        (["Polish"],) * 2,
    ):
        path = put(tmp_path, glove(held, VECTORS[: len(held)]))
        taken = taken if isinstance(taken, str) else taken[0]
        np.testing.assert_array_equal(read_words(path, ["POLISH"]).vectors["POLISH"], VECTORS[held.index(taken)])


@pytest.mark.parametrize("label", ["JavelinThrow", "Javelin throw", "javelin_throw", "javelinthrow"])
def test_an_entry_for_the_whole_class_wins_over_words(label: str, tmp_path: Path) -> None:
    names = ["javelin", "throw", "Javelin Throw"]
    found = read_words(put(tmp_path, npz(names, VECTORS[:3])), [label])
    np.testing.assert_array_equal(found.vectors[label], VECTORS[2])


def test_phrases_of_word_files_are_not_looked_for_but_a_label_is(tmp_path: Path) -> None:
    path = put(tmp_path, binary(["javelin", "throw", "javelin_throw"], VECTORS[:3]))
    found = read_words(path, ["javelin throw", "javelin_throw"])
    np.testing.assert_allclose(found.vectors["javelin throw"], VECTORS[:2].mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(found.vectors["javelin_throw"], VECTORS[2])


@pytest.mark.parametrize("write", [glove, text, binary, npz])
def test_of_a_word_that_stands_twice_the_first_counts(write: Write, tmp_path: Path) -> None:
    found = read_words(put(tmp_path, write(["a", "ice", "ice", "a", "a"], VECTORS[:5])), ["ice"])
    np.testing.assert_array_equal(found.vectors["ice"], VECTORS[1])
    assert found.repeated == 1


def test_words_with_spaces_in_them_are_passed_over(tmp_path: Path) -> None:
    lines = glove(["javelin"], VECTORS[:1]) + glove(["throw name@domain.com", "throw . ."], VECTORS[1:3])
    found = read_words(put(tmp_path, lines + glove(["throw"], VECTORS[3:4])), ["JavelinThrow", "throw"])
    np.testing.assert_array_equal(found.vectors["throw"], VECTORS[3])


def test_a_class_without_any_known_word_is_named_with_its_words(tmp_path: Path) -> None:
    path = put(tmp_path, glove(WORDS, VECTORS))
    expected = r"words\.any: no vector .*found 'GolfSwing'; expected a vector of Golf or Swing\. 1 more .*: Luge\."
    with pytest.raises(InputError, match=expected):
        read_words(path, ["javelin", "GolfSwing", "Luge"])
    with pytest.raises(InputError, match="found '!'; expected a vector of a word; there is none in this name"):
        read_words(path, ["!"])
    with pytest.raises(InputError, match="found ''"):
        read_words(path, [""])


# ---- affinities -----------------------------------------------------------------------------------------------------


def test_affinities_are_cosines(tmp_path: Path) -> None:
    found = read_words(put(tmp_path, glove(WORDS, VECTORS * 1e-30)), WORDS)
    cosine = affinities(WORDS[:4], WORDS[2:], found)
    for i, source in enumerate(WORDS[:4]):
        for j, target in enumerate(WORDS[2:]):
            a, b = V[source].astype(float), V[target].astype(float)
            assert cosine[i, j] == pytest.approx(float(a @ b) / float(np.sqrt((a @ a) * (b @ b))), abs=1e-6)
    assert cosine.dtype == np.float64 and np.abs(cosine).max() <= 1
    np.testing.assert_array_equal(cosine, affinities(WORDS[:4], WORDS[2:], found.vectors))
    assert affinities([], WORDS, found).shape == (0, 7) and affinities(WORDS, [], found).shape == (7, 0)


def test_a_zero_vector_and_a_stranger_have_no_affinity(tmp_path: Path) -> None:
    path = put(tmp_path, glove(["up", "down", "none"], np.float32([[1, -2], [-1, 2], [0, 0]])))
    found = read_words(path, ["UpDown", "none", "up"])
    for label in ("UpDown", "none"):
        with pytest.raises(InputError, match=rf"words\.any: {label}: a class whose vector is zero"):
            affinities(["up"], [label], found)
    with pytest.raises(InputError, match=r"unknown class; found 'upp'\. Did you mean 'up'"):
        affinities(["upp"], ["up"], found)


# ---- the real thing -------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_real_class_vectors_are_the_rows_and_the_means_of_real_words(real_data: Path) -> None:
    folder = real_data / "embeddings"
    classes = f"{folder}/kinetics620_glove42b.npy,{folder}/kinetics620_names_definitions.json"
    with (real_data / "kinetics/kinetics-400_val.csv").open(encoding="utf-8") as stream:
        labels = sorted({row["label"] for row in csv.DictReader(stream)})
    found = read_words(classes, labels)
    names = [entry["word"] for entry in json.loads((folder / "kinetics620_names_definitions.json").read_bytes())]
    rows = np.load(folder / "kinetics620_glove42b.npy").astype(np.float32)
    assert (len(found.vectors), found.dim, found.unknown) == (400, 300, {})
    for label, vector in found.vectors.items():
        np.testing.assert_array_equal(vector, rows[names.index(label)])
    with np.load(folder / "glove42b_248_words.npz") as single:
        known = set(single["words"].tolist())
    split = [name for name in labels if set(words_of(name)) <= known]
    by_words = read_words(folder / "glove42b_248_words.npz", split)
    assert len(split) == 166 and not by_words.unknown
    for label in split:
        np.testing.assert_allclose(by_words.vectors[label], found.vectors[label], atol=1e-6)
    cosine = affinities(["playing cricket", "archery"], labels, found)
    assert labels[int(np.argsort(cosine[0])[-1])] == "playing cricket" and cosine.max() <= 1


# Classes with all, some and none of their words in the real files: these cover no target.
COVERED = {"thumos14": (8, 4, 8), "multithumos": (10, 18, 37), "activitynet1.2": (60, 18, 22)}


@pytest.mark.real
@pytest.mark.parametrize("target", COVERED)
def test_how_much_of_each_target_the_real_vectors_cover(target: str, real_data: Path) -> None:
    labels = {
        "thumos14": lambda: sorted(
            {path.stem.removesuffix("_test") for path in (real_data / "thumos14/annotations_test").glob("*_test.txt")}
            - {"Ambiguous"}
        ),
        "multithumos": lambda: sorted(
            {row["label"] for video in _database(real_data / "multithumos/multithumos_named.json") for row in video}
        ),
        "activitynet1.2": lambda: sorted(
            {row["label"] for video in _database(real_data / "activitynet/activity_net.v1-2.min.json") for row in video}
        ),
    }[target]()
    folder = real_data / "embeddings"
    files = ("kinetics620_glove42b.npy", "kinetics620_names_definitions.json", "glove42b_248_words.npz")
    path = ",".join(str(folder / file) for file in files)
    with pytest.raises(InputError, match="none of its words is known"):
        read_words(path, labels)
    counts = {"all": 0, "some": 0, "none": 0}
    for label in labels:
        try:
            counts["some" if read_words(path, [label]).unknown else "all"] += 1
        except InputError:
            counts["none"] += 1
    assert tuple(counts.values()) == COVERED[target]


def _database(path: Path) -> list[list[dict[str, str]]]:
    return [video["annotations"] for video in json.loads(path.read_bytes())["database"].values()]
