"""A linear VAE with one noise level is probabilistic PCA (Tipping & Bishop 1999), whose best likelihood is known."""

import math

import numpy as np
import torch

from tests.helpers import fit


def ppca_log_likelihood(x: np.ndarray, latent_dim: int) -> float:
    """The maximum over all probabilistic PCA models with the data's mean, in nats per example (their equation 8)."""
    d = x.shape[1]
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(x.T, bias=True)))[::-1]
    noise = eigenvalues[latent_dim:].mean()
    log_determinant = np.log(eigenvalues[:latent_dim]).sum() + (d - latent_dim) * math.log(noise)
    return -0.5 * (d * math.log(2 * math.pi) + log_determinant + d)


def test_a_linear_gaussian_vae_reaches_the_maximum_likelihood_of_probabilistic_pca(tmp_path):
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(2, 8)) * np.array([[1.5], [0.8]])
    x = generator.normal(size=(600, 2)) @ weights + 0.4 * generator.normal(size=(600, 8)) + 1.0
    np.save(tmp_path / "x.npy", x.astype(np.float32))
    summary = fit(
        tmp_path / "run",
        *("data=arrays", f"data.path={tmp_path / 'x.npy'}", "data.validation=0", "data.test=0"),
        *("architecture.depth=0", "latent_dim=2", "likelihood=gaussian", "likelihood.variance=shared"),
        *(
            "likelihood.scale=1",
            "optimizer.lr=0.02",
            "scheduler=cosine",
            "trainer.steps=3000",
            "trainer.batch_size=300",
        ),
        "trainer.validation_epochs=100000",
    )
    exact = ppca_log_likelihood(x, 2)
    gap = (exact - summary["train"]["elbo"]) / 8
    # the bound is an average over one draw of z per example: a little noise either way
    assert abs(gap) < 0.01
    assert torch.isfinite(torch.tensor(gap))
