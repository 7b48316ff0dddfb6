"""How well an example comes back from the mean of q(z|x)."""

from typing import Any

import torch

from vae_runner.evaluation.groups.subject import Subject
from vae_runner.evaluation.reconstruction import psnr, ssim
from vae_runner.evaluation.reconstructions import reconstruct


def reconstruction(subject: Subject) -> dict[str, Any]:
    """Means over examples. `distortion` is -log p(x|z) in nats at the mean code, beside `rate`, the KL, elsewhere.

    `error` is the share of wrong tokens for text, where others have the mean squared error over values that count.
    """
    errors, distortions, ratios, similarities = [], [], [], []
    space = subject.space
    # what is missing has no brightness
    compared = space.image and space.support != "real"
    with subject.preserved():
        for batch in subject.batches():
            result = reconstruct(subject.model, batch)
            errors.append(result.squared_error.double().cpu())
            distortions.append(-result.log_px.double().cpu())
            if compared and batch.mask is None:
                seen = result.x.clamp(0, 1)
                ratios.append(psnr(seen, batch.x).cpu())
                similarities.append(ssim(seen, batch.x).cpu())
    error = "error" if space.support == "categorical" else "mean_squared_error"
    figures = {error: float(torch.cat(errors).mean()), "distortion": float(torch.cat(distortions).mean())}
    if ratios:
        figures |= {"psnr": float(torch.cat(ratios).mean()), "ssim": float(torch.cat(similarities).mean())}
    return {**figures, "examples": len(torch.cat(errors))}
