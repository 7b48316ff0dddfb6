"""pythae's VAE, beta-TCVAE and IWAE beside ours: python tests/benchmarks/pythae_side_by_side.py FOLDER [SEED ...].

pythae comes with `pip install 'vae-runner[benchmark]'`; 0.1.2 was tried.
Both are given the same digits (MNIST, black where a pixel is below 1/2; 55,000 to train, 5,000 to choose the best epoch
by), pythae's own MLP for MNIST (784-512-16-512-784), Adam with a learning rate of 1e-3, batches of 128 and 5 epochs;
each is trained by its own trainer. The best weights of both are then scored by the same lines, `score` below, on the
first 2,000 test digits. What FOLDER holds already is not trained again. Prints a JSON line per model.

Where the two differ by default, ours is set to pythae's convention or pythae to ours:
- beta-TCVAE estimates log q(z) by minibatch weighting in both (`use_mss=False`, `objective.estimator=weighted`).
  pythae's default is the stratified weights of the authors' code, whose diagonal lands in the first column.
- pythae's default reconstruction loss is half a squared error; here it is the cross-entropy, summed over pixels.
"""

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from vae_runner.build import Run
from vae_runner.cli import main as vae_run
from vae_runner.data.space import Batch

BETA, DRAWS_IN_TRAINING = 6.0, 5
VARIANTS = {
    "vae": [],
    "beta_tcvae": [f"kl.weight={BETA}", "objective.estimator=weighted"],
    "iwae": [f"objective.samples={DRAWS_IN_TRAINING}"],
}
DIGITS, DRAWS, ROWS = 2000, 200, 50  # ROWS: digits at a time

Posterior = Callable[[Tensor], tuple[Tensor, Tensor]]  # x -> mean and log-variance of q(z|x)
Decoder = Callable[[Tensor], Tensor]  # z -> probabilities of x


@torch.no_grad()
def score(posterior: Posterior, decode: Decoder, x: Tensor) -> dict[str, float]:
    """The ELBO and the importance-weighted log p(x), means over x (N, 1, 28, 28) in nats, from the same draws."""
    torch.manual_seed(0)
    bounds, likelihoods = [], []
    for rows in x.split(ROWS):
        mean, log_variance = posterior(rows)
        q = Normal(mean, (0.5 * log_variance).exp())
        z = q.sample((DRAWS,))
        probabilities = decode(z.flatten(0, 1)).view(DRAWS, len(rows), -1)
        log_px = Bernoulli(probs=probabilities).log_prob(rows.flatten(1)).sum(2)
        log_w = (log_px + Normal(0.0, 1.0).log_prob(z).sum(2) - q.log_prob(z).sum(2)).double()
        bounds.append(log_w.mean(0))
        likelihoods.append(log_w.logsumexp(0) - math.log(DRAWS))
    return {"elbo": float(torch.cat(bounds).mean()), "log_likelihood": float(torch.cat(likelihoods).mean())}


def our_run(folder: Path, variant: str, seed: int) -> Run:
    directory = folder / f"ours-{variant}-{seed}"
    if not directory.exists():
        command = ["train", "experiment=pythae_mnist", f"variant={variant}", *VARIANTS[variant], f"seed={seed}"]
        with contextlib.redirect_stdout(sys.stderr):
            assert vae_run([*command, "trainer.device=cpu", f"hydra.run.dir={directory}"]) == 0
    return Run.load(directory, device="cpu")


def our_score(run: Run, x: Tensor) -> dict[str, float]:
    def posterior(rows: Tensor) -> tuple[Tensor, Tensor]:
        q = run.model.infer(Batch(x=rows, input=rows))[-1].q
        return q.mean, q.log_variance

    run.model.eval()
    return score(posterior, lambda z: run.model.decode([z]).mean, x)


def their_model(folder: Path, variant: str, seed: int, train: Tensor, validation: Tensor):
    """pythae's model, trained by pythae, and the seconds that took."""
    from pythae import models
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    directory = folder / f"pythae-{variant}-{seed}"
    if not directory.exists():
        shape = {"input_dim": (1, 28, 28), "latent_dim": 16, "reconstruction_loss": "bce"}
        torch.manual_seed(seed)
        if variant == "beta_tcvae":
            model = models.BetaTCVAE(models.BetaTCVAEConfig(**shape, beta=BETA, use_mss=False))
        elif variant == "iwae":
            model = models.IWAE(models.IWAEConfig(**shape, number_samples=DRAWS_IN_TRAINING))
        else:
            model = models.VAE(models.VAEConfig(**shape))
        settings = {"num_epochs": 5, "learning_rate": 1e-3, "seed": seed, "no_cuda": True}
        sizes = {"per_device_train_batch_size": 128, "per_device_eval_batch_size": 128}
        trainer = BaseTrainerConfig(output_dir=str(directory), **settings, **sizes)
        started = time.perf_counter()
        TrainingPipeline(model=model, training_config=trainer)(train_data=train, eval_data=validation)
        (directory / "seconds.json").write_text(json.dumps(time.perf_counter() - started))
    (trained,) = directory.glob("*/final_model")
    return models.AutoModel.load_from_folder(str(trained)), json.loads((directory / "seconds.json").read_text())


def their_score(model, x: Tensor) -> dict[str, float]:
    def posterior(rows: Tensor) -> tuple[Tensor, Tensor]:
        encoded = model.encoder(rows)
        return encoded.embedding, encoded.log_covariance

    model.eval()
    return score(posterior, lambda z: model.decoder(z).reconstruction, x)


def parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def main(folder: Path, seeds: list[int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for variant in VARIANTS:
            run = our_run(folder, variant, seed)
            data = run.data
            train, validation, test = (
                data.batch(split, torch.arange(len(split))).x for split in (data.train, data.validation, data.test)
            )
            theirs, seconds = their_model(folder, variant, seed, train, validation)
            assert parameters(run.model) == parameters(theirs)
            told = {"variant": variant, "seed": seed}
            for name, took, found in (
                ("vae_runner", run.summary["seconds"], our_score(run, test[:DIGITS])),
                ("pythae", seconds, their_score(theirs, test[:DIGITS])),
            ):
                print(json.dumps({**told, "by": name, **found, "seconds": round(took, 1)}), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), [int(seed) for seed in sys.argv[2:]] or [0])
