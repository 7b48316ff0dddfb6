"""`vae-run translate run=DIR input=FILE`: from pictures to pictures, several draws for each."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from vae_runner.commands.arguments import call
from vae_runner.commands.runs import (
    Device,
    Overwrite,
    RunPath,
    Seed,
    SplitName,
    Trust,
    Weights,
    described,
    file_name,
    load_run,
    refuse_directory,
    refuse_file,
    save_picture,
    split_of,
    writing,
)
from vae_runner.errors import UserError
from vae_runner.settings import Range

if TYPE_CHECKING:
    from torch import Tensor

    from vae_runner.build import Run

SHOWN = 10  # rows of the picture, at most


def main(args: Sequence[str]) -> int:
    return call(translate, args)


def translate(
    *,
    run: RunPath,
    input: Annotated[str | None, "an image, a folder of images or a .npz; null: examples of the run's own data"] = None,
    input_is: Annotated[
        Literal["condition", "target"], "a target is made a condition first, as in training"
    ] = "condition",
    split: SplitName = "test",
    n: Annotated[int, Range(1, 1000), "draws for each"] = 5,
    out: Annotated[str | None, "a new .npz (x and c), or a new folder of images, for all of them"] = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    temperature: Annotated[float, Range(0, 1000, open_low=True), "scales the prior's standard deviation"] = 1.0,
    draw: Annotated[Literal["mean", "sample"], "the mean of p(x|z,c), or a draw from it"] = "mean",
    weights: Weights = "best",
    device: Device = "auto",
    trust: Trust = False,
) -> int:
    """What a model that was trained with condition=image makes of pictures, several times each.

    A picture goes into the run: of the first ten, the condition, the target where it is known, and the draws. A .npz
    holds conditions as `c`, targets as `x`, or one array.
    """
    file = None if out is None else Path(out).expanduser()
    if file is not None and file.suffix == ".npz":
        refuse_file(file, overwrite)
    elif file is not None:
        _refuse_folder(file, overwrite)
    loaded = load_run(run, device=device, weights=weights, trust=trust)
    _refuse_other_models(loaded)
    if file is not None and file.suffix != ".npz" and loaded.model.space.support == "real":
        raise UserError(f"out={file}: values without bounds are no pixels of an image file; type out={file}.npz")

    import torch

    from vae_runner.evaluation.evaluate import Preserved
    from vae_runner.evaluation.sampling import sample_blocks
    from vae_runner.reporting import pictures, translations

    with Preserved(loaded.model, loaded.device, seed):
        c, target, names = _examples(loaded, split, seed) if input is None else _inputs(loaded, input, input_is)
    shown = min(len(c), SHOWN)
    asked = c if file else c[:shown]
    with Preserved(loaded.model, loaded.device, seed):
        each = asked.to(loaded.device).repeat_interleave(n, 0)
        blocks = sample_blocks(loaded.model, len(each), each, temperature=temperature, draw=draw)
        draws = itertools.chain.from_iterable(x for _, x in blocks)
        first = list(itertools.islice(draws, shown * n))
        if file:
            _write(file, itertools.chain(first, draws), c, names, n)
            print(file)
    x = torch.stack(first).unflatten(0, (shown, n))
    image = translations.draw_translations(
        c[:shown],
        x,
        None if target is None else target[:shown],
        row_labels=names[:shown],
        title=described(loaded, weights),
        limits=pictures.limits_of(loaded.model.space, x),
    )
    settings: dict[str, Any] = {"input": None if input is None else Path(input).name, "input_is": input_is}
    settings |= {"split": split, "n": n, "seed": seed, "temperature": temperature, "draw": draw, "weights": weights}
    save_picture(loaded, f"translations/{file_name(translate, **settings)}", image)
    if len(c) > shown and not file:
        print(f"a picture shows the first {shown} of {len(c)}; out=FILE.npz or out=FOLDER keeps all")
    return 0


def _refuse_other_models(run: "Run") -> None:
    condition, where = run.model.condition, f"run={run.directory}"
    if condition is None:
        raise UserError(f"{where}: its model knows no conditions; translate needs one trained with condition=image")
    if not hasattr(condition, "visible_of"):
        raise UserError(
            f"{where}: its model is not conditioned on pictures; type vae-run sample {where} label=..., "
            f"or train one with condition=image"
        )
    if not run.model.space.image:
        raise UserError(f"{where}: its model makes no pictures; type vae-run sample {where} label=FILE")


def _examples(run: "Run", split: str, seed: int) -> "tuple[Tensor, Tensor | None, list[str]]":
    """Conditions and targets of examples of the run's data, chosen by the seed, and their numbers."""
    import torch

    examples = split_of(run, split)
    chosen = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))[:SHOWN]
    batch = run.data.batch(examples, chosen.to(run.device))
    assert batch.c is not None
    return batch.c.cpu(), batch.x.cpu(), [str(number) for number in chosen.tolist()]


def _inputs(run: "Run", text: str, kind: str) -> "tuple[Tensor, Tensor | None, list[str]]":
    """The conditions that files hold, their targets where these were given, and their names.

    Raises UserError where they hold none, or none of the shape that the model knows.
    """
    import torch

    condition = run.model.condition
    if kind == "target" and condition.transform is None:
        raise UserError("input_is=target: this model was trained on pairs, so nothing turns a target into a condition")
    shape = run.model.space.shape if kind == "target" else condition.shape
    path = Path(text).expanduser()
    if path.suffix.lower() == ".npz":
        given = _array(path, "x" if kind == "target" else "c", shape)
        names = [str(i) for i in range(len(given))]
    else:
        files = _images(path)
        given, names = torch.cat([condition.read(file, shape) for file in files]), [file.stem for file in files]
    return (condition.of(given), given, names) if kind == "target" else (condition.visible_of(given), None, names)


def _images(path: Path) -> list[Path]:
    from vae_runner.data.image_files import EXTENSIONS

    if not path.exists():
        raise UserError(f"input={path}: there is no such file or folder")
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    files = [file for file in files if file.name.lower().endswith(EXTENSIONS)]
    if not files:
        raise UserError(f"input={path}: an image, a folder of images or a .npz is needed ({', '.join(EXTENSIONS)})")
    return files


def _array(path: Path, name: str, shape: tuple[int, ...]) -> "Tensor":
    import torch

    from vae_runner.data.array_files import read_arrays

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


def _refuse_folder(folder: Path, overwrite: bool) -> None:
    if folder.is_file():
        raise UserError(f"out={folder}: is a file; type a .npz, or a folder")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise UserError(f"out={folder}: is there already, with files in it; type another name, or overwrite=true")
    refuse_directory(folder if folder.is_dir() else folder.parent, f"out={folder}")


def _write(file: Path, draws: "Iterator[Tensor]", c: "Tensor", names: list[str], n: int) -> None:
    """Writes the draws as they are made: n for each of the conditions c."""
    from vae_runner.reporting import grids, png
    from vae_runner.reporting.npz import write_npz

    with writing(file, "type another place"):
        if file.suffix == ".npz":
            first = next(draws)
            rows = (x.numpy() for x in itertools.chain([first], draws))
            write_npz(file, "x", (len(c), n, *first.shape), rows, lambda: {"c": c.numpy()})
            return
        from PIL import Image

        file.mkdir(exist_ok=True)
        unique = names if len(set(names)) == len(names) else [f"{i}_{name}" for i, name in enumerate(names)]
        for name, draw in itertools.product(unique, range(1, n + 1)):
            png.save(file / f"{name}_{draw}.png", Image.fromarray(grids.as_pixels(next(draws)[None])[0]))
