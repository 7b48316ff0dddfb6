"""What TensorBoard reads back from a run."""

import io
import time

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata

from vae_runner.reporting.grids import grid
from vae_runner.reporting.png import png
from vae_runner.reporting.tensorboard import TensorBoard


@pytest.fixture
def board(tmp_path):
    board = TensorBoard(tmp_path / "tensorboard")
    yield board
    board.close()


def read(board):
    board.flush()
    return EventAccumulator(str(board.directory)).Reload()


def points(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_the_splits_of_a_figure_share_a_group(board):
    board.scalars(10, "train", {"elbo": -100.0, "kl": None})
    board.scalars(10, "validation", {"elbo": -101.0})
    board.scalars(10, None, {"learning_rate": 0.5})
    events = read(board)
    assert sorted(events.Tags()["scalars"]) == ["elbo/train", "elbo/validation", "run/learning_rate"]
    assert points(events, "elbo/validation") == [(10, -101.0)]


def test_the_splits_of_a_figure_share_a_chart(board):
    for step in (1, 2):
        board.scalars(step, "train", {"elbo": -100.0, "loss": 1.0})
        board.scalars(step, "validation", {"elbo": -101.0})
    latest = read(board).Tensors("custom_scalars__config__")[-1].tensor_proto.string_val[0]
    charts = layout_pb2.Layout.FromString(latest).category[0].chart
    assert {chart.title: list(chart.multiline.tag) for chart in charts} == {
        "elbo": ["elbo/train", "elbo/validation"],
        "loss": ["loss/train"],
    }


def test_a_picture_is_read_back_to_the_pixel(board):
    picture = grid(torch.rand(4, 3, 8, 8))
    board.image("samples", png(picture), 7)
    (event,) = read(board).Images("samples")
    assert (event.step, event.width, event.height) == (7, *picture.size)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(event.encoded_image_string))), np.asarray(picture))


def test_a_histogram_counts_the_finite_values(board):
    board.histogram("kl_per_unit", torch.tensor([0.0, 1.0, 2.0, float("nan")]), 3)
    board.histogram("nothing", torch.tensor([float("nan")]), 3)
    events = read(board)
    assert events.Tags()["histograms"] == ["kl_per_unit"]
    histogram = events.Histograms("kl_per_unit")[0].histogram_value
    assert (histogram.num, histogram.min, histogram.max, sum(histogram.bucket)) == (3, 0, 2, 3)


def test_a_config_is_shown_as_a_fenced_block(board):
    board.text("config", "kl:\n  weight: 1\n", language="yaml")
    (event,) = read(board).Tensors("config/text_summary")
    assert event.tensor_proto.string_val[0] == b"```yaml\nkl:\n  weight: 1\n```"


def hyperparameters_of(directory):
    """Every run with hyperparameters under a log directory, as the HPARAMS plugin finds them."""
    runs = EventMultiplexer().AddRunsFromDirectory(str(directory)).Reload()
    found = runs.PluginRunToTagToContent(metadata.PLUGIN_NAME)
    assert not any(metadata.EXPERIMENT_TAG in tags for tags in found.values())
    starts = {}
    for run, tags in found.items():
        start = metadata.parse_session_start_info_plugin_data(tags[metadata.SESSION_START_INFO_TAG])
        starts[run] = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    return starts, {run: metadata.SESSION_END_INFO_TAG in tags for run, tags in found.items()}


def test_hyperparameters_and_final_figures_belong_to_the_run_itself(board, tmp_path):
    config = {"seed": 3, "kl": {"weight": 4.0, "capacity": None}, "flag": True, "betas": [0.9, 0.999], "data": "mnist"}
    board.hyperparameters(config)
    board.flush()
    assert hyperparameters_of(tmp_path)[1] == {"tensorboard": False}
    board.hyperparameters(config, {"test/elbo": -100.0, "test/kl": None}, step=50)
    events = read(board)
    starts, ended = hyperparameters_of(tmp_path)
    assert starts == {
        "tensorboard": {
            "seed": 3.0,
            "kl.weight": 4.0,
            "kl.capacity": "null",
            "flag": True,
            "betas": "[0.9, 0.999]",
            "data": "mnist",
        }
    }
    assert starts["tensorboard"]["flag"] is True
    assert ended == {"tensorboard": True}
    assert events.Tags()["scalars"] == ["final/test/elbo"]
    assert points(events, "final/test/elbo") == [(50, -100.0)]


def test_a_resumed_run_hides_what_it_does_again(tmp_path):
    first = TensorBoard(tmp_path)
    for step in (10, 20, 30):
        first.scalars(step, "train", {"loss": float(step)})
        first.image("samples", png(grid(torch.zeros(1, 1, 8, 8))), step)
    first.close()
    time.sleep(1.1)  # files are read in the order of the seconds they were begun in
    second = TensorBoard(tmp_path, purge_step=20)
    second.scalars(20, "train", {"loss": -20.0})
    second.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert points(events, "loss/train") == [(10, 10.0), (20, -20.0)]
    assert [event.step for event in events.Images("samples")] == [10]
