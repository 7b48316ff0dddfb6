"""The tutorial's VAE on MNIST, as a user would type it: python tutorial.py ROOT [EPOCHS [SEED]].

ROOT holds MNIST/raw as torchvision lays it out (unpacked, or packed where it can be written). Prints a JSON line per
epoch: seconds, and in nats per example the running training loss, the test loss, its reconstruction and its KL.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 400)
        self.fc21 = nn.Linear(400, 20)
        self.fc22 = nn.Linear(400, 20)
        self.fc3 = nn.Linear(20, 400)
        self.fc4 = nn.Linear(400, 784)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


def terms(recon, x, mu, logvar):
    bce = F.binary_cross_entropy(recon, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce, kld


def main(root, epochs=10, seed=1):
    torch.manual_seed(seed)
    transform = transforms.ToTensor()
    train = datasets.MNIST(root, train=True, transform=transform)
    test = datasets.MNIST(root, train=False, transform=transform)
    train_loader = DataLoader(train, batch_size=128, shuffle=True)
    test_loader = DataLoader(test, batch_size=128)
    model = VAE()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(1, epochs + 1):
        started, total = time.perf_counter(), 0.0
        model.train()
        for x, _ in train_loader:
            x = x.view(-1, 784)
            optimizer.zero_grad()
            loss = sum(terms(*[(out := model(x))[0], x, out[1], out[2]]))
            loss.backward()
            total += loss.item()
            optimizer.step()
        seconds = time.perf_counter() - started
        model.eval()
        bce_total = kld_total = 0.0
        with torch.no_grad():
            for x, _ in test_loader:
                x = x.view(-1, 784)
                recon, mu, logvar = model(x)
                bce, kld = terms(recon, x, mu, logvar)
                bce_total += bce.item()
                kld_total += kld.item()
        figures = {"train": total / len(train), "test": (bce_total + kld_total) / len(test)}
        figures |= {"reconstruction": bce_total / len(test), "kl": kld_total / len(test)}
        print(json.dumps({"epoch": epoch, "seconds": seconds, **figures}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *(int(value) for value in sys.argv[2:4]))
