import torch
from sklearn.datasets import load_digits

from vae_runner.data import digits
from vae_runner.data.digits import Digits
from vae_runner.data.space import Space


def test_digits_are_grey_images_of_ten_classes():
    data = Digits().open()
    assert data.space == Space((1, 8, 8), "unit", 10)
    assert (len(data.train), len(data.validation), len(data.test)) == (1350, 150, 297)
    assert list(data.space.class_names) == [str(i) for i in range(10)]
    x, y = data.train.take(torch.arange(1350))
    assert x.dtype == torch.float32
    assert float(x.max()) == 1
    assert y.dtype == torch.long


def test_training_and_test_digits_together_are_scikit_learns_and_none_twice():
    data = Digits(validation=0).open()
    together = torch.cat([split.take(torch.arange(len(split)))[0] for split in (data.train, data.test)])
    expected = torch.from_numpy(load_digits().images).float() / 16
    rows = together.flatten(1)
    assert torch.equal(rows.sum(0), expected.flatten(1).sum(0))
    assert len(rows.unique(dim=0)) == len(expected.flatten(1).unique(dim=0))


def test_the_test_digits_are_always_the_same_and_hold_every_class():
    first, second = (Digits(split_seed=seed).open().test.take(torch.arange(297)) for seed in (0, 1))
    assert torch.equal(first[0], second[0])
    assert first[1].bincount().min() > 15


def test_the_digits_do_not_depend_on_where_scikit_learn_keeps_its_file(monkeypatch):
    direct = digits.read_digits()
    monkeypatch.setattr(digits, "FILE", "moved/elsewhere.csv.gz")
    imported = digits.read_digits()
    assert all((a == b).all() for a, b in zip(direct, imported, strict=True))
