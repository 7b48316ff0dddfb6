"""`vae-run traverse`: which units move, how far, and what stays."""

import pytest
import torch
from PIL import Image

from vae_runner import Run
from vae_runner.cli import main
from vae_runner.evaluation.traversals import traverse
from vae_runner.reporting.formats import number


@pytest.fixture
def run(trained):
    return Run.load(trained("vae"), device="cpu")


@pytest.fixture
def batch(run):
    return run.data.batch(run.data.test, torch.arange(100))


def test_units_come_in_the_order_of_their_kl(run, batch):
    with torch.no_grad():
        kl = run.model.infer(batch)[0].kl_units.mean(0)
    (result,) = traverse(run.model, batch, units=10)
    order = kl.argsort(descending=True).tolist()
    assert result.names == [f"z{unit}  {number(float(kl[unit]), 3)}" for unit in order]
    assert result.use == "KL (nats)"
    assert traverse(run.model, batch, units=2)[0].names == result.names[:2]


def test_a_unit_moves_across_the_codes_while_the_others_stay(run, batch):
    (result,) = traverse(run.model, batch, units=3, values=5, span=2.0)
    assert result.values == [-2.0, -1.0, 0.0, 1.0, 2.0]
    with torch.no_grad():
        (codes,) = run.model.encode(batch)
        for row, name in zip(result.x, result.names, strict=True):
            unit = int(name.split()[0][1:])
            for x, value in zip(row, result.values, strict=True):
                z = codes[0].clone()
                z[unit] = codes[:, unit].mean() + value * codes[:, unit].std(correction=0)
                torch.testing.assert_close(x, run.model.decode([z[None]]).mean[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["ae", "spatial_ae", "mixture"])
def test_without_a_kl_by_unit_the_order_is_that_of_the_variance(name, trained):
    run = Run.load(trained(name), device="cpu")
    (result,) = traverse(run.model, run.data.batch(run.data.test, torch.arange(50)))
    assert result.use == "variance of the codes"
    variances = [float(text.split()[1]) for text in result.names]
    assert variances == sorted(variances, reverse=True)


def test_one_example_alone_is_no_problem(run):
    (result,) = traverse(run.model, run.data.batch(run.data.test, torch.arange(1)))
    assert bool(result.x.isfinite().all())


def test_any_example_can_be_chosen_and_each_choice_has_a_picture(run):
    pictures = []
    for example in (0, 296):  # the last lies outside the codes that say how far a unit moves
        assert main(["traverse", f"run={run.directory}", f"example={example}", "units=2", "steps=3", "span=0.5"]) == 0
        end = f"_example_{example}.png" if example else ".png"
        path = run.directory / "images" / "traversals" / f"traverse_units_2_span_0.5_steps_3{end}"
        with Image.open(path) as image:
            pictures.append(image.tobytes())
    assert pictures[0] != pictures[1]


def test_the_help_says_what_the_order_is(capsys):
    assert main(["traverse", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "in the order of their KL, or of the variance of their codes where there is no KL by unit" in said
