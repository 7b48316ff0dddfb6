"""Ways to train a job without vae_runner: `python ways.py tutorial|pythae|bare JOB FOLDER EPOCHS`.

Prints a JSON line: seconds of training, and the loss of the test examples, -ELBO in nats with one draw of z.
"""

import ctypes
import json
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from by_hand import by_hand
from jobs import JOBS, Job
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def stored(folder: Path, name: str) -> Tensor:
    return torch.from_numpy(np.load(folder / f"{name}.npy"))


def scaled(x: Tensor) -> Tensor:
    return x.float().div_(255) if x.dtype == torch.uint8 else x


# as the tutorial does it
class Items(Dataset):
    """One example at a time, as torchvision's data sets give them: a picture, and what a transform makes of it."""

    def __init__(self, x: Tensor):
        self.x, self.transform = x.numpy(), transforms.ToTensor()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x = self.x[index]
        if x.dtype != np.uint8:
            return torch.from_numpy(x), 0
        picture = x[0] if len(x) == 1 else x.transpose(1, 2, 0)
        return self.transform(Image.fromarray(picture)), 0


class VAE(nn.Module):
    def __init__(self, job: Job):
        super().__init__()
        self.encoder, self.decoder = job.network()
        self.bernoulli = job.bernoulli

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        decoded = self.decoder(z)
        return torch.sigmoid(decoded) if self.bernoulli else decoded, mean, log_variance

    def loss(self, x: Tensor) -> Tensor:
        """Summed over the batch."""
        decoded, mean, log_variance = self(x)
        kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
        if self.bernoulli:
            return F.binary_cross_entropy(decoded, x, reduction="sum") + kl
        return 0.5 * F.mse_loss(decoded, x, reduction="sum") + kl


def tutorial(job: Job, folder: Path, epochs: int) -> tuple[float, VAE]:
    model = VAE(job).to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=job.learning_rate)
    loader = DataLoader(Items(stored(folder, "train")), batch_size=job.batch_size, shuffle=True)
    started = time.perf_counter()
    for _ in range(epochs):
        total = 0.0
        for x, _ in loader:
            x = x.to(DEVICE)
            optimizer.zero_grad()
            loss = model.loss(x)
            loss.backward()
            total += loss.item()
            optimizer.step()
    return time.perf_counter() - started, model


# as fast as it can be written by hand
def bare(job: Job, folder: Path, epochs: int) -> tuple[float, VAE]:
    if platform.libc_ver()[0] == "glibc":  # as `vae-run train` does: what a step frees the next takes
        for key, value in ((-4, 0), (-1, -1)):  # M_MMAP_MAX, M_TRIM_THRESHOLD
            ctypes.CDLL(None).mallopt(key, value)
    x = stored(folder, "train")
    model = VAE(job).to(DEVICE)
    step, total = by_hand(model, job, scaled(x.to(DEVICE)))
    started = time.perf_counter()
    for _ in range(epochs):
        total.zero_()
        for indices in torch.randperm(len(x), device=DEVICE).split(job.batch_size):
            step(indices)
        float(total)
    return time.perf_counter() - started, model


# by pythae
def pythae(job: Job, folder: Path, epochs: int) -> tuple[float, VAE]:
    from pythae import models
    from pythae.data.datasets import BaseDataset
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    ours = VAE(job)

    class Encoder(BaseEncoder):
        def __init__(self):
            BaseEncoder.__init__(self)
            self.network = ours.encoder

        def forward(self, x: Tensor) -> ModelOutput:
            mean, log_variance = self.network(x).chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self):
            BaseDecoder.__init__(self)
            self.network = ours.decoder

        def forward(self, z: Tensor) -> ModelOutput:
            decoded = self.network(z)
            return ModelOutput(reconstruction=torch.sigmoid(decoded) if job.bernoulli else decoded)

    kind = "bce" if job.bernoulli else "mse"
    config = models.VAEConfig(input_dim=job.shape, latent_dim=20, reconstruction_loss=kind)
    model = models.VAE(config, encoder=Encoder(), decoder=Decoder())
    x = scaled(stored(folder, "train"))
    with tempfile.TemporaryDirectory() as place:
        settings = BaseTrainerConfig(
            output_dir=place,
            num_epochs=epochs,
            learning_rate=job.learning_rate,
            per_device_train_batch_size=job.batch_size,
            optimizer_cls="Adam",
        )
        trainer = BaseTrainer(model, BaseDataset(x, torch.zeros(len(x))), training_config=settings)
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started, ours.to(DEVICE)


@torch.no_grad()
def test_loss(model: VAE, x: Tensor) -> float:
    return sum(float(model.loss(part.to(DEVICE))) for part in scaled(x).split(500)) / len(x)


def main(way: str, name: str, folder: str, epochs: str) -> None:
    job, place = JOBS[name], Path(folder)
    torch.manual_seed(0)
    seconds, model = {"tutorial": tutorial, "bare": bare, "pythae": pythae}[way](job, place, int(epochs))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    loss = test_loss(model, stored(place, "test"))
    print(json.dumps({"seconds": seconds, "loss": loss, "parameters": parameters}))


if __name__ == "__main__":
    main(*sys.argv[1:])
