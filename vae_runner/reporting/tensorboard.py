"""What a run shows in TensorBoard: all of it under one run name, so that a sweep is sorted and drawn there.

Tags are `<figure>/<split>`: the cards of one term, `elbo/train` and `elbo/validation`, stand side by side in one group,
and CUSTOM SCALARS draws the splits of a term into one chart. What belongs to no split is under `run/`, the final
figures under `final/`.
"""

import io
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vae_runner.reporting.arrays import Values, as_array
from vae_runner.reporting.flatten import flatten
from vae_runner.run_directory import write_bytes

SECONDS_UNTIL_SEEN = 10


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

    def projector(self, files: Mapping[str, bytes]) -> None:
        """Has PROJECTOR show the files of `projector_files`, instead of what it showed before."""
        for name, content in files.items():
            write_bytes(self.directory / name, content)

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
