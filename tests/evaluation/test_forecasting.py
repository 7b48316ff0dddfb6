import pytest
import torch

from tests.helpers import config_of
from vae_runner.build import build_model
from vae_runner.data.space import Batch, Space
from vae_runner.errors import UserError
from vae_runner.evaluation.forecasting import forecast

SERIES, ROLL = Space((6, 2), "real"), Space((6, 3), "binary", ragged=True)
TEXT = Space((6,), "categorical", ragged=True, categories=4)
LIKELIHOODS = {"real": "gaussian", "binary": "bernoulli", "categorical": "categorical"}


def model_of(variant, space):
    torch.manual_seed(0)
    overrides = (f"variant={variant}", f"likelihood={LIKELIHOODS[space.support]}", "architecture.width=8")
    return build_model(config_of(*overrides), space).eval()


def batch_of(space, n=5):
    if space is TEXT:
        x = torch.randint(1, 4, (n, 6))
        return Batch(x, x, mask=torch.ones(n, 6))
    x = torch.rand(n, *space.shape).round()
    return Batch(x, x, mask=torch.ones(n, 6, 1) if space.ragged else None)


@pytest.mark.parametrize("variant", ["vrae", "vrnn"])
@pytest.mark.parametrize("space", [SERIES, ROLL, TEXT])
def test_a_forecast_begins_with_the_prefix_and_knows_nothing_else(variant, space):
    model, batch = model_of(variant, space), batch_of(space)
    other = batch.x.clone()
    other[:, 3:] = batch_of(space).x[:, 3:]
    drawn = []
    for x in (batch.x, other):
        torch.manual_seed(1)
        drawn.append(forecast(model, Batch(x, x, mask=batch.mask), 3, draws=4).draws)
    assert drawn[0].shape == (4, *batch.x.shape)
    assert torch.equal(drawn[0][:, :, :3], batch.x[:, :3].expand(4, *batch.x[:, :3].shape))
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0][0], drawn[0][1])


def test_errors_are_of_the_steps_asked_for_that_a_sequence_has():
    batch = batch_of(ROLL)
    batch.mask[0, 4:] = 0
    result = forecast(model_of("vrae", ROLL), batch, 3, steps=2, draws=4)
    last, mean = batch.x[:, 2:3], batch.x[:, :3].mean(1, keepdim=True)
    for name, value in {"last value": last, "mean so far": mean, "forecast": result.prediction[:, 3:5]}.items():
        wrong = (value - batch.x[:, 3:5]).square()
        expected = torch.cat([wrong[0, :1], wrong[1:].flatten(0, 1)]).mean()
        assert result.errors[name] == pytest.approx(float(expected), rel=1e-5)


def test_errors_of_text_are_shares_of_wrong_tokens():
    batch = batch_of(TEXT)
    errors = forecast(model_of("vrae", TEXT), batch, 5, draws=4).errors
    assert errors["last value"] == pytest.approx(float((batch.x[:, 4] != batch.x[:, 5]).float().mean()))


@pytest.mark.parametrize("prefix", [0, 6])
def test_a_prefix_that_leaves_nothing_is_refused(prefix):
    with pytest.raises(
        UserError, match=rf"prefix={prefix}: must leave steps on both sides.*has 6; type prefix=1 to prefix=5$"
    ):
        forecast(model_of("vrae", SERIES), batch_of(SERIES), prefix)


def test_more_steps_than_there_are_are_refused():
    model, batch = model_of("vrae", SERIES), batch_of(SERIES)
    with pytest.raises(
        UserError, match=r"steps=5: the longest example has 4 after the 2 .*type steps=1 to steps=4, or"
    ):
        forecast(model, batch, 2, steps=5)
    errors = []
    for steps in (4, None):
        torch.manual_seed(0)
        errors.append(forecast(model, batch, 2, steps=steps, draws=2).errors)
    assert errors[0] == errors[1]


def test_images_are_refused():
    model = build_model(config_of(), Space((1, 4, 4), "unit"))
    with pytest.raises(UserError, match=r"continues sequences.*\(1, 4, 4\)"):
        forecast(model, Batch(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)), 2)


def test_guesses_without_a_model_pass_over_what_is_missing():
    batch = batch_of(SERIES)
    batch.mask = torch.ones(5, 6, 2)
    batch.mask[0, 2, 0] = batch.mask[0, 0, 1] = 0
    batch = Batch(batch.x * batch.mask, batch.x * batch.mask, mask=batch.mask)
    errors = forecast(model_of("vrae", SERIES), batch, 3, draws=4).errors
    last, mean = batch.x[:, 2:3].clone(), batch.x[:, :3].mean(1, keepdim=True)
    last[0, 0, 0] = batch.x[0, 1, 0]
    mean[0, 0, 0], mean[0, 0, 1] = batch.x[0, :2, 0].mean(), batch.x[0, 1:3, 1].mean()
    for name, value in {"last value": last, "mean so far": mean}.items():
        assert errors[name] == pytest.approx(float((value - batch.x[:, 3:]).square().mean()), rel=1e-5)
