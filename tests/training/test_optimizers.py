import copy
import math

import pytest
import torch

from tests.helpers import config_of
from vae_runner.build import make
from vae_runner.training import optimizers
from vae_runner.without_compiler import without_compiler


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
    assert isinstance(optimizer, getattr(torch.optim, kind))
    assert type(optimizer).__name__ == kind
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


@pytest.mark.parametrize("name", ["Adam", "AdamW", "Adamax", "RAdam", "RMSprop", "SGD"])
def test_without_the_compiler_an_optimizer_moves_and_is_saved_as_torch_s_own(name):
    def stepped(kind):
        weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        optimizer, hooked = kind([weight], lr=0.1), []
        optimizer.register_step_post_hook(lambda *_: hooked.append(weight.tolist()))
        for turn in range(6):
            if turn == 3:
                saved, optimizer = optimizer.state_dict(), kind([weight], lr=0.5)
                optimizer.load_state_dict(saved)
                optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]})
            optimizer.zero_grad()
            (weight**2 + weight).sum().backward()
            optimizer.step()
        return weight.detach(), hooked, optimizer.state_dict()

    own = getattr(torch.optim, name)
    bare = without_compiler(own)
    assert bare is not own
    torch.testing.assert_close(stepped(bare), stepped(own), rtol=0, atol=0)


def test_an_optimizer_that_is_not_torch_s_stays_as_it_is():
    class Own(torch.optim.SGD):
        pass

    assert without_compiler(Own) is Own


def test_a_phase_may_change_a_setting():
    weight = torch.nn.Parameter(torch.zeros(1))
    factory = make(config_of("optimizer=adam")["optimizer"])
    assert factory([weight], lr=0.5).defaults["lr"] == 0.5
    assert math.isclose(factory([weight]).defaults["lr"], 1e-3)


def test_moments_are_read_back_into_the_order_in_memory_of_their_parameters():
    def optimizer_of(**layout):
        parameter = torch.nn.Parameter(torch.arange(48.0).view(2, 3, 4, 2).contiguous(**layout))
        return parameter, optimizers.Adam(lr=0.1)([parameter])

    def step(parameter, optimizer):
        parameter.grad = torch.empty_like(parameter).copy_(torch.linspace(-1, 1, 48).view(2, 3, 4, 2))
        optimizer.step()

    one, of_one = optimizer_of()
    other, of_other = optimizer_of(memory_format=torch.channels_last)
    step(one, of_one)
    other.data.copy_(one.data)
    optimizers.restore_state(of_other, copy.deepcopy(optimizers.state_of(of_one)))
    assert of_other.state[other]["exp_avg"].stride() == other.stride() != one.stride()
    step(one, of_one)
    step(other, of_other)
    torch.testing.assert_close(one, other)


def test_a_learning_rate_typed_as_a_whole_number_is_one(monkeypatch):
    class Parameter(torch.nn.Parameter):
        device = torch.device("cuda")

    monkeypatch.setattr(torch, "tensor", lambda value, device: ("on the device", value, type(value)))
    settings = {}
    optimizer = optimizers.Adam(lr=1)
    monkeypatch.setattr(optimizer, "kind", lambda parameters, **given: settings.update(given), raising=False)
    optimizer([Parameter(torch.zeros(1))])
    assert settings["lr"] == ("on the device", 1.0, float)
    assert settings["capturable"]


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "Adamax", "RAdam"])
def test_betas_may_be_whole_numbers(kind):
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = getattr(optimizers, kind)(betas=(0, 0.999))([parameter])
    parameter.grad = torch.ones(3)
    optimizer.step()
    assert optimizer.param_groups[0]["betas"] == (0.0, 0.999)
