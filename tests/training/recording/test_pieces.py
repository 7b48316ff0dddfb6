"""Fused updates of pieces are those of the whole tensors."""

import pytest
import torch

from vae_runner.training.recording.pieces import AT_ONCE, LEAST, InPieces, in_pieces, size_for

LAST = torch.channels_last


def trained(kind, pieces, **settings):
    """What parameters are after steps, and the state of their optimizer."""
    torch.manual_seed(0)
    parameters = [torch.randn(shape) for shape in ((300, 200), (5,), (50, 60, 3, 3), (40, 30))]
    parameters[2] = parameters[2].to(memory_format=LAST)
    parameters[3] = parameters[3][:, ::2]  # which has gaps
    gradients = [torch.empty_like(parameter) for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_()
    optimizer = kind(parameters, lr=torch.tensor(0.1), fused=True, **settings)
    for _ in range(3):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.normal_()
        if pieces:
            with InPieces():
                optimizer.step()
        else:
            optimizer.step()
    moments = [tensor for state in optimizer.state.values() for tensor in state.values() if tensor is not None]
    return [*(parameter.detach() for parameter in parameters), *moments]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (torch.optim.Adam, {}),
        (torch.optim.AdamW, {"weight_decay": 0.1}),
        (torch.optim.SGD, {}),
        (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_pieces_move_as_the_whole_does(kind, settings):
    for one, other in zip(trained(kind, False, **settings), trained(kind, True, **settings), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def test_an_update_is_of_as_many_pieces_as_one_kernel_takes():
    parameters = [torch.zeros(400, 784), torch.zeros(400), torch.zeros(784, 400), torch.zeros(784)]
    size = size_for(parameters)
    pieces, steps = in_pieces([parameters, [torch.tensor(1.0)] * 4], size)
    assert 30 <= len(pieces) <= AT_ONCE
    assert len(steps) == len(pieces)
    assert sum(piece.numel() for piece in pieces) == sum(parameter.numel() for parameter in parameters)
    for piece in pieces:
        piece.add_(1)
    assert all(bool((parameter == 1).all()) for parameter in parameters)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(LEAST * AT_ONCE,)], LEAST),
        ([(10,)] * AT_ONCE, LEAST),
        ([(10,)] * (AT_ONCE + 1), None),
        ([(3000, 1000)], None),
    ],
)
def test_what_keeps_a_gpu_busy_is_left_whole(shapes, expected):
    assert size_for([torch.zeros(shape) for shape in shapes]) == expected
