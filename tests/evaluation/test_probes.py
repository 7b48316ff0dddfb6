import math
import warnings

import numpy as np
import pytest
import torch

from tests.evaluation.spread import against_spread, seeded
from vae_runner.errors import UserError
from vae_runner.evaluation.probes import STRENGTHS, Coded, clusters, knn_probe, linear_probe, ridge_probe
from vae_runner.evaluation.standard_errors import of_mean


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def blobs(n, seed, apart=20.0, classes=4):
    """Classes in equal parts around corners `apart` away from the origin."""
    labels = torch.arange(n) % classes
    return Coded(apart * torch.nn.functional.one_hot(labels, classes).float() + draws(n, classes, seed=seed), labels)


def three(make, *sizes):
    return [make(n, seed) for seed, n in enumerate(sizes or (200, 100, 150))]


def rings(n, seed):
    """Two classes that no plane parts: inside a circle, and outside."""
    codes = draws(n, 2, seed=seed)
    radius = codes.norm(dim=1, keepdim=True)
    labels = (torch.arange(n) % 2)[:, None]
    return Coded(codes / radius * (1 + 2 * labels), labels.squeeze(1))


def test_classes_that_lie_apart_are_told_wholly():
    parts = three(blobs)
    for probe in (linear_probe(*parts), knn_probe(*parts)):
        assert (probe.score, probe.validation) == (1, 1)
        assert probe.chance == pytest.approx(0.25, abs=0.01)
    found = clusters(*parts)
    assert (found.adjusted_rand, found.clusters) == (1, 4)
    assert found.normalised_information == pytest.approx(1)
    assert found.silhouette > 0.8


def test_codes_of_noise_tell_nothing():
    parts = three(lambda n, seed: Coded(draws(n, 5, seed=seed), torch.arange(n) % 2), 400, 200, 400)
    for probe in (linear_probe(*parts), knn_probe(*parts)):
        assert probe.score == pytest.approx(0.5, abs=0.1)
    found = clusters(*parts)
    assert found.adjusted_rand == pytest.approx(0, abs=0.02)
    assert found.normalised_information == pytest.approx(0, abs=0.02)


def test_a_circle_is_for_neighbours_and_not_for_planes():
    parts = three(rings)
    assert knn_probe(*parts).score > 0.98
    assert linear_probe(*parts).score < 0.75


def test_the_score_is_of_the_test_codes_and_the_choice_of_validation():
    # test labels are turned round: what fits training and validation is wholly wrong there
    train, validation, test = three(lambda n, seed: blobs(n, seed, classes=2))
    wrong = Coded(test.codes, 1 - test.targets)
    for probe in (linear_probe, knn_probe):
        assert probe(train, validation, wrong).score == 0
        assert probe(train, validation, wrong).validation == 1
        assert probe(train, Coded(validation.codes, 1 - validation.targets), test).validation == 0


def test_many_neighbours_are_chosen_where_labels_are_noisy():
    def noisy(n, seed):
        codes = draws(n, 1, seed=seed)
        flip = torch.rand(n, generator=torch.Generator().manual_seed(100 + seed)) < 0.3
        return Coded(codes, ((codes[:, 0] > 0) ^ flip).long())

    probe = knn_probe(*three(noisy, 600, 600, 2000))
    assert probe.chosen >= 10
    # 0.7 is the best there is, and one neighbour agrees in 0.7^2 + 0.3^2 of cases
    assert probe.score == pytest.approx(0.7, abs=0.04)
    assert knn_probe(*three(noisy, 600, 600, 2000), neighbours=[1]).score == pytest.approx(0.58, abs=0.04)


def test_strong_regularisation_is_chosen_where_dimensions_are_many():
    # noise of variance 1 and one of 90 weights is 1: shrinkage by about 90 / 100 is best
    def wide(n, seed):
        codes = draws(n, 90, seed=seed)
        return Coded(codes, codes[:, 0] + draws(n, seed=60 + seed))

    parts = three(wide, 100, 1000, 1000)
    probe = ridge_probe(*parts)
    assert probe.chosen == 1
    assert probe.score > ridge_probe(*parts, strengths=[1e-5]).score + 0.1


def test_of_strengths_that_explain_the_same_the_strongest_is_chosen():
    def linear(n, seed):
        codes = draws(n, 3, seed=seed)
        return Coded(codes, codes.sum(1))

    probe = ridge_probe(*three(linear))
    assert probe.score > 1 - 1e-4
    assert probe.chosen > min(STRENGTHS)


def test_neighbours_weigh_units_as_they_are_and_planes_do_not():
    def unused(n, seed):
        return Coded(
            torch.cat([blobs(n, seed, apart=5).codes, 1e-3 * draws(n, 40, seed=50 + seed)], 1), torch.arange(n) % 4
        )

    assert knn_probe(*three(unused)).score > 0.98


def test_planes_do_not_weigh_units_by_their_size():
    def uneven(n, seed):
        labels = (torch.arange(n) % 10 < 2).long()
        return Coded(draws(n, 2, seed=seed) + 2 * labels[:, None], labels)

    parts = three(uneven)
    tiny = [Coded(1e-4 * part.codes, part.targets) for part in parts]
    assert linear_probe(*tiny, strengths=[0.01]).score == linear_probe(*parts, strengths=[0.01]).score > 0.85


def test_targets_that_are_linear_in_the_codes_are_explained():
    def linear(n, seed):
        codes = draws(n, 3, seed=seed)
        return Coded(codes, torch.stack([100 * codes[:, 0] + 7, codes[:, 1] - codes[:, 2]], 1))

    probe = ridge_probe(*three(linear))
    assert probe.score > 0.999
    assert len(probe.by_target) == 2
    assert probe.chance == pytest.approx(0, abs=0.05)


def test_r2_is_the_share_of_variance_that_the_codes_hold():
    def half(n, seed):
        codes = draws(n, 2, seed=seed)
        return Coded(codes[:, :1], codes.sum(1))

    assert ridge_probe(*three(half, 4000, 1000, 4000)).score == pytest.approx(0.5, abs=0.04)


def test_a_target_that_does_not_vary_is_left_out():
    parts = three(
        lambda n, seed: Coded(draws(n, 1, seed=seed), torch.cat([draws(n, 1, seed=seed), torch.ones(n, 1)], 1))
    )
    probe = ridge_probe(*parts)
    assert probe.by_target[1] is None
    assert probe.score == probe.by_target[0]
    with pytest.raises(UserError, match="none of them varies"):
        ridge_probe(*[Coded(part.codes, part.targets[:, 1]) for part in parts])


def test_hidden_labels_are_left_out():
    train, validation, test = three(blobs)
    some = Coded(train.codes, train.targets.clone())
    some.targets[10:] = -1
    few = Coded(train.codes[:10], train.targets[:10])
    assert linear_probe(some, validation, test) == linear_probe(few, validation, test)
    assert knn_probe(some, validation, test) == knn_probe(few, validation, test)


def test_neighbours_are_no_more_than_there_are_codes():
    train, validation, test = three(blobs, 8, 40, 40)
    assert knn_probe(train, validation, test).chosen <= 8
    with pytest.raises(UserError, match="not as many training examples"):
        knn_probe(train, validation, test, neighbours=(9, 10))


def test_of_several_solutions_the_best_is_taken():
    many = three(lambda n, seed: blobs(n, seed, classes=40), 400, 400, 400)
    single = [clusters(*many, restarts=1, seed=seed).adjusted_rand for seed in range(10)]
    assert clusters(*many).adjusted_rand == max(single) > min(single)


def test_clusters_follow_the_seed_and_leave_the_global_state():
    parts = three(lambda n, seed: Coded(draws(n, 3, seed=seed), torch.arange(n) % 3))
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    assert clusters(*parts) == clusters(*parts, seed=0)
    assert (np.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.random.get_rng_state(), before[1])


@pytest.mark.parametrize(("examples", "known"), [(1, False), (2, False), (3, False), (4, True)])
def test_the_errors_of_clusters_are_of_halves_that_have_two_examples(examples, known):
    errors = clusters(*three(blobs, 40, 20, examples)).standard_errors
    assert [errors[name] is not None for name in ("adjusted_rand", "normalised_information")] == [known, known]
    assert errors["silhouette"] is None


def test_collapsed_codes_have_clusters_without_a_silhouette():
    parts = three(lambda n, seed: Coded(torch.ones(n, 3), torch.arange(n) % 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = clusters(*parts)
        assert linear_probe(*parts).score == pytest.approx(1 / 3, abs=0.01)
    assert found.silhouette is None
    assert found.adjusted_rand == pytest.approx(0)


def test_images_and_maps_count_as_long_vectors():
    parts = [Coded(part.codes.view(-1, 1, 2, 2), part.targets) for part in three(blobs)]
    assert knn_probe(*parts).score == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda part: Coded(part.codes, torch.zeros_like(part.targets)), "all are of one class"),
        (lambda part: Coded(part.codes, -torch.ones_like(part.targets)), "all are hidden"),
        (lambda part: Coded(part.codes, part.targets.float()), "ridge probe"),
        (lambda part: Coded(part.codes[1:], part.targets), "199 codes and 200 targets"),
        (lambda part: Coded(part.codes * math.nan, part.targets), "training codes: some values are NaN"),
    ],
)
def test_what_no_reader_can_learn_from_is_refused(change, message):
    train, validation, test = three(blobs)
    for probe in (linear_probe, knn_probe):
        with pytest.raises(UserError, match=message):
            probe(change(train), validation, test)


def test_the_errors_of_r2_and_of_its_mean_are_their_spread_over_test_codes():
    def linear(n, seed):
        codes, noise = torch.randn(n, 3, generator=seeded(seed)), torch.randn(n, 2, generator=seeded(seed + 10**6))
        # the second target has the noise of the first too, so that the errors of both go together
        return Coded(codes, torch.stack([codes[:, 0] + noise[:, 0], codes[:, 1] + 0.5 * noise.sum(1)], 1))

    train, validation = linear(300, 10**4), linear(100, 10**4 + 1)

    def first(test):
        found = ridge_probe(train, validation, test)
        return found.by_target[0], of_mean(found.terms[:, 0])

    def both(test):
        found = ridge_probe(train, validation, test)
        return found.score, of_mean(found.terms.mean(1))

    for figures in (first, both):
        assert against_spread(lambda seed: linear(150, seed), figures, sets=100) == pytest.approx(1, abs=0.2)


def test_the_errors_of_clusters_are_their_spread_over_test_codes():
    def overlapping(n, seed):
        labels = torch.randint(0, 4, (n,), generator=seeded(seed))
        corners = 2.5 * torch.nn.functional.one_hot(labels, 4)
        return Coded(corners + torch.randn(n, 4, generator=seeded(seed + 10**6)), labels)

    train, validation = overlapping(300, 10**4), overlapping(100, 10**4 + 1)

    found = [clusters(train, validation, overlapping(150, seed), restarts=1) for seed in range(40)]
    for name in ("adjusted_rand", "normalised_information", "silhouette"):
        values, errors = [getattr(of, name) for of in found], [of.standard_errors[name] for of in found]
        assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(values, ddof=1), rel=0.3)
