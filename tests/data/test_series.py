"""Series: files, windows, padding, and the generated waves."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.ensemble import RandomForestClassifier

from tests.data.in_memory import everything
from vae_runner.data.series import STEPS, Series, generate
from vae_runner.data.space import Space
from vae_runner.errors import UserError

GENERATOR = np.random.default_rng(0)
WHOLE = {"validation": 0, "test": 0, "scale": "none"}


def npz(path, **arrays) -> str:
    np.savez(path / "data.npz", **arrays)
    return str(path / "data.npz")


def test_the_waves_are_always_the_same_ones():
    (first, labels), (second, _) = generate(), generate()
    assert torch.equal(first, second)
    assert first.shape == (2000, STEPS, 1)
    assert labels.bincount().tolist() == [400] * 5


def test_the_waves_of_different_classes_can_be_told_apart():
    data = Series().open()
    assert data.space == Space((64, 1), "real", 5)
    forest = RandomForestClassifier(30, random_state=0).fit(data.train.x.flatten(1), data.train.y)
    assert forest.score(data.test.x.flatten(1), data.test.y) > 0.9


@pytest.mark.parametrize(("shape", "expected"), [((20, 7), (7, 1)), ((20, 7, 3), (7, 3)), ((20, 1, 3), (1, 3))])
def test_an_array_of_series_becomes_steps_of_channels(tmp_path, shape, expected):
    x = GENERATOR.normal(size=shape).astype(np.float32)
    data = Series(path=npz(tmp_path, x=x, y=np.arange(20) % 2), **WHOLE).open()
    assert data.space == Space(expected, "real", 2)
    assert torch.equal(everything(data.train), torch.from_numpy(x).reshape(20, *expected))


def test_a_table_of_numbers_with_labels_is_read_from_csv(tmp_path):
    (tmp_path / "data.csv").write_text("a,b,label\n" + "".join(f"{i},{i + 0.5},{i % 2}\n" for i in range(10)))
    data = Series(path=str(tmp_path / "data.csv"), **WHOLE).open()
    assert data.space == Space((2, 1), "real", 2)
    assert everything(data.train)[3, :, 0].tolist() == [3.0, 3.5]


def test_bytes_are_numbers(tmp_path):
    x = GENERATOR.integers(0, 200, (20, 7), dtype=np.uint8)
    data = Series(path=npz(tmp_path, x=x), **WHOLE).open()
    assert torch.equal(everything(data.train)[..., 0], torch.from_numpy(x).float())


def test_each_channel_is_scaled_by_itself_as_the_training_examples_say(tmp_path):
    x = GENERATOR.normal(size=(40, 9, 2)) * [1, 100] + [5, -300]
    path = npz(tmp_path, x_train=x[:30], x_test=x[30:])
    data = Series(path=path, validation=0, scale="standardize").open()
    expected = (x - x[:30].mean((0, 1))) / x[:30].std((0, 1))
    for split, part in ((data.train, expected[:30]), (data.test, expected[30:])):
        torch.testing.assert_close(everything(split), torch.from_numpy(part).float(), rtol=1e-4, atol=1e-4)


def test_series_are_cut_into_windows_that_keep_their_label(tmp_path):
    x = np.arange(40).reshape(4, 10)
    path = npz(tmp_path, x=x, y=np.arange(4))
    data = Series(path=path, window=4, stride=3, **WHOLE).open()
    assert everything(data.train)[:, :, 0].tolist() == [
        list(range(start, start + 4)) for first in (0, 10, 20, 30) for start in (first, first + 3, first + 6)
    ]
    assert data.train.y.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_windows_of_one_series_never_lie_in_two_splits(tmp_path):
    x = np.repeat(np.arange(50), 30).reshape(50, 30)
    data = Series(path=npz(tmp_path, x=x), window=10, stride=2, scale="none").open()
    owners = [set(everything(split).flatten().tolist()) for split in (data.train, data.validation, data.test)]
    assert sum(map(len, owners)) == len(set.union(*owners)) == 50


def test_a_table_is_split_in_time_before_it_is_cut(tmp_path):
    x = np.stack([np.arange(1000), -np.arange(1000)], 1)
    path = npz(tmp_path, x=x, y=np.arange(1000) // 100)
    data = Series(path=path, layout="table", window=20, stride=5, scale="none").open()
    assert data.space == Space((20, 2), "real", 10)
    times = [everything(split)[..., 0] for split in (data.train, data.validation, data.test)]
    for windows in times:
        assert torch.equal(windows - windows[:, :1], torch.arange(20.0).expand(len(windows), 20))
        assert (windows[1:, 0] - windows[:-1, 0] == 5).all()
    assert times[0].min() == 0
    assert times[0].max() < times[1].min()
    assert times[1].max() < times[2].min()
    assert times[2].max() == 999
    assert data.train.y.tolist() == stats.mode(times[0].numpy() // 100, axis=1).mode.tolist()


def test_windows_of_a_table_have_the_mean_of_real_valued_targets(tmp_path):
    y = np.linspace(0, 1, 100)
    data = Series(path=npz(tmp_path, x=GENERATOR.normal(size=(100, 2)), y=y), layout="table", window=20, **WHOLE).open()
    torch.testing.assert_close(data.train.y, torch.from_numpy(y.reshape(5, 20).mean(1, keepdims=True)).float())


def test_a_table_can_have_splits_of_its_own(tmp_path):
    path = npz(tmp_path, x_train=np.arange(100)[:, None], x_test=np.arange(100, 150)[:, None])
    data = Series(path=path, layout="table", window=10, scale="none", validation=20).open()
    assert [len(split) for split in (data.train, data.validation, data.test)] == [8, 2, 5]
    assert everything(data.validation)[0, 0] == 80
    assert everything(data.test)[0, 0] == 100


def test_a_table_of_one_channel_needs_no_second_axis(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(200.0))
    data = Series(path=str(tmp_path / "one.npy"), layout="table", window=10, **WHOLE).open()
    assert data.space.shape == (10, 1)
    assert torch.equal(everything(data.train).flatten(), torch.arange(200.0))


def test_steps_of_nan_at_the_end_are_padding(tmp_path):
    x = GENERATOR.normal(size=(20, 9, 2)) + 5
    x[3, 4:], x[7, 8:] = np.nan, np.nan
    data = Series(path=npz(tmp_path, x=x), validation=0, test=0, scale="standardize").open()
    assert data.space.ragged
    batch = data.batch(data.train, torch.arange(20))
    assert batch.mask.shape == (20, 9, 1)
    assert batch.mask.sum((1, 2)).tolist() == [4 if i == 3 else 8 if i == 7 else 9 for i in range(20)]
    assert (batch.x[3, 4:] == 0).all()
    counted = batch.x[batch.mask[..., 0].bool()]
    torch.testing.assert_close(counted.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(counted.std(0, correction=0), torch.ones(2), atol=1e-5, rtol=0)


def test_windows_hold_no_padding(tmp_path):
    x = np.arange(60.0).reshape(6, 10)
    x[2, 5:] = np.nan
    data = Series(path=npz(tmp_path, x=x), window=5, **WHOLE).open()
    assert not data.space.ragged
    assert everything(data.train)[:, 0, 0].tolist() == [0, 5, 10, 15, 20, 30, 35, 40, 45, 50, 55]


def test_a_nan_in_the_middle_is_refused(tmp_path):
    x = GENERATOR.normal(size=(20, 9))
    x[4, 5] = np.nan
    with pytest.raises(UserError, match=r"NaN .* training example 4"):
        Series(path=npz(tmp_path, x=x)).open()


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((20, 9), {"window": 10}, "data.window=10: .* 9 steps; type data.window=9 or less"),
        (
            (200, 3),
            {"layout": "table", "window": 21},
            r"data.window=21: data.path=.* has 200 steps, 162 to train on, 18 to validate on, 20 to test on; "
            r"type data.window=18 or less, or make data.validation and data.test larger$",
        ),
        ((200, 3), {"layout": "table", "window": 2000}, "data.window=2000: .* type data.window=18 or less$"),
        ((200, 3), {"layout": "table", "window": 201, **WHOLE}, "200 to train on; type data.window=100 or less$"),
        ((200, 3), {"layout": "table"}, "data.layout=table: give data.window, the steps of an example"),
        ((200, 3), {"layout": "table", "window": 20, "c": "c"}, "data.c=c: a table .* takes no conditions"),
        ((200, 3), {"layout": "table", "window": 20, "path": None}, "data.layout=table: is of a file; give data.path,"),
        ((20, 3, 4), {"layout": "table", "window": 2}, r"data.layout wants \(steps, D\)"),
        ((20, 9), {"stride": 2}, "data.stride=2: .* data.window"),
        ((20, 3, 4, 5), {}, r"data.layout wants \(N, T\) or \(N, T, D\)"),
    ],
)
def test_what_cannot_be_cut_is_refused(tmp_path, shape, settings, message):
    with pytest.raises(UserError, match=message):
        Series(**{"path": npz(tmp_path, x=GENERATOR.normal(size=shape)), **settings}).open()


def test_heartbeats_keep_their_splits(shared_data):
    data = Series(path=str(shared_data / "series" / "ecg5000.npz"), scale="standardize").open()
    assert data.space == Space((140, 1), "real", 5)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [450, 50, 4500]
    assert list(data.space.class_names) == ["1", "2", "3", "4", "5"]
