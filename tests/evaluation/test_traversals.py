"""A traversal shows codes that there can be, and says what it did."""

import pytest
import torch

from tests.helpers import QUICK, config_of
from vae_runner.build import build_experiment
from vae_runner.evaluation import traversals
from vae_runner.evaluation.traversals import traverse


def traversed(*overrides, **settings):
    """The traversals of an untrained model, and the codes that it decoded: a tensor for each unit."""
    experiment = build_experiment(config_of(*QUICK, *overrides))
    model, data = experiment.model.eval(), experiment.data
    batch, seen = data.batch(data.train, torch.arange(64)), []
    hook = model.decoder.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    result = traverse(model, batch, **settings)
    hook.remove()
    assert len(seen) == len(result), "units that are moved alike are decoded at once"
    return model, result, [own for codes, moved in zip(seen, result, strict=True) for own in codes.chunk(len(moved.x))]


def test_classes_are_moved_as_one_hots():
    _, (result,), seen = traversed("variant=categorical_vae", "latent_dim=12", "posterior.classes=4")
    assert result.moved == "through all 4 classes"
    assert result.values == [0, 1, 2, 3]
    assert result.use == "KL (nats)"
    assert result.x.shape == (3, 4, 1, 8, 8)
    for codes, name in zip(seen, result.names, strict=True):
        variables = codes.view(4, 3, 4)
        assert variables.sort(2).values.tolist() == [[[0, 0, 0, 1]] * 3] * 4
        variable = int(name.split()[0].removeprefix("c"))
        assert torch.equal(variables[:, variable], torch.eye(4))
        others = [other for other in range(3) if other != variable]
        assert torch.equal(variables[:, others], variables[:1, others].expand(4, -1, -1))


def test_units_that_are_used_less_than_asked_for_are_left_out_but_for_the_most_used_one():
    _, (every,), _ = traversed("latent_dim=6")
    used = [float(name.split()[1]) for name in every.names]
    assert len(used) == 6
    _, (some,), _ = traversed("latent_dim=6", least=(used[2] + used[3]) / 2)
    assert some.names == every.names[:3]
    _, (one,), _ = traversed("latent_dim=6", least=1e6)
    assert one.names == every.names[:1]


def test_classes_beside_gaussians_have_a_traversal_of_their_own():
    model, (free, classes), seen = traversed("variant=joint_vae", "latent_dim=12", values=5)
    assert {name.split()[0] for name in free.names} == {"z0", "z1"}
    assert [name.split()[0] for name in classes.names] == ["c0"]
    assert (free.moved, classes.moved) == ("moved by standard deviations", "through the 5 most used of 10 classes")
    assert (free.x.shape[1], classes.x.shape[1]) == (5, 5)
    assert free.use == classes.use == "KL (nats)"
    for codes in seen:
        assert codes[:, 2:].sort(1).values.tolist() == [[0] * 9 + [1]] * 5
    (only,) = traverse_of_few(model)
    assert len(only.names) == 1


def traverse_of_few(model):
    experiment = build_experiment(config_of(*QUICK, "variant=joint_vae", "latent_dim=12"))
    return traverse(model, experiment.data.batch(experiment.data.train, torch.arange(9)), units=1)


@pytest.mark.parametrize(("codes", "moved"), [(4, "through all 4 codes"), (40, "through the 11 most used of 40 codes")])
def test_codes_are_moved_through_their_codebook(codes, moved):
    model, (result,), seen = traversed(
        "variant=vq_vae", "latent_dim=6", "posterior.code_dim=3", f"posterior.codes={codes}"
    )
    assert result.moved == moved
    assert sorted(name.split()[0] for name in result.names) == ["k0", "k1"]
    for latents, name in zip(seen, result.names, strict=True):
        vectors = latents.view(-1, 2, 3)
        place = int(name.split()[0].removeprefix("k"))
        assert torch.equal(vectors[:, place], model.posterior.codebook[[int(value) for value in result.values]])
        assert torch.equal(model.posterior.vectors(model.posterior.indices_of(latents)), latents)


@pytest.mark.parametrize("span", [3.0, 100.0])
def test_codes_of_length_one_keep_it(span):
    _, (result,), seen = traversed("variant=svae", "latent_dim=5", span=span)
    assert result.moved == "moved along the sphere by standard deviations"
    for codes, name in zip(seen, result.names, strict=True):
        torch.testing.assert_close(codes.norm(dim=1), torch.ones(11))
        unit = int(name.split()[0].removeprefix("z"))
        steps = codes[:, unit].diff()
        assert bool((steps >= 0).all() if span > 50 else (steps > 0).all())


@pytest.mark.parametrize("variant", ["vq_vae", "categorical_vae", "joint_vae"])
def test_choices_of_maps_are_moved_at_all_places_alike(variant):
    settings = ["architecture=conv", "architecture.spatial=true", "latent_dim=20"]
    _, results, seen = traversed(f"variant={variant}", *settings, units=100)
    assert sum(len(result.names) for result in results) == len(seen)
    codes, name = seen[-1], results[-1].names[-1].split()[0]
    start = {"k": 0, "c": 10 if variant == "joint_vae" else 0}[name[0]] + 10 * int(name[1:])
    moved = codes[:, start : start + 10].flatten(2)
    assert torch.equal(moved, moved[:, :, :1].expand_as(moved))


def test_small_numbers_keep_their_digits():
    _, (result,), _ = traversed("latent_dim=4")
    for name in result.names:
        assert float(name.split()[1]) > 0


@pytest.mark.parametrize("variant", ["vae", "hvae"])
def test_many_are_decoded_in_parts(monkeypatch, variant):
    (whole,), calls = decoded_of(variant)
    assert max(calls) > 7
    monkeypatch.setattr(traversals, "AT_ONCE", 7)
    (in_parts,), calls = decoded_of(variant)
    assert max(calls) == 7
    torch.testing.assert_close(in_parts.x, whole.x)


def decoded_of(variant):
    """The traversals, and how many codes were decoded in each call."""
    experiment = build_experiment(config_of(*QUICK, f"variant={variant}"))
    model, data = experiment.model.eval(), experiment.data
    calls = []
    hook = model.decoder.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    torch.manual_seed(0)
    result = traverse(model, data.batch(data.train, torch.arange(64)))
    hook.remove()
    return result, calls
