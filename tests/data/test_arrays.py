"""A user's own arrays."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from vae_runner.data.arrays import Arrays
from vae_runner.data.space import Space
from vae_runner.errors import UserError

GENERATOR = np.random.default_rng(0)


def vectors(n=20, d=5) -> np.ndarray:
    return GENERATOR.normal(size=(n, d)).astype(np.float32)


def npz(path: Path, **arrays) -> str:
    np.savez(path / "data.npz", **arrays)
    return str(path / "data.npz")


def npy(path: Path, array: np.ndarray) -> str:
    np.save(path / "data.npy", array)
    return str(path / "data.npy")


def whole(path: str, **settings):
    """All examples and labels in their order."""
    data = Arrays(path=path, validation=0, test=0, **settings).open()
    return data, *data.train.take(torch.arange(len(data.train)))


def test_vectors_of_an_npy_file(tmp_path):
    array = vectors()
    data, x, y = whole(npy(tmp_path, array))
    assert data.space == Space((5,), "real", None)
    assert torch.equal(x, torch.from_numpy(array))
    assert y is None


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((20, 7, 9), (1, 7, 9)),
        ((20, 1, 7, 9), (1, 7, 9)),
        ((20, 3, 17, 23), (3, 17, 23)),
        ((20, 17, 23, 3), (3, 17, 23)),
        ((20, 8, 8, 1), (1, 8, 8)),
    ],
)
def test_images_come_out_with_their_channels_first(tmp_path, shape, expected):
    array = GENERATOR.integers(0, 256, shape, dtype=np.uint8)
    data, x, _ = whole(npy(tmp_path, array))
    assert data.space == Space(expected, "unit", None)
    assert x.dtype == torch.uint8
    if shape[-1] == 3:
        assert np.array_equal(x[4, 2].numpy(), array[4, :, :, 2])
    else:
        assert np.array_equal(x[4].numpy().reshape(-1), array[4].reshape(-1))


def test_the_layout_can_be_said_where_it_cannot_be_seen(tmp_path):
    path = npy(tmp_path, np.zeros((4, 6, 7, 8), np.uint8))
    with pytest.raises(UserError, match=r"data\.layout=channels_first or data\.layout=channels_last"):
        Arrays(path=path).open()
    assert whole(path, layout="channels_first")[0].space.shape == (6, 7, 8)
    assert whole(path, layout="channels_last")[0].space.shape == (8, 6, 7)


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.uint16, np.float16, ">f4", bool])
def test_numbers_of_every_kind_become_float32(tmp_path, kind):
    array = np.arange(12).reshape(6, 2) % 2
    data, x, _ = whole(npy(tmp_path, array.astype(kind)))
    assert x.dtype == torch.float32
    assert np.array_equal(x.numpy(), array)
    assert data.space.support == "binary"


def test_splits_of_an_npz_by_their_names(tmp_path):
    path = npz(tmp_path, x_train=vectors(30), x_test=vectors(7), y_train=np.arange(30) % 3, y_test=np.arange(7) % 3)
    data = Arrays(path=path).open()
    assert (len(data.train), len(data.validation), len(data.test)) == (27, 3, 7)
    assert data.space.classes == 3
    assert data.test.take(torch.arange(7))[1].tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_a_validation_split_of_its_own(tmp_path):
    path = npz(tmp_path, x_train=vectors(30), x_test=vectors(7), x_validation=vectors(5))
    assert len(Arrays(path=path, validation=None).open().validation) == 5


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("images", "labels"), ("data", "targets"), ("arr_0", "label")])
def test_examples_and_labels_of_an_npz_by_usual_names(tmp_path, x, y):
    array = vectors()
    _, found, labels = whole(npz(tmp_path, **{x: array, y: np.arange(20) % 4}))
    assert np.array_equal(found.numpy(), array)
    assert labels.tolist() == [i % 4 for i in range(20)]


def test_examples_and_labels_of_an_npz_by_given_names(tmp_path):
    array = vectors()
    path = npz(tmp_path, x=vectors(20, 9), spectra=array, kind=np.arange(20) % 2, extra=np.arange(3))
    _, x, y = whole(path, x="spectra", y="kind")
    assert np.array_equal(x.numpy(), array)
    assert y.tolist() == [0, 1] * 10


def test_a_file_in_the_form_of_dsprites_is_read_without_its_pickled_part(tmp_path):
    images = GENERATOR.integers(0, 2, (10, 6, 6), dtype=np.uint8) * 255
    factors = np.arange(30).reshape(10, 3)
    path = npz(tmp_path, imgs=images, latents_classes=factors, metadata=np.array({"a": 1}, dtype=object))
    data, x, y = whole(path, y="latents_classes")
    assert data.space == Space((1, 6, 6), "binary", factors=3)
    assert np.array_equal(x[:, 0].numpy(), images)
    assert np.array_equal(y.numpy(), factors)


@pytest.mark.parametrize(
    "content",
    [
        lambda x, y: {"x": x, "y": y},
        lambda x, y: (x, y),
        lambda x, y: [x, y],
    ],
)
def test_tensors_of_a_pt_file(tmp_path, content):
    x, y = torch.rand(20, 3, 4, 4), torch.arange(20) % 2
    torch.save(content(x, y), tmp_path / "data.pt")
    data, found, labels = whole(str(tmp_path / "data.pt"))
    assert torch.equal(found, x)
    assert torch.equal(labels, y)
    assert data.space == Space((3, 4, 4), "unit", 2)


def test_a_pt_file_of_one_tensor(tmp_path):
    torch.save(torch.rand(6, 4, requires_grad=True), tmp_path / "data.pt")
    assert whole(str(tmp_path / "data.pt"))[0].space.shape == (4,)


def csv_file(path: Path, text: str) -> str:
    (path / "data.csv").write_text(text)
    return str(path / "data.csv")


def test_a_csv_without_a_header_is_vectors(tmp_path):
    _, x, y = whole(csv_file(tmp_path, "1,2.5\n3,4e-1\n-5,6\n"))
    assert torch.equal(x, torch.tensor([[1, 2.5], [3, 0.4], [-5, 6]]))
    assert y is None


def test_a_csv_with_a_header_and_a_column_of_labels_in_words(tmp_path):
    data, x, y = whole(csv_file(tmp_path, '"height",label,width\n1,cat,2\n3,"dog",4\n5,cat,6\n'))
    assert x.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert y.tolist() == [0, 1, 0]
    assert list(data.space.class_names) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("cells", "y", "names"),
    [
        (("cat", "", "dog", " "), [0, -1, 1, -1], ["cat", "dog"]),
        (("3", "", "7", "3"), [0, -1, 1, 0], ["3", "7"]),
        (("a", "1", "", "a"), [1, 0, -1, 1], ["1", "a"]),
    ],
)
def test_an_empty_label_in_a_csv_is_a_hidden_one_and_no_class(tmp_path, cells, y, names):
    rows = "".join(f"{i},{cell},{i}\n" for i, cell in enumerate(cells))
    data, x, labels = whole(csv_file(tmp_path, f"a,label,b\n{rows}"))
    assert labels.tolist() == y
    assert data.space.class_names == tuple(names)
    assert x.tolist() == [[i, i] for i in range(4)]


def test_an_empty_word_is_a_hidden_label_in_any_file(tmp_path):
    np.savez(tmp_path / "data.npz", x=vectors()[:4], y=np.array(["b", "", "a", "b"]))
    data, _, y = whole(str(tmp_path / "data.npz"))
    assert (y.tolist(), data.space.class_names) == ([1, -1, 0, 1], ("a", "b"))


def test_an_empty_cell_among_real_targets_is_refused_with_its_line(tmp_path):
    path = csv_file(tmp_path, "a,label\n1,0.5\n2,\n3,1.5\n")
    refused(path, "column label has an empty cell in line 3, and holds real numbers")


def test_labels_that_are_all_empty_are_refused(tmp_path):
    refused(csv_file(tmp_path, "a,label\n1,\n2,\n"), "all labels are empty, that is hidden", validation=0, test=0)


def test_the_label_column_of_a_csv_by_its_name_or_number(tmp_path):
    _, x, y = whole(csv_file(tmp_path, "a,b\n1,7\n2,8\n3,7\n"), y="b")
    assert (x.tolist(), y.tolist()) == ([[1], [2], [3]], [0, 1, 0])
    _, x, y = whole(csv_file(tmp_path, "1,7\n2,8\n3,7\n"), y="0")
    assert (x.tolist(), y.tolist()) == ([[7], [8], [7]], [0, 1, 2])


def test_labels_are_counted_without_gaps_and_keep_their_names(tmp_path):
    data, _, y = whole(npz(tmp_path, x=vectors(4), y=np.array([10, 3, 7, 10])))
    assert y.tolist() == [2, 0, 1, 2]
    assert list(data.space.class_names) == ["3", "7", "10"]


def test_a_label_of_minus_one_is_hidden(tmp_path):
    data, _, y = whole(npz(tmp_path, x=vectors(4), y=np.array([[-1], [0], [1], [-1]])))
    assert y.tolist() == [-1, 0, 1, -1]
    assert data.space.classes == 2


def test_unit_scaling_takes_the_training_examples_of_each_column_to_zero_and_one(tmp_path):
    train, test = vectors(30) * np.array([1, 10, 100, 1000, 0], np.float32), vectors(30) * 2000
    data = Arrays(path=npz(tmp_path, x_train=train, x_test=test), scale="unit", validation=0).open()
    assert data.space.support == "unit"
    x, _ = data.train.take(torch.arange(30))
    assert x.amin(0).tolist() == [0] * 5
    assert x.amax(0).tolist() == [1, 1, 1, 1, 0]
    outside, _ = data.test.take(torch.arange(30))
    assert float(outside.min()) >= 0
    assert float(outside.max()) <= 1


def test_standardising_uses_the_training_examples_only(tmp_path):
    train, test = vectors(300) * 7 + 3, vectors(30) * 1000
    common = {"path": npz(tmp_path, x_train=train, x_test=test), "validation": 100, "scale": "standardize"}
    data = Arrays(**common).open()
    x, _ = data.train.take(torch.arange(200))
    assert x.mean(0).abs().max() < 1e-5
    assert (x.std(0, correction=0) - 1).abs().max() < 1e-5
    validation, _ = data.validation.take(torch.arange(100))
    assert validation.mean(0).abs().max() > 1e-3
    assert data.space.support == "real"


def test_the_pixels_of_an_image_are_scaled_together(tmp_path):
    array = GENERATOR.integers(0, 100, (50, 4, 4), dtype=np.uint8) + np.arange(16, dtype=np.uint8).reshape(4, 4) * 9
    _, x, _ = whole(npy(tmp_path, array), scale="standardize")
    assert float(x.mean()) == pytest.approx(0, abs=1e-5)
    assert float(x.std(correction=0)) == pytest.approx(1, abs=1e-5)
    assert x.mean(0).abs().max() > 0.1


def test_labels_survive_scaling(tmp_path):
    _, _, y = whole(npz(tmp_path, x=vectors(4), y=np.array([1, 0, 1, 0])), scale="unit")
    assert y.tolist() == [1, 0, 1, 0]


def test_a_relative_path_is_below_the_callers_directory(tmp_path, monkeypatch):
    npy(tmp_path, vectors())
    monkeypatch.chdir(tmp_path)
    assert whole("data.npy")[0].space.shape == (5,)


def refused(path: str, words: str, **settings) -> str:
    with pytest.raises(UserError, match=words) as error:
        Arrays(path=path, **settings).open()
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("ending", ["npz", "npy", "pt", "csv"])
def test_a_missing_file_is_refused(tmp_path, ending):
    refused(str(tmp_path / f"data.{ending}"), "there is no such file")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "data.xlsx").write_bytes(b"")
    refused(str(tmp_path / "data.xlsx"), "not one of .npz, .npy, .pt, .csv; for text: data=text")


def test_a_folder_is_refused(tmp_path):
    refused(str(tmp_path), "for images: data=images")


@pytest.mark.parametrize("ending", ["npz", "npy", "pt"])
@pytest.mark.parametrize("kept", [0, 0.1, 0.5, 0.97])
def test_a_truncated_file_is_refused(tmp_path, ending, kept):
    path = tmp_path / f"data.{ending}"
    if ending == "npz":
        np.savez(path, x=vectors(), y=np.arange(20))
    elif ending == "npy":
        np.save(path, vectors())
    else:
        torch.save({"x": torch.rand(20, 5)}, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    refused(str(path), f"data.path={path}: truncated")


def test_a_flipped_bit_in_an_npz_is_refused(tmp_path):
    path = npz(tmp_path, x=vectors(100))
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 1
    Path(path).write_bytes(content)
    refused(path, "x cannot be read: Bad CRC-32")


def test_an_array_file_under_another_files_ending_is_refused(tmp_path):
    np.save(tmp_path / "data.npy", vectors())
    (tmp_path / "data.npy").rename(tmp_path / "data.npz")
    refused(str(tmp_path / "data.npz"), "not a .npz file inside")


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("ending", ["npz", "npy", "pt"])
def test_a_file_built_to_run_code_is_refused_and_runs_nothing(tmp_path, ending):
    path, trace = tmp_path / f"data.{ending}", tmp_path / "trace"
    trap = np.array([Trap(trace)] * 4, dtype=object)
    if ending == "npz":
        np.savez(path, x=trap, allow_pickle=True)
    elif ending == "npy":
        np.save(path, trap, allow_pickle=True)
    else:
        torch.save({"x": torch.rand(4, 2), "trap": Trap(trace)}, path)
    refused(str(path), "data.path=((?!allow_pickle).)*$")
    assert not trace.exists()


def test_a_plain_pickle_is_refused(tmp_path):
    (tmp_path / "data.npy").write_bytes(pickle.dumps([1, 2, 3]))
    refused(str(tmp_path / "data.npy"), "truncated, corrupt or not a .npy of numbers$")


def test_anything_under_the_ending_of_an_array_is_refused_in_words_of_our_own(tmp_path):
    (tmp_path / "data.npy").write_bytes(b"no array at all")
    refused(str(tmp_path / "data.npy"), "truncated, corrupt or not a .npy of numbers$")


@pytest.mark.parametrize("shape", [(20,), (20, 2, 3, 4, 5), (20, 0), (20, 3, 0, 4)])
def test_a_wrong_shape_is_refused(tmp_path, shape):
    refused(npy(tmp_path, np.zeros(shape, np.float32)), r"x has shape .*vectors \(N, D\)")


def test_splits_of_different_shapes_are_refused(tmp_path):
    refused(
        npz(tmp_path, x_train=vectors(20, 5), x_test=vectors(20, 6)), r"different shapes: x_train \(5,\), x_test \(6,\)"
    )


@pytest.mark.parametrize(
    ("value", "scale", "said"),
    [
        (np.nan, "unit", "NaN in training example 3, .*type corruption=missing"),
        (np.inf, "unit", r"infinite values in training example 3, counted from 0; take them out of the file \([^;]*$"),
        (1e300, "none", r"infinite values in training example 3, .*numbers above 3e38 count as infinite\)$"),
    ],
)
def test_nan_infinite_and_overflowing_values_are_refused(tmp_path, value, scale, said):
    array = vectors().astype(np.float64)
    array[3, 2] = value
    refused(npy(tmp_path, array), said, scale=scale)


def test_infinities_come_before_nan_for_which_there_is_a_remedy(tmp_path):
    array = vectors().astype(np.float64)
    array[1, 2], array[4, 0] = np.nan, -np.inf
    refused(npy(tmp_path, array), "infinite values in training example 4,")


def test_large_numbers_that_differ_little_keep_their_digits_until_they_are_scaled(tmp_path):
    np.save(tmp_path / "times.npy", 1.7e9 + np.random.default_rng(0).normal(size=(200, 4)))
    data = Arrays(path=str(tmp_path / "times.npy"), scale="standardize", validation=0, test=0).open()
    x, _ = data.train.take(torch.arange(200))
    torch.testing.assert_close(x.std(0), torch.ones(4), rtol=0.01, atol=0)
    assert x.dtype == torch.float32


def test_bytes_of_zero_and_one_are_black_and_white(tmp_path):
    np.save(tmp_path / "x.npy", (vectors(50) > 0.5).astype(np.uint8))
    data = Arrays(path=str(tmp_path / "x.npy"), validation=0, test=0).open()
    assert data.space.support == "binary"
    assert data.batch(data.train, torch.arange(50)).x.max() == 1


def test_labels_of_bytes_are_text(tmp_path):
    np.savez(tmp_path / "x.npz", x=vectors(50), y=np.array([b"cat", b"dog"] * 25))
    data = Arrays(path=str(tmp_path / "x.npz"), validation=0, test=0).open()
    assert list(data.space.class_names) == ["cat", "dog"]


def test_one_example_is_refused(tmp_path):
    refused(npy(tmp_path, vectors(1)), "1 example to train on")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.arange(19), r"shape \(19,\) for 20 examples"),
        (np.zeros((20, 2, 2)), "one label"),
        (np.full(20, np.nan), "NaN in targets y of example 0, counted from 0; take it out of the file"),
        (np.where(np.arange(40).reshape(20, 2) == 7, np.nan, 0.5), "NaN in targets y of example 3, counted from 0"),
        (np.where(np.arange(20) == 4, 1e300, 0.5), r"infinite values \(.*\) in targets y of example 4"),
        (np.full(20, -7), "below -1"),
        (np.full(20, -1), "all labels are -1"),
        (np.full(20, 1j), "holds complex128, not numbers"),
    ],
)
def test_unfit_labels_are_refused(tmp_path, labels, words):
    refused(npz(tmp_path, x=vectors(), y=labels), words)


@pytest.mark.parametrize(
    "y", [np.linspace(-1, 1, 20), np.linspace(-1, 1, 20)[:, None], np.linspace(-1, 1, 60).reshape(20, 3)]
)
def test_numbers_that_are_not_whole_are_real_valued_targets(tmp_path, y):
    data = Arrays(path=npz(tmp_path, x=vectors(), y=y), validation=0, test=0).open()
    targets = data.train.targets(torch.arange(20))
    assert targets.dtype == torch.float32
    assert torch.equal(targets, torch.from_numpy(y.reshape(20, -1)).float())
    assert (data.space.factors, data.space.real_factors, data.space.classes) == (targets.shape[1], True, None)


def test_a_target_that_is_not_whole_in_one_split_makes_those_of_all_real_valued(tmp_path):
    path = npz(tmp_path, x_train=vectors(), x_test=vectors(), y_train=np.arange(20.0), y_test=np.arange(20) + 0.5)
    data = Arrays(path=path, validation=0).open()
    assert data.space.real_factors
    assert torch.equal(data.train.targets(torch.arange(20))[:, 0], torch.arange(20.0))


def test_whole_numbers_stay_classes_however_they_are_stored(tmp_path):
    space = Arrays(path=npz(tmp_path, x=vectors(), y=np.arange(20.0) % 4), validation=0, test=0).open().space
    assert (space.classes, space.factors, space.real_factors) == (4, 0, False)


@pytest.mark.parametrize(("setting", "typed"), [({"labels": 4}, "labels=4"), ({"leave_out": [7]}, r"leave_out=\[7\]")])
def test_what_needs_classes_says_that_targets_are_real_valued(tmp_path, setting, typed):
    path = npz(tmp_path, x=vectors(), y=np.linspace(-1, 1, 20))
    refused(path, rf"data\.{typed}: .* has real-valued targets and no class labels", **setting)


def test_labels_for_one_split_only_are_refused(tmp_path):
    path = npz(tmp_path, x_train=vectors(), x_test=vectors(), y_train=np.arange(20))
    refused(path, "labels for all of the splits or none")


def test_text_in_place_of_numbers_is_refused(tmp_path):
    refused(npy(tmp_path, np.array([["a", "b"]] * 4)), "holds text, not numbers")
    refused(npy(tmp_path, np.array(["a", "b"])), "holds text, not numbers")


def test_records_are_refused(tmp_path):
    refused(npy(tmp_path, np.zeros(20, [("a", "f4"), ("b", "i4")])), "x holds records, not numbers")


def test_arrays_of_unknown_names_are_listed(tmp_path):
    refused(npz(tmp_path, first=vectors(), second=vectors()), "It has first, second; say data.x=NAME")


def test_a_name_that_is_not_there_is_refused(tmp_path):
    refused(npz(tmp_path, first=vectors(), second=vectors()), "data.x=third: .* holds first, second", x="third")


def test_an_empty_npz_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w"):
        pass
    refused(str(tmp_path / "data.npz"), "It has none")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("a,b\n", "a header and no rows"),
        ("1,2\n3\n", "truncated, corrupt"),
        ("1,2\n3,x\n", "column 1 holds no number in line 2 but 'x'; take that column out of the file"),
        ("time,a\n1,1\n\n2020-01-01,2\n", r"column time holds no number in line 4 but '2020-01-01'.*data\.y=time"),
        ('a,b\n1,\n"2\n",NA\n', "column b holds no number in line 4 but 'NA'.*not known is an empty cell"),
        ("a;b\n1;2\n3;4\n", r"line 1 has semicolons between its columns \('a;b'\); they must be separated by commas"),
        ("1;2\n3;4\n", "line 1 has semicolons between its columns"),
        ("1,5;2\n3,5;4\n", "line 2 has semicolons between its columns .*decimals written with points"),
        ("a;b\n1,5;2\n3,5;4\n", "line 1 has semicolons"),
        ("a\tb\n1\t2\n", "line 1 has tabs between its columns"),
        ("1,2\n3,\n4,5\n", "NaN in training example 1, .*type corruption=missing"),
        ("1,2\n3,nan\n4,5\n", "NaN in training example 1,"),
        ("label\n1\n2\n", "no column besides the label's"),
    ],
)
def test_a_damaged_csv_is_refused(tmp_path, text, words):
    refused(csv_file(tmp_path, text), words, validation=0, test=0)


def test_a_label_column_that_is_not_there_is_refused(tmp_path):
    refused(csv_file(tmp_path, "a,b\n1,2\n3,4\n"), "data.y=c: .* has a, b", y="c")


def test_a_pt_file_without_tensors_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "data.pt")
    refused(str(tmp_path / "data.pt"), "neither a tensor")
