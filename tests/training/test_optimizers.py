import math

import pytest
import torch

from tests.helpers import config_of
from vae_runner.build import make


def optimizer_of(*overrides):
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    return weight, make(config_of(*overrides)["optimizer"])([weight])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", "Adam"),
        ("adamw", "AdamW"),
        ("adamax", "Adamax"),
        ("radam", "RAdam"),
        ("rmsprop", "RMSprop"),
        ("sgd", "SGD"),
    ],
)
def test_an_option_is_torch_s_optimizer_of_that_name_with_its_settings(name, kind):
    _, optimizer = optimizer_of(f"optimizer={name}", "optimizer.lr=0.03", "optimizer.weight_decay=0.1")
    assert type(optimizer) is getattr(torch.optim, kind)
    assert optimizer.defaults["lr"] == 0.03
    assert optimizer.defaults["weight_decay"] == 0.1


def test_the_fused_kernel_takes_the_same_step_as_the_plain_one():
    weight, optimizer = optimizer_of("optimizer=adam", "optimizer.lr=0.1")
    plain = torch.nn.Parameter(weight.detach().clone())
    reference = torch.optim.Adam([plain], lr=0.1, fused=False)
    for _ in range(5):
        for parameter, stepper in ((weight, optimizer), (plain, reference)):
            parameter.grad = parameter.detach() * 2 + 1
            stepper.step()
    torch.testing.assert_close(weight, plain)


def test_a_phase_may_change_a_setting():
    weight = torch.nn.Parameter(torch.zeros(1))
    factory = make(config_of("optimizer=adam")["optimizer"])
    assert factory([weight], lr=0.5).defaults["lr"] == 0.5
    assert math.isclose(factory([weight]).defaults["lr"], 1e-3)
