"""How well an example comes back, and at what rate."""

from typing import Any

import torch
from torch import Tensor

from vae_runner.evaluation.checks import exact
from vae_runner.evaluation.groups.subject import Subject
from vae_runner.evaluation.reconstruction import psnr, ssim
from vae_runner.evaluation.reconstructions import rate_distortion, reconstruct
from vae_runner.evaluation.standard_errors import beside, of_mean

DRAWS = 10  # of z for each example


def reconstruction(subject: Subject) -> dict[str, Any]:
    """Means over examples, with standard errors. `rate` and `distortion` are those of the plane, in nats.

    The others are at the mean code: `distortion_at_mean` is -log p(x|z) there, and `error` the share of wrong tokens
    for text, where others have the mean squared error over values that count.
    """
    space = subject.space
    error = "error" if space.support == "categorical" else "mean_squared_error"
    found: dict[str, list[Tensor]] = {}
    # what is missing has no brightness
    compared = space.image and space.support != "real"
    with subject.preserved():
        for batch in subject.batches():
            result, plane = reconstruct(subject.model, batch), rate_distortion(subject.model, batch, DRAWS)
            of_batch = {error: result.squared_error, "distortion": plane.distortion}
            of_batch |= {} if plane.rate is None else {"rate": plane.rate}
            of_batch["distortion_at_mean"] = -result.log_px
            if compared and batch.mask is None:
                seen = result.x.clamp(0, 1)
                of_batch |= {"psnr": psnr(seen, batch.x), "ssim": ssim(seen, batch.x)}
            for name, values in of_batch.items():
                found.setdefault(name, []).append(exact(values).cpu())
    each = {name: torch.cat(parts) for name, parts in found.items()}
    figures = {"rate": None, **{name: float(values.mean()) for name, values in each.items()}}
    errors = {name: of_mean(values) for name, values in each.items()}
    return {**beside(figures, errors), "draws": DRAWS, "examples": len(each[error])}
