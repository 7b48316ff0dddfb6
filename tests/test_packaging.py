import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The built wheel, unpacked as an installation would be, far from the checkout."""
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


def run(installed, tmp_path, *args):
    return subprocess.run(
        [sys.executable, "-m", "vae_runner", *args],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def test_the_wheel_holds_every_config(installed):
    packed = {path.relative_to(installed / "vae_runner") for path in installed.rglob("*.yaml")}
    assert packed == {path.relative_to(REPOSITORY) for path in (REPOSITORY / "configs").rglob("*.yaml")}


def test_the_installed_command_trains_from_an_empty_directory(installed, tmp_path):
    where = "import vae_runner; print(vae_runner.__file__)"
    printed = subprocess.run(
        [sys.executable, "-c", where],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
    )
    assert str(installed) in printed.stdout.decode()
    result = run(installed, tmp_path, "train", "trainer=debug", "variant=beta_vae")
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.glob("outputs/digits/beta_vae/*/summary.json"))
