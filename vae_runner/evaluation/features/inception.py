"""Features of Inception v3, whose weights the user supplies."""

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_runner.errors import UserError
from vae_runner.evaluation.checks import finite
from vae_runner.evaluation.features.networks import Features, frozen
from vae_runner.evaluation.features.saving import read, state_in


class InceptionFeatures(Features):
    """torchvision's Inception v3 with the weights of a file, such as those that torchvision publishes for ImageNet.

    Images in [0, 1], grey or of three colours, are resized to 299x299 (bilinear) and mapped to [-1, 1]. Published FIDs
    are of another port of the network with other weights: figures in these features are not to be set beside them.
    """

    SIDE = 299

    def __init__(self, path: Path | str) -> None:
        super().__init__()
        path = Path(path)
        content = read(path)
        weights = state_in(content, path)
        # the second head serves training alone
        weights = {name: value for name, value in weights.items() if not name.startswith("AuxLogits.")}
        if not isinstance(weights.get("fc.weight"), Tensor) or weights["fc.weight"].dim() != 2:
            raise UserError(f"{path}: not the weights of torchvision's inception_v3 (there is no fc.weight)")
        from torchvision.models import inception_v3

        with torch.random.fork_rng([]):  # its weights are drawn before they are replaced
            self.network = inception_v3(
                weights=None, aux_logits=False, init_weights=False, num_classes=len(weights["fc.weight"])
            )
        try:
            self.network.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(f"{path}: not the weights of torchvision's inception_v3") from error
        self.head = self.network.fc
        self.network.fc = nn.Identity()
        self.dimensions = self.head.in_features
        digest = hashlib.sha256(content).hexdigest()[:8]
        self.name = f"pooled features of Inception v3 (torchvision) with the weights {path.name} ({digest})"
        frozen(self)

    def hidden(self, x: Tensor) -> Tensor:
        if x.dim() != 4 or x.shape[1] not in (1, 3):
            raise UserError(f"Inception features: images of one or three channels are needed, not {tuple(x.shape[1:])}")
        x = F.interpolate(
            finite(x, "Inception features: images"), (self.SIDE, self.SIDE), mode="bilinear", align_corners=False
        )
        return torch.cat([self.network(2 * part.expand(-1, 3, -1, -1) - 1) for part in x.split(50)])

    def probabilities(self, x: Tensor) -> Tensor | None:
        """p(class|x) of the classes that the weights know, 1,000 of ImageNet: not those of the data."""
        return self._by_blocks(lambda part: self.head(self.hidden(part)).softmax(1), x)
