"""What a run shows in TensorBoard: all of it under one run name, so that a sweep is sorted and drawn there.

Tags are `<figure>/<split>`: the cards of one term, `elbo/train` and `elbo/validation`, stand side by side in one group,
and CUSTOM SCALARS draws the splits of a term into one chart. What belongs to no split is under `run/`, the final
figures under `final/`.
"""

import io
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from vae_runner.reporting.arrays import Values, as_array
from vae_runner.reporting.flatten import flatten
from vae_runner.reporting.grids import Limits, as_pixels
from vae_runner.reporting.png import png
from vae_runner.run_directory import write_bytes

SECONDS_UNTIL_SEEN = 10
SMALLEST_SPRITE, LARGEST_SPRITE = 32, 64
LARGEST_SPRITES = 4096  # of all sprites together; browsers take twice that, encoding it takes seconds


class TensorBoard:
    """Writes one event file into `directory`, and what the PROJECTOR shows beside it.

    purge_step: where a resumed run continues; everything an earlier process wrote at this step or later is hidden.
    """

    def __init__(self, directory: Path, purge_step: int | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.directory = Path(directory)
        self._writer = SummaryWriter(str(directory), purge_step=purge_step, flush_secs=SECONDS_UNTIL_SEEN)
        self._splits: dict[str, set[str]] = {}

    def scalars(self, step: int, split: str | None, values: Mapping[str, float | None]) -> None:
        """Figures of a split; `split=None`: of the run (learning rate, KL weight, speed). None is left out."""
        for name, value in values.items():
            if value is None:
                continue
            self._writer.add_scalar(f"{name}/{split}" if split else f"run/{name}", value, step)
        if split:
            self._lay_out(split, [name for name, value in values.items() if value is not None])

    def image(self, tag: str, encoded: bytes, step: int) -> None:
        """A picture, of which these are the bytes of a PNG file."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        image = Image.open(io.BytesIO(encoded))
        content = Summary.Image(
            height=image.height,
            width=image.width,
            colorspace=len(image.getbands()),
            encoded_image_string=encoded,
        )
        self._add(Summary(value=[Summary.Value(tag=tag, image=content)]), step)

    def histogram(self, tag: str, values: Values, step: int) -> None:
        """The distribution of some values; those that are not finite are left out."""
        array = as_array(values).reshape(-1).astype(float)
        array = array[np.isfinite(array)]
        if array.size:
            self._writer.add_histogram(tag, array, step, bins="auto", max_bins=50)

    def text(self, tag: str, text: str, step: int = 0, language: str | None = None) -> None:
        """Markdown; with a `language` (`yaml`) the text stays as it is, in a fenced block."""
        self._writer.add_text(tag, f"```{language}\n{text.rstrip()}\n```" if language else text, step)

    def hyperparameters(
        self, config: Mapping[str, Any], figures: Mapping[str, float | None] | None = None, step: int = 0
    ) -> None:
        """Makes the run a row of HPARAMS. At its end, `figures` are written under `final/` and the row is closed.

        config: nested or flat; a list or None is shown as text. No list of columns is written: TensorBoard then takes
        all keys of all runs, and puts those first in which the runs differ.
        """
        from tensorboard.plugins.hparams import metadata
        from tensorboard.plugins.hparams.api_pb2 import Status
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

        start = SessionStartInfo(start_time_secs=time.time())
        for key, value in flatten(config).items():
            if isinstance(value, bool):
                start.hparams[key].bool_value = value
            elif isinstance(value, (int, float)) and math.isfinite(value):
                start.hparams[key].number_value = value
            else:
                start.hparams[key].string_value = value if isinstance(value, str) else json.dumps(value, default=str)
        self._plugin(metadata.SESSION_START_INFO_TAG, HParamsPluginData(version=0, session_start_info=start))
        if figures is None:
            return
        for name, value in figures.items():
            if value is not None:
                self._writer.add_scalar(f"final/{name}", value, step)
        end = SessionEndInfo(status=Status.STATUS_SUCCESS, end_time_secs=time.time())
        self._plugin(metadata.SESSION_END_INFO_TAG, HParamsPluginData(version=0, session_end_info=end))

    def embedding(
        self,
        codes: Values,
        labels: Sequence[Any] | Values | None = None,
        images: Values | None = None,
        step: int = 0,
        *,
        class_names: Sequence[str] | None = None,
        limits: Limits = (0.0, 1.0),
    ) -> None:
        """The codes (N, *latent) in the PROJECTOR, which shows the latest ones.

        labels: (N,) classes or names. images: (N, C, H, W), drawn as the points.
        """
        from google.protobuf import text_format
        from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

        points = as_array(codes).reshape(len(codes), -1)
        config = ProjectorConfig()
        info = config.embeddings.add(tensor_name=f"latents at step {step}", tensor_path="projector/codes.tsv")
        info.tensor_shape.extend(points.shape)
        self._write("projector/codes.tsv", "".join("\t".join(f"{v:.6g}" for v in point) + "\n" for point in points))
        if labels is not None:
            info.metadata_path = "projector/labels.tsv"
            self._write("projector/labels.tsv", "".join(f"{name}\n" for name in _names(labels, class_names)))
        if images is not None:
            sprite, (width, height) = _sprite(as_pixels(images, limits))
            info.sprite.image_path = "projector/sprite.png"
            info.sprite.single_image_dim.extend([width, height])
            write_bytes(self.directory / "projector" / "sprite.png", png(sprite))
        # last: what it names is there by now
        self._write("projector_config.pbtxt", text_format.MessageToString(config))

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _add(self, summary: Any, step: int | None = None) -> None:
        writer = self._writer.file_writer
        assert writer is not None, "closed"
        writer.add_summary(summary, step)

    def _plugin(self, tag: str, content: Any) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata

        data = SummaryMetadata.PluginData(plugin_name="hparams", content=content.SerializeToString())
        self._add(Summary(value=[Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=data))]))

    def _lay_out(self, split: str, names: list[str]) -> None:
        """Tells CUSTOM SCALARS which splits there are of each figure, whenever there is a new one."""
        known = self._splits
        if all(split in known.get(name, ()) for name in names):
            return
        for name in names:
            known.setdefault(name, set()).add(split)
        charts = {name: ["Multiline", [f"{name}/{split}" for split in sorted(known[name])]] for name in sorted(known)}
        self._writer.add_custom_scalars({"train and validation": charts})

    def _write(self, name: str, text: str) -> None:
        write_bytes(self.directory / name, text.encode())


def _names(labels: Sequence[Any] | Values, class_names: Sequence[str] | None) -> list[str]:
    values = as_array(labels).tolist() if isinstance(labels, Tensor | np.ndarray) else list(labels)
    if class_names:
        values = [class_names[v] if isinstance(v, int) and 0 <= v < len(class_names) else v for v in values]
    # a tab or a line break would begin a new column or row
    return [" ".join(str(value).split()) or "-" for value in values]


def _sprite(pixels: np.ndarray) -> tuple[Image.Image, tuple[int, int]]:
    """All images in one square of cells, row by row, small ones enlarged and large ones reduced; and a cell's size."""
    across = math.ceil(math.sqrt(len(pixels)))
    height, width = pixels.shape[1:3]
    longer = max(height, width)
    room = min(LARGEST_SPRITES // across, LARGEST_SPRITE)
    whole = min(math.ceil(SMALLEST_SPRITE / longer), room // longer)
    if whole:
        cells = pixels.repeat(whole, axis=1).repeat(whole, axis=2)
    else:
        size = (max(1, width * room // longer), max(1, height * room // longer))
        reduced = (Image.fromarray(image).resize(size, Image.Resampling.BOX) for image in pixels)
        cells = np.stack([np.asarray(image) for image in reduced])
    height, width = cells.shape[1:3]
    empty = np.zeros((across**2 - len(cells), *cells.shape[1:]), np.uint8)
    rows = np.concatenate([cells, empty]).reshape(across, across, *cells.shape[1:])
    sprite = rows.swapaxes(1, 2).reshape(across * height, across * width, *cells.shape[3:])
    return Image.fromarray(sprite), (width, height)
