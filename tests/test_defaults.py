"""`vae-run train variant=NAME`, with no further words, gives a model worth having."""

import pytest
import torch

from tests.helpers import fit
from tests.reading import legible, reader
from vae_runner.build import Run
from vae_runner.config import Tree, configs_directory
from vae_runner.data.digits import Digits
from vae_runner.evaluation.evaluate import Preserved

SEQUENCES = ("vrae", "vrnn")
IMAGES = [variant for variant in Tree([configs_directory()]).options("variant") if variant not in SEQUENCES]


def test_the_reader_of_samples_reads_real_digits():
    test = Digits().load().test
    assert reader().score(test.x.flatten(1), test.y) > 0.96


@pytest.mark.slow
@pytest.mark.parametrize("variant", IMAGES)
def test_samples_of_every_digit_can_be_read(tmp_path, variant):
    fit(tmp_path, f"variant={variant}")
    run = Run.load(tmp_path)
    condition = run.model.condition
    with Preserved(run.model, run.device, seed=0):
        kinds = None if condition is None else condition.each()
        context = None if kinds is None else condition(kinds[0].repeat(100))
        share, classes = legible(run.model.sample(1000, context))
    assert classes == 10
    assert share >= 0.7


@pytest.mark.slow
@pytest.mark.parametrize("variant", SEQUENCES)
def test_series_are_reconstructed_better_than_by_as_many_principal_components(tmp_path, variant):
    from sklearn.decomposition import PCA

    fit(tmp_path, f"variant={variant}")
    run = Run.load(tmp_path)
    train, test = (run.data.batch(split, torch.arange(len(split))) for split in (run.data.train, run.data.test))
    with Preserved(run.model, run.device, seed=0):
        error = (run.model.reconstruct(test) - test.x).square().mean()
    pca = PCA(run.config["latent_dim"]).fit(train.x.flatten(1))
    x = test.x.flatten(1).numpy()
    assert error < ((pca.inverse_transform(pca.transform(x)) - x) ** 2).mean()
