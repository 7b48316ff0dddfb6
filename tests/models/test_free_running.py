import itertools

import pytest
import torch

from vae_runner.architectures.recurrent import Recurrent
from vae_runner.data.space import Space
from vae_runner.distributions.likelihoods.bernoulli import Bernoulli
from vae_runner.distributions.likelihoods.categorical import Categorical
from vae_runner.distributions.likelihoods.gaussian import Gaussian
from vae_runner.errors import UserError
from vae_runner.models.free_running import free_run
from vae_runner.models.heads import head

TEXT = Space((3,), "categorical", ragged=True, categories=3)
ROLL, SERIES, IMAGES = Space((5, 2), "binary"), Space((5, 2), "real"), Space((2, 5, 3), "binary")
LIKELIHOODS = {"categorical": Categorical, "binary": Bernoulli, "real": Gaussian}


class Decoding:
    """A random autoregressive model of a space, free-running with `run`, teacher-forced with `told`."""

    def __init__(self, space):
        torch.manual_seed(0)
        self.space, self.likelihood = space, LIKELIHOODS[space.support](space)
        self.stage = Recurrent(width=8, teacher_forcing=True).decoder((4,), (8,), space, ()).eval()
        self.head = head(self.stage.shape, self.likelihood.parameter_shape)
        for parameter in (*self.stage.parameters(), *self.head.parameters()):
            parameter.requires_grad_(False).mul_(3)  # far from uniform

    def run(self, z, **settings):
        return free_run(self.stage, self.head, self.likelihood, self.space, z, **settings)

    def told(self, z, x):
        return self.likelihood(self.head(self.stage(z, None, x)))


def text_probabilities(decoding, z, temperature=1.0):
    """Every text of three steps after which nothing but the end follows an end, and its probability."""
    texts = [t for t in itertools.product(range(3), repeat=3) if 0 not in t or not any(t[t.index(0) :])]
    x = torch.tensor(texts)
    log_p = (decoding.told(z.expand(len(x), -1), x).logits / temperature).log_softmax(-1)
    ended = torch.cat([torch.zeros(len(x), 1), (x == 0).cumsum(1)[:, :-1]], 1) > 0
    return texts, log_p.gather(2, x[:, :, None])[:, :, 0].masked_fill(ended, 0).sum(1).exp()


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_texts_come_as_often_as_their_exact_probability(temperature):
    decoding, z, n = Decoding(TEXT), torch.randn(1, 4), 40_000
    texts, exact = text_probabilities(decoding, z, temperature)
    assert exact.sum() == pytest.approx(1, abs=1e-5)
    drawn = decoding.run(z.expand(n, -1), temperature=temperature).sample()
    code = {text: i for i, text in enumerate(texts)}
    counts = torch.bincount(torch.tensor([code[tuple(text)] for text in drawn.tolist()]), minlength=len(texts))
    error = (exact * (1 - exact) / n).sqrt()
    assert ((counts / n - exact).abs() < 4.5 * error + 1e-4).all()


@pytest.mark.parametrize("space", [TEXT, ROLL, SERIES, IMAGES])
def test_the_steps_conditionals_make_up_the_teacher_forced_log_probability(space):
    decoding, z = Decoding(space), torch.randn(6, 4)
    x = decoding.run(z).sample()
    assert x.shape == (6, *space.shape)
    time, total = decoding.stage.steps.time, torch.zeros(6)
    state, previous = decoding.stage.start(z, None), None
    for step in range(space.shape[time - 1]):
        features, state = decoding.stage.advance(previous, state)
        previous = x.select(time, step)
        total += decoding.likelihood(decoding.head(features)).log_prob(previous.unsqueeze(time))
    torch.testing.assert_close(total, decoding.told(z, x).log_prob(x), rtol=1e-4, atol=1e-4)


def test_at_temperature_zero_the_most_likely_step_follows():
    decoding, z = Decoding(ROLL), torch.randn(6, 4)
    run = decoding.run(z, temperature=0.0)
    assert torch.equal(run.sample(), (decoding.told(z, run.sample()).mean > 0.5).float())
    assert torch.equal(decoding.run(z, temperature=0.0).sample(), run.sample())


def test_at_temperature_zero_a_series_follows_its_mean():
    decoding, z = Decoding(SERIES), torch.randn(6, 4)
    run = decoding.run(z, temperature=0.0)
    torch.testing.assert_close(run.sample(), run.mean)
    torch.testing.assert_close(decoding.told(z, run.sample()).mean, run.mean)


def test_temperature_scales_the_noise_of_a_series():
    decoding, z = Decoding(SERIES), torch.zeros(4000, 4)
    run = decoding.run(z, temperature=0.5)
    deviation = float((run.sample() - run.mean).std())
    assert deviation == pytest.approx(0.5 * 0.1, rel=0.03)


def test_temperature_sharpens_each_key_of_a_roll():
    decoding, z = Decoding(ROLL), torch.randn(1, 4)
    logits = decoding.told(z, torch.zeros(1, 5, 2)).logits[0, 0]
    drawn = decoding.run(z.expand(20_000, -1), temperature=0.5).sample()[:, 0].mean(0)
    torch.testing.assert_close(drawn, (2 * logits).sigmoid(), atol=0.02, rtol=0)


@pytest.mark.parametrize("space", [ROLL, SERIES, IMAGES])
def test_a_prompt_is_kept_and_told(space):
    decoding, z = Decoding(space), torch.randn(6, 4)
    time = decoding.stage.steps.time
    prompt = decoding.run(z).sample().narrow(time, 0, 3)
    run = decoding.run(z, prompt=prompt, temperature=0.0)
    assert torch.equal(run.sample().narrow(time, 0, 3), prompt)
    assert torch.equal(run.mean.narrow(time, 0, 3), prompt)
    told = decoding.told(z, run.sample()).mean
    torch.testing.assert_close(run.mean.narrow(time, 3, 2), told.narrow(time, 3, 2))


def test_nothing_follows_the_end_of_a_prompted_text():
    drawn = Decoding(TEXT).run(torch.randn(50, 4), prompt=torch.tensor([[2, 0]]).expand(50, -1)).sample()
    assert drawn.tolist() == [[2, 0, 0]] * 50


def test_the_mean_of_a_text_is_the_text_that_was_run():
    run = Decoding(TEXT).run(torch.randn(50, 4))
    assert torch.equal(run.mean, run.sample())


def test_a_prompt_longer_than_an_example_is_refused():
    with pytest.raises(UserError, match="prompt: 6 steps, but the longest example of this data has 5"):
        Decoding(ROLL).run(torch.randn(2, 4), prompt=torch.zeros(2, 6, 2))
