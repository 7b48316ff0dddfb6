"""Small trained runs, each made once when a test first asks for it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from vae_runner.cli import main

QUICK = ["trainer=debug", "trainer.validation_steps=4", "architecture.width=8", "latent_dim=3"]
RUNS = {
    "vae": [],
    "ae": ["variant=ae"],
    "beta_vae": ["variant=beta_vae", "kl=linear", "kl.length=2", "trainer.ema=0.9"],
    "mixture": ["prior=mixture", "prior.components=4"],
    "conv": ["architecture=conv"],
    "spatial": ["architecture=conv", "architecture.spatial=true"],
    "spatial_ae": ["architecture=resnet", "architecture.spatial=true", "variant=ae"],
    "binarized": ["data.binarize=stochastic"],
    "vectors": ["data=arrays", "data.path={vectors}", "likelihood=gaussian"],
    "cvae": ["variant=cvae"],
    "quadrants": ["condition=image", "condition.transform=quadrants", "condition.visible=2", "prior=conditional"],
    "levels": ["variant=hvae"],
    "edges": ["condition=image"],
    "pairs": ["condition=image", "condition.transform=null", "data=arrays", "data.path={pairs}", "data.c=c"],
    "attributes": ["condition=attributes", "data=arrays", "data.path={pairs}", "data.c=attributes"],
    "vectors_ae": ["data=arrays", "data.path={vectors}", "likelihood=laplace", "variant=ae"],
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Callable[[str], Path]:
    """The directory of the run of that name, shared by all tests: not to be damaged."""
    root = tmp_path_factory.mktemp("trained")
    generator = np.random.default_rng(0)
    np.save(root / "vectors.npy", generator.normal(size=(120, 6)).astype(np.float32))
    images = generator.random((120, 8, 8), dtype=np.float32)
    numbers = generator.normal(size=(120, 2)).astype(np.float32)
    np.savez(root / "pairs.npz", x=images, c=1 - images, attributes=numbers)
    draw = FigureCanvasAgg.draw

    def directory(name: str) -> Path:
        run = root / name
        if not run.exists():
            overrides = [text.format(vectors=root / "vectors.npy", pairs=root / "pairs.npz") for text in RUNS[name]]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(FigureCanvasAgg, "draw", draw)  # whoever asks first: some tests look at its figures
                assert main(["train", *QUICK, *overrides, f"hydra.run.dir={run}"]) == 0
        return run

    return directory


@pytest.fixture
def copied(trained, tmp_path) -> Callable[[str], Path]:
    """A copy of such a run, to do anything to."""

    def directory(name: str) -> Path:
        return Path(shutil.copytree(trained(name), tmp_path / name))

    return directory


@pytest.fixture
def refused(capsys) -> Callable[..., str]:
    """The one line with which a command line is refused; a mistake leaves no trace in the directory `unchanged`."""

    def line(*args: object, unchanged: Path | None = None) -> str:
        capsys.readouterr()
        before = _content(unchanged)
        assert main([str(arg) for arg in args]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert _content(unchanged) == before
        (only,) = captured.err.strip().splitlines()
        return only.removeprefix("vae-run: ")

    return line


def _content(directory: Path | None) -> dict[Path, tuple[int, int]]:
    if directory is None:
        return {}
    stats = {path: path.stat() for path in directory.rglob("*")}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}
