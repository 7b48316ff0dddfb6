"""The pictures that are translated: of the run's own data, or in files."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vae_runner.commands.runs import Opened
from vae_runner.data.array_files import read_arrays
from vae_runner.data.image_files import EXTENSIONS
from vae_runner.errors import UserError

Pictures = tuple[Tensor, Tensor | None, list[str]]  # conditions, targets where they are known, names


def of_examples(opened: Opened, split: str, n: int) -> Pictures:
    """Conditions (n, ...) and targets of examples of the run's data, chosen by the seed, and their numbers.

    Not a number is what is missing.
    """
    examples = opened.split(split)
    chosen = opened.chosen(examples, n)
    batch = opened.run.data.batch(examples, chosen)
    assert batch.c is not None
    x = batch.x if batch.missing is None else batch.x.masked_fill(batch.missing, float("nan"))
    return batch.c.cpu(), x.cpu(), [str(number) for number in chosen.tolist()]


def of_files(model: Any, text: str, kind: str) -> Pictures:
    """The conditions (N, ...) that files hold, their targets where these were given, and their names.

    text: an image, a folder of images, or a .npz. kind: `condition` or `target`, what the files hold.

    Raises UserError where they hold none, or none of the shape that the model knows.
    """
    condition = model.condition
    if kind == "target" and condition.transform is None:
        raise UserError("input_is=target: this model was trained on pairs, so nothing turns a target into a condition")
    shape = model.space.shape if kind == "target" else condition.shape
    path = Path(text).expanduser()
    if path.suffix.lower() == ".npz":
        given = _array(path, "x" if kind == "target" else "c", shape)
        names = [str(i) for i in range(len(given))]
    else:
        files = _images(path)
        given, names = torch.cat([condition.read(file, shape) for file in files]), [file.stem for file in files]
        if note := condition.resizing(files, shape):
            print(f"input={text}: {note}")
    return (condition.of(given), given, names) if kind == "target" else (condition.visible_of(given), None, names)


def _images(path: Path) -> list[Path]:
    if not path.exists():
        raise UserError(f"input={path}: there is no such file or folder")
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    files = [file for file in files if file.name.lower().endswith(EXTENSIONS)]
    if not files:
        raise UserError(f"input={path}: an image, a folder of images or a .npz is needed ({', '.join(EXTENSIONS)})")
    return files


def _array(path: Path, name: str, shape: tuple[int, ...]) -> Tensor:
    origin = f"input={path}"
    arrays = read_arrays(path, origin, None, ())
    name = name if name in arrays or len(arrays) != 1 else next(iter(arrays))
    if name not in arrays:
        raise UserError(f"{origin}: holds {', '.join(arrays) or 'nothing'}; call the pictures {name}")
    values = torch.from_numpy(arrays[name])
    values = values / 255 if values.dtype == torch.uint8 else values.float()
    if tuple(values.shape[1:]) != shape and (1, *values.shape[1:]) == shape:
        values = values.unsqueeze(1)
    if tuple(values.shape[1:]) != shape and values.ndim == 4:
        values = values.permute(0, 3, 1, 2)
    if tuple(values.shape[1:]) != shape or not len(values):
        raise UserError(
            f"{origin}: {name} has shape {arrays[name].shape}; this model needs (N, {', '.join(map(str, shape))})"
        )
    return values
