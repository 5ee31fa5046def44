"""The xlsa17 layout: both MATLAB versions, other files by name, and the real files where they are."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from gsmflow.base.errors import InputError
from gsmflow.data.validation import validation_problem
from gsmflow.sources import load
from gsmflow.sources.matfile import MatFile
from support.folders import Arrays, xlsa17

REAL = Path(__file__).parents[3] / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data at {REAL}")


def read(folder: Path, **chosen: str):
    return load(str(folder), data_root=folder.parent, **chosen)


def as_v73(folder: Path, names: list[str] | None = None) -> None:
    """Store both files again as MATLAB 7.3 does: HDF5, axes reversed, texts as cells of UTF-16 units."""
    for file in ("res101", "att_splits"):
        stored = {k: v for k, v in loadmat(folder / f"{file}.mat").items() if not k.startswith("__")}
        with h5py.File(folder / f"{file}.mat", "w", userblock_size=512) as new:
            for name, value in stored.items():
                new[name] = value.T
            if file == "att_splits" and names:
                cells = np.empty((1, len(names)), dtype=h5py.ref_dtype)
                for index, name in enumerate(names):
                    units = np.frombuffer(name.encode("utf-16-le"), "<u2")[:, None]
                    cells[0, index] = new.create_dataset(f"#refs#/{index}", data=units).ref
                new.create_dataset("allclasses_names", data=cells, dtype=h5py.ref_dtype)


def test_labels_and_split_are_counted_from_zero(tmp_path: Path) -> None:
    xlsa17(tmp_path / "mine")
    stored, split = (loadmat(tmp_path / "mine" / f"{f}.mat") for f in ("res101", "att_splits"))
    problem = read(tmp_path / "mine")
    np.testing.assert_array_equal(problem.features, stored["features"].T.astype(np.float32))
    np.testing.assert_array_equal(problem.labels, stored["labels"].ravel().astype(int) - 1)
    np.testing.assert_array_equal(problem.semantics, split["att"].T.astype(np.float32))
    for part in ("train", "test_seen", "test_unseen"):
        variable = {"train": "trainval_loc"}.get(part, f"{part}_loc")
        np.testing.assert_array_equal(getattr(problem, part), split[variable].ravel().astype(int) - 1)
    assert problem.unseen.tolist() == [4, 5]
    assert problem.validation_unseen is None


def test_both_versions_of_the_format_give_the_same_problem(tmp_path: Path) -> None:
    names = ["antelope", "grizzly+bear", "killer whale", "Ñandú", "\U0001d4d0", "zebra"]
    cells = np.array(names, dtype=object)[:, None]
    for version in ("v5", "v7.3"):
        xlsa17(tmp_path / version)
        if version == "v5":
            split = loadmat(tmp_path / version / "att_splits.mat")
            variables = {k: v for k, v in split.items() if not k.startswith("__")}
            savemat(tmp_path / version / "att_splits.mat", variables | {"allclasses_names": cells})
        else:
            as_v73(tmp_path / version, names)
    old, new = (read(tmp_path / version) for version in ("v5", "v7.3"))
    assert old.classes == new.classes == tuple(names)
    assert old.fingerprint == new.fingerprint
    for part in ("features", "labels", "semantics", "train", "test_seen", "test_unseen"):
        np.testing.assert_array_equal(getattr(old, part), getattr(new, part))


def test_other_features_and_semantics_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    xlsa17(folder)
    usual = read(folder)
    stored = loadmat(folder / "res101.mat")
    savemat(folder / "vit.mat", {"features": stored["features"][:4] + 1, "labels": stored["labels"]})
    savemat(folder / "sent_splits.mat", {"att": np.random.default_rng(1).random((9, 6))})
    other = read(folder, features="vit", semantics="sent")
    assert (other.feature_dim, other.semantic_dim) == (4, 9)
    np.testing.assert_array_equal(other.train, usual.train)
    with pytest.raises(InputError, match=r"no vti\.mat; did you mean 'vit'\?"):
        read(folder, features="vti")
    with pytest.raises(InputError, match=r"no w2v_splits\.mat; known: att, sent"):
        read(folder, semantics="w2v")


def test_the_published_validation_classes_play_unseen(tmp_path: Path) -> None:
    def with_validation(split: Arrays) -> None:
        train = split["trainval_loc"].ravel()
        classes = (train - 1) // 10
        split["train_loc"], split["val_loc"] = train[classes < 3][:, None], train[classes == 3][:, None]

    xlsa17(tmp_path / "mine", splits=with_validation)
    problem = read(tmp_path / "mine")
    assert problem.validation_unseen is not None
    assert problem.validation_unseen.tolist() == [3]
    small = validation_problem(problem, 0)
    assert [small.classes[c] for c in small.unseen] == [problem.classes[3]]
    assert not {problem.classes[c] for c in problem.unseen} & set(small.classes)


def test_older_files_whose_validation_part_holds_test_images(tmp_path: Path) -> None:
    """Only the classes of val_loc are used: its test images stay out of the validation problem."""

    def leaking(split: Arrays) -> None:
        everything = np.concatenate([split["trainval_loc"].ravel(), split["test_seen_loc"].ravel()])
        classes = (everything - 1) // 10
        split["train_loc"], split["val_loc"] = (
            everything[classes < 3][:, None],
            everything[classes == 3][:, None],
        )

    xlsa17(tmp_path / "mine", splits=leaking)
    problem = read(tmp_path / "mine")
    assert "8 test_seen images" in problem.notes["train_val"]
    small = validation_problem(problem, 0)
    test = problem.features[np.concatenate([problem.test_seen, problem.test_unseen])]
    assert not (small.features[:, None] == test[None]).all(axis=2).any()


def test_classes_without_images_are_dropped_and_noted(tmp_path: Path) -> None:
    def with_more(split: Arrays) -> None:
        split["att"] = np.insert(split["att"], [0, 6], np.array([[7.0, 8.0]]), axis=1)

    def later(stored: Arrays) -> None:
        stored["labels"] = stored["labels"] + 1

    xlsa17(tmp_path / "plain")
    xlsa17(tmp_path / "more", features=later, splits=with_more)
    plain, more = read(tmp_path / "plain"), read(tmp_path / "more")
    np.testing.assert_array_equal(plain.labels, more.labels)
    np.testing.assert_array_equal(plain.semantics, more.semantics)
    assert more.notes["dropped_classes"] == "2 without images: class 1, class 8"


@needs_real_data
@pytest.mark.parametrize(
    ("name", "features", "counts", "dims"),
    [
        ("FLO", "mobilenetv2", (3782, 925, 836, 71, 18), (1280, 1024)),
        ("AWA1", "shallow", (19832, 4958, 5685, 40, 10), (512, 85)),
    ],
)
def test_real_data(name: str, features: str, counts: tuple[int, ...], dims: tuple[int, int]) -> None:
    problem = load(name, data_root=REAL, features=features)
    parts = (problem.train, problem.test_seen, problem.test_unseen, problem.seen, problem.unseen)
    assert tuple(map(len, parts)) == counts
    assert (problem.feature_dim, problem.semantic_dim) == dims
    assert problem.notes["split"].startswith(f"Proposed Splits, {name}")
    assert problem.validation_unseen is not None
    assert len(problem.validation_unseen) == (18 if name == "FLO" else 13)


@needs_real_data
@pytest.mark.parametrize(
    ("name", "classes", "attributes", "order"),
    [
        ("AWA2", 50, 85, "antelope"),
        ("APY", 32, 64, "aeroplane"),
        ("CUB", 200, 312, "002.Laysan_Albatross"),  # not alphabetical
        ("SUN", 717, 102, "abbey"),
        ("FLO", 102, 1024, ""),
    ],
)
def test_the_published_split_files_are_read(name: str, classes: int, attributes: int, order: str) -> None:
    file = MatFile(REAL / "official_splits" / name / "att_splits.mat")
    assert file.matrix("att").shape == (attributes, classes)
    split = [
        file.one_based(f"{part}_loc", None, "samples") for part in ("trainval", "test_seen", "test_unseen")
    ]
    assert sum(map(len, split)) == len(np.unique(np.concatenate(split)))  # disjoint, nothing wrapped around
    assert min(part.min() for part in split) >= 0
    if order:
        names = file.texts("allclasses_names")
        assert len(names) == classes
        assert names[0] == order


@pytest.mark.parametrize("bits", [0x7FF0000000000001, 0x7FF8000000000000, 0x7E37E43C8800759C])
@pytest.mark.parametrize("v73", [False, True])
def test_a_value_that_is_no_float32_number_is_refused_by_its_place_and_nothing_else_is_said(
    tmp_path: Path, bits: int, v73: bool
) -> None:
    """Both kinds of NaN, of which a cast warns at one, and 1e300; a warning is an error in these tests."""

    def spoil(stored: Arrays) -> None:
        stored["features"].view(np.uint64)[2, 7] = bits

    xlsa17(tmp_path / "mine", features=spoil)
    if v73:
        as_v73(tmp_path / "mine")
    with pytest.raises(InputError, match="at sample 7, dimension 2") as refused:
        read(tmp_path / "mine")
    assert "\n" not in str(refused.value)
