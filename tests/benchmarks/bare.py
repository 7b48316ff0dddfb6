"""The tutorial's model and mathematics in as bare a loop as can be written: images in memory, nothing recorded."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def train(images: Tensor, epochs: int, seed: int = 0, batch_size: int = 128) -> float:
    """Trains 784-400-20 on images (N, 1, 28, 28) uint8. Returns the last epoch's running loss in nats."""
    torch.manual_seed(seed)
    x = images.flatten(1).float().div_(255)
    encode, heads = nn.Linear(784, 400), nn.Linear(400, 40)
    decode, out = nn.Linear(20, 400), nn.Linear(400, 784)
    layers = nn.ModuleList([encode, heads, decode, out])
    optimizer = torch.optim.Adam(layers.parameters(), lr=1e-3, fused=True)
    total = torch.zeros((), dtype=torch.float64)
    for _ in range(epochs):
        total.zero_()
        for indices in torch.randperm(len(x)).split(batch_size):
            batch = x[indices]
            mean, log_variance = heads(F.relu(encode(batch))).chunk(2, 1)
            z = torch.addcmul(mean, torch.randn_like(mean), (0.5 * log_variance).exp())
            logits = out(F.relu(decode(z)))
            reconstruction = F.binary_cross_entropy_with_logits(logits, batch, reduction="sum")
            kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
            loss = (reconstruction + kl) / len(batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
    return float(total) / len(x)
