"""config -> data, model, objective; and a run read back from its directory.

`config` is always the resolved config as plain containers, as `config.yaml` holds it.
"""

import copy
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vae_runner import config as configs
from vae_runner.allocator import keep_freed_memory
from vae_runner.config.saved import load_saved
from vae_runner.data.data import Data
from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.models.class_latent import ClassLatent
from vae_runner.run_directory import RunDirectory
from vae_runner.training import checkpoint
from vae_runner.training.device import choose_device
from vae_runner.training.experiment import Experiment
from vae_runner.training.trainer import Trainer

Config = dict[str, Any]


def factory(node: Config | None, trusted: bool = True) -> functools.partial[Any] | None:
    """What `_target_` names, its settings bound, waiting for what it is handed; None for none."""
    if not node or node.get("_target_") is None:
        return None
    settings = {key: value for key, value in node.items() if key != "_target_"}
    return functools.partial(configs.resolve_target(node["_target_"], trusted), **settings)


def make(node: Config | None, *handed: Any, trusted: bool = True, **more: Any) -> Any:
    """What the node describes, or None."""
    maker = factory(node, trusted)
    return maker(*handed, **more) if maker else None


@functools.lru_cache(maxsize=2)
def _opened(node: str, missing: bool, device: torch.device) -> Data:
    source = make(json.loads(node))
    source.device = device
    return source.open(missing=missing)


def build_data(config: Config, device: torch.device) -> Data:
    """The data on the device. The last ones read are kept: the jobs of a sweep share them."""
    corruption, condition = factory(config["corruption"]), factory(config["condition"])
    kind: Any = corruption.func if corruption else None
    missing = kind is not None and kind.missing_values
    data = copy.copy(_opened(json.dumps(config["data"], sort_keys=True), missing, device).to(device))
    data.corruption = corruption(data.space) if corruption else None
    data.condition = condition(data.space).complete if condition else None
    return data


def build_model(config: Config, space: Space, trusted: bool = True) -> Any:
    """The model, with initial weights from the global random state.

    Raises UserError where the data's space does not fit what was chosen.
    """
    part: dict[str, Any] = {
        name: factory(config[name], trusted)
        for name in ("model", "condition", "posterior", "prior", "likelihood", "architecture")
    }
    architecture = part["architecture"]()
    model = part["model"](
        space,
        part["condition"],
        architecture,
        part["posterior"],
        part["prior"],
        part["likelihood"],
        latent_dim=config["latent_dim"],
    )
    return ClassLatent(model, architecture) if getattr(model.condition, "inferred", False) else model


def build_experiment(config: Config) -> Experiment:
    """Everything that `config` trains, on its device, the weights as the seed gives them."""
    device = choose_device(config["trainer"]["device"])
    data = build_data(config, device)
    torch.manual_seed(config["seed"])
    model = build_model(config, data.space).to(device)
    trainer = build_trainer(config)
    budget = trainer.budget(len(data.train))
    kl = make(config["kl"], budget.steps_per_epoch, budget.steps).to(device)
    kl.require_levels(model.levels)
    _refuse_what_cannot_act(config, data, model)
    _refuse_precision(config["trainer"]["precision"], device)
    for module in model.modules():
        if hasattr(module, "prepare"):
            module.prepare(data)
    return Experiment(
        config=config,
        data=data,
        model=model,
        objective=make(config["objective"], model, len(data.train)).to(device),
        kl=kl,
        optimizer=make(config["optimizer"]),
        scheduler=make(config["scheduler"]),
        device=device,
    )


def _refuse_what_cannot_act(config: Config, data: Data, model: Any) -> None:
    """Raises UserError for settings that the data leaves nothing to work on."""
    trainer = config["trainer"]
    if not len(data.validation):
        if trainer["early_stopping"] is not None:
            raise UserError(
                "trainer.early_stopping: there is no validation split to watch; give data.validation a size"
            )
        if "patience" in config["scheduler"]:
            raise UserError("scheduler=plateau: there is no validation split to watch; give data.validation a size")
    if trainer["batch_size"] == 1 and any(isinstance(module, torch.nn.BatchNorm1d) for module in model.modules()):
        raise UserError(
            "trainer.batch_size=1: batch normalisation needs at least 2; or architecture.normalisation=layer"
        )


def _refuse_precision(precision: str, device: torch.device) -> None:
    if precision == "tf32" and device.type != "cuda":
        raise UserError(
            f"trainer.precision=tf32: matrix products of NVIDIA GPUs, and this run is on {device.type}: "
            f"type trainer.precision=fp32"
        )


def build_trainer(config: Config) -> Trainer:
    return make(config["trainer"])


def _moved(node: Config, places: Mapping[str, str]) -> Config:
    """The data's settings with its new places.

    Raises UserError where the data is in no such place.
    """
    for key, place in places.items():
        if key not in node:
            own = [f"data.{name}" for name in ("path", "root") if name in node]
            instead = f"it has {' and '.join(own)}" if own else "it is made, not read; leave it out"
            raise UserError(f"data.{key}={place}: the data of this run has no data.{key}; {instead}")
    return {**node, **places}


def _where_it_may_be(node: Config) -> str:
    """What to type about data that is not where the config says; empty where that is not the trouble."""
    path = node.get("path")
    if not path or Path(path).expanduser().exists():
        return ""
    where = "" if Path(path).expanduser().is_absolute() else f" in {Path.cwd()}, where a relative path begins"
    return f"{where}; if the data of this run has moved, type data.path=NEW"


class Run:
    """A run read back: its model on a device, its config, its summary and, when asked for, its data."""

    def __init__(self, directory: Path, config: Config, model: Any, device: torch.device, state: dict[str, Any]):
        self.directory, self.config, self.model, self.device = directory, config, model, device
        self.step, self.epoch = state["step"], state["epoch"]
        self._objective_state, self._examples = state["objective"], state["examples"]

    @classmethod
    def load(
        cls,
        directory: str | Path,
        *,
        device: str = "auto",
        weights: str = "best",
        trust: bool = False,
        data: Mapping[str, str] | None = None,
    ) -> "Run":
        """The run in `directory`, with its `best` or its `last` weights, ready to use.

        A config that names classes outside this library is refused unless `trust`: to load it is to run their code.
        data: where its data is now, as {"path": ...} or {"root": ...}, if it was moved.

        Raises UserError where the directory holds no run, or one that cannot be read.
        """
        files = RunDirectory(directory).require()
        config = load_saved(files.config, trusted=trust)
        config["data"] = _moved(config["data"], data or {})
        path = {"best": files.best, "last": files.last}[weights]
        if not path.is_file():
            raise UserError(f"run={directory}: it has no {weights} checkpoint yet (state: {files.state()})")
        state = checkpoint.load(path)
        chosen = choose_device(device)
        space = Space(**state["space"])
        model = build_model(config, space, trusted=trust)
        checkpoint.restore_weights(model, state, path)
        if chosen.type == "cpu":
            keep_freed_memory()
        return cls(Path(directory), config, model.to(chosen).eval(), chosen, state)

    @functools.cached_property
    def data(self) -> Data:
        """The data the run was trained on, read from where its config says.

        Raises UserError where it is no longer there, or no longer fits the model.
        """
        try:
            data = build_data(self.config, self.device)
        except UserError as error:
            raise UserError(f"{error}{_where_it_may_be(self.config['data'])}") from error
        space = self.model.space
        if data.space.shape != space.shape:
            raise UserError(
                f"run={self.directory}: its data now has examples of shape {data.space.shape}, "
                f"the model was trained on {space.shape}"
            )
        if data.space.vocabulary != space.vocabulary:
            raise UserError(f"run={self.directory}: its text file has changed, and with it the tokens")
        return data

    @property
    def summary(self) -> dict[str, Any]:
        return RunDirectory(self.directory).summary()

    @functools.cached_property
    def objective(self) -> Any:
        objective = make(self.config["objective"], self.model, self._examples)
        objective.load_state_dict(self._objective_state)
        return objective.to(self.device)

    @functools.cached_property
    def kl(self) -> Any:
        """The weight of the KL term at the end of its schedule."""
        kl = make(self.config["kl"], 1, 1).to(self.device)
        kl.finish()
        return kl

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r}, step {self.step}, {self.device})"
