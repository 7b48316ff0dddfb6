"""What figures of sets of examples ask of their inputs, said in one line where it is not met."""

from torch import Tensor

from vae_runner.errors import UserError


def exact(x: Tensor) -> Tensor:
    """x in double precision: on its own device, or on the CPU where that device has none."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def finite(x: Tensor, what: str) -> Tensor:
    """x, of which no value is NaN or infinite."""
    if x.is_floating_point() and not bool(x.isfinite().all()):
        raise UserError(f"{what}: some values are NaN or infinite")
    return x


def vectors(x: Tensor, what: str, least: int = 1) -> Tensor:
    """x (N, D), finite, with N >= least; of examples of another shape, flattened."""
    if x.dim() < 2 or (len(x) > 0 and x[0].numel() == 0):
        raise UserError(f"{what}: examples are rows of a matrix (N, D), and the shape is {tuple(x.shape)}")
    if len(x) < least:
        raise UserError(f"{what}: {len(x)} examples, and at least {least} are needed")
    return finite(x.flatten(1), what)


def pair(x: Tensor, y: Tensor, of_x: str, of_y: str, least: int = 1) -> tuple[Tensor, Tensor]:
    """Two sets of examples (N, D) and (M, D) in one space."""
    x, y = vectors(x, of_x, least), vectors(y, of_y, least)
    if x.shape[1] != y.shape[1]:
        raise UserError(f"{of_x} have {x.shape[1]} dimensions, {of_y} {y.shape[1]}: they cannot be compared")
    return x, y


def images(x: Tensor, what: str, side: int) -> Tensor:
    """x (N, C, H, W), finite, N >= 1, both sides at least `side`."""
    if x.dim() != 4 or len(x) == 0 or min(x.shape[2:]) < side or x.shape[1] == 0:
        raise UserError(f"{what}: images (N, C, H, W) with sides of at least {side} are needed, not {tuple(x.shape)}")
    return finite(x, what)


def same_shape(x: Tensor, y: Tensor, what: str) -> None:
    if x.shape != y.shape:
        raise UserError(f"{what}: the shapes {tuple(x.shape)} and {tuple(y.shape)} differ")
