"""Composing, checking and every message, against a small tree of its own; then the real tree, option by option."""

import inspect
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from tests.helpers import with_companions
from vae_runner.config import (
    Tree,
    apply_overrides,
    check,
    choices_of,
    compose,
    configs_directory,
    nearest,
    resolve_target,
    resolved,
    settings_of,
    sweep_jobs,
)
from vae_runner.config.names import keys_of, nearest_key
from vae_runner.config.overrides import deferred_to_jobs
from vae_runner.config.unknown import settings_in, unknown_key
from vae_runner.config.values import complaint
from vae_runner.errors import UserError
from vae_runner.settings import Form, Range

# --- small parts, for a tree that only the tests have


class Digits:
    provides: ClassVar = {"labels"}

    def __init__(
        self, *, limit: Annotated[int, Range(1)] | None = None, binarize: Literal["none", "stochastic"] = "none"
    ):
        pass


class Arrays(Digits):
    provides: ClassVar[set[str]] = set()

    def __init__(self, *, path: str, **common: Any):
        super().__init__(**common)


class Constant:
    def __init__(self, steps: int, *, weight: Annotated[float, Range(0)] | list[Annotated[float, Range(0)]] = 1.0):
        pass

    @classmethod
    def needs(cls, settings: dict[str, Any]) -> dict[str, str]:
        return {} if settings["weight"] == 1 else {"posterior.density": "a code without density has no KL to weigh"}


class Linear(Constant):
    def __init__(self, steps: int, *, length: Annotated[int, Range(1)] = 3, **common: Any):
        super().__init__(steps, **common)


class Gaussian:
    provides: ClassVar = {"density"}


class Delta:
    provides: ClassVar = {"deterministic"}
    requires: ClassVar = {"prior.fitted": "nothing says where the codes lie: type prior=mixture"}


class Normal:
    provides: ClassVar = {"density"}


class Mixture:
    provides: ClassVar = {"density", "fitted"}

    def __init__(self, *, components: Annotated[int, Range(1)] = 10):
        pass


class Adam:
    def __init__(
        self,
        *,
        lr: Annotated[float, Range(0, 1000, open_low=True)] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        fused: bool = False,
        parts: list[Any] | None = None,
    ):
        pass


class NotInTheTree:
    def __init__(self, *, size: "Annotated[int, Range(1)]" = 1):
        pass


HERE = __name__
FILES = {
    "train": """\
        defaults:
          - _self_
          - data: digits     # the examples
          - kl: constant     # the weight of the KL term
          - posterior: gaussian
          - prior: normal
          - optimizer: adam
          - scheduler: none
          - variant: vae     # a recipe
          - experiment: null
        seed: 0
        latent_dim: 20
        resume: null
        hydra:
          run:
            dir: runs/${now:%H}
    """,
    "data/digits": f"# small\n_target_: {HERE}.Digits\nlimit: null\nbinarize: none\n",
    "data/arrays": f"# yours\n_target_: {HERE}.Arrays\npath: ???\nlimit: null\nbinarize: none\n",
    "kl/constant": f"_target_: {HERE}.Constant\nweight: 1.0\n",
    "kl/linear": f"_target_: {HERE}.Linear\nweight: 1.0\nlength: 3\n",
    "posterior/gaussian": f"_target_: {HERE}.Gaussian\n",
    "posterior/delta": f"_target_: {HERE}.Delta\n",
    "prior/normal": f"_target_: {HERE}.Normal\n",
    "prior/mixture": f"_target_: {HERE}.Mixture\ncomponents: 10\n",
    "optimizer/adam": f"_target_: {HERE}.Adam\nlr: 1e-3\nbetas: [0.9, 0.999]\nfused: false\nparts: null\n",
    "scheduler/none": "_target_: null\n",
    "variant/vae": "# @package _global_\n# the default\n",
    "variant/beta_vae": "# @package _global_\n# a heavier KL\nkl:\n  weight: 4.0\n",
    "variant/slow": "# @package _global_\n# a warm-up\ndefaults:\n  - override /kl: linear\n",
    "variant/ae": "# @package _global_\ndefaults:\n  - override /posterior: delta\n  - override /prior: mixture\n",
    "experiment/both": "# @package _global_\ndefaults:\n  - override /variant: [beta_vae, slow]\nlatent_dim: 5\n",
    "experiment/narrow": "# @package _global_\ndefaults:\n  - override /variant: beta_vae\nkl:\n  weight: 2\n",
}


def write(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = directory / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(inspect.cleandoc(text) + "\n" if name == "train" else text, encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("configs"), FILES)


def message(tree: Path, *overrides: str, config_dir: Path | None = None) -> str:
    with pytest.raises(UserError) as caught:
        check(compose(overrides, config_dir, tree))
    return str(caught.value)


# --- composing


def test_the_default_composes_and_passes(tree: Path) -> None:
    config = compose([], primary=tree)
    check(config)
    assert resolved(config)["kl"] == {"_target_": f"{HERE}.Constant", "weight": 1.0}
    assert choices_of(config) == {
        **{"data": "digits", "kl": "constant", "posterior": "gaussian", "prior": "normal", "optimizer": "adam"},
        **{"scheduler": "none", "variant": "vae", "experiment": None},
    }


@pytest.mark.parametrize(
    ("overrides", "key", "value"),
    [
        (["variant=beta_vae"], "kl.weight", 4.0),
        (["variant=[beta_vae,slow]"], "kl.weight", 4.0),
        (["variant=[beta_vae,slow]"], "kl.length", 3),
        (["variant=beta_vae", "kl=linear"], "kl.weight", 4.0),
        (["experiment=narrow"], "kl.weight", 2),
        (["experiment=narrow", "kl.weight=3"], "kl.weight", 3),
        (["experiment=narrow", "variant=slow"], "kl.length", 3),
        (["experiment=both"], "kl.weight", 4.0),
    ],
)
def test_the_command_line_wins_over_the_experiment_over_the_variant(tree, overrides, key, value) -> None:
    assert OmegaConf.select(compose(overrides, primary=tree), key) == value


@pytest.mark.parametrize(
    ("override", "variant"),
    [("variant=[beta_vae,slow]", ["beta_vae", "slow"]), ("experiment=both", ["beta_vae", "slow"]), ("~variant", [])],
)
def test_a_list_of_variants_is_remembered_as_a_choice(tree, override, variant) -> None:
    assert choices_of(compose([override], primary=tree))["variant"] == variant


@pytest.mark.parametrize("recipes", ["[ae,warm]", "[warm,ae]"])
def test_recipes_that_choose_different_options_of_a_group_are_refused_unless_someone_decides(tree, tmp_path, recipes):
    body = "# @package _global_\ndefaults:\n  - override /prior: {}\n"
    own = write(tmp_path, {"variant/warm": body.format("flow"), "prior/flow": FILES["prior/normal"]})
    told = message(tree, f"variant={recipes}", config_dir=own)
    assert told.startswith(f"variant={recipes}: ")
    assert "ae chooses prior=mixture" in told
    assert "warm chooses prior=flow" in told
    decided = compose([f"variant={recipes}", "prior=mixture"], own, tree)
    check(decided)
    assert choices_of(decided)["prior"] == "mixture"


def test_recipes_that_choose_the_same_or_the_default_go_together(tree, tmp_path):
    body = "# @package _global_\ndefaults:\n  - override /kl: {}\n"
    own = write(tmp_path, {"variant/same": body.format("linear"), "variant/plain": body.format("constant")})
    check(compose(["variant=[slow,same]"], own, tree))
    check(compose(["variant=[plain,slow]"], own, tree))


def test_a_value_may_refer_to_another_and_to_hydra(tree: Path) -> None:
    config = compose(["kl.weight=${latent_dim}", "resume=${hydra:runtime.choices.data}"], primary=tree)
    check(config)
    assert resolved(config)["kl"]["weight"] == 20
    assert resolved(config)["resume"] == "digits"


def test_options_of_the_users_own_are_found_in_a_config_dir_and_in_a_searchpath(tree: Path, tmp_path: Path) -> None:
    write(tmp_path, {"variant/mine": "# @package _global_\nkl:\n  weight: 7\n"})
    assert compose(["variant=mine"], tmp_path, tree).kl.weight == 7
    assert compose([f"hydra.searchpath=[file://{tmp_path}]", "variant=mine"], primary=tree).kl.weight == 7


def test_a_mistyped_key_is_told_beside_an_option_from_a_searchpath(tree: Path, tmp_path: Path) -> None:
    write(tmp_path, {"variant/mine": "# @package _global_\nkl:\n  weight: 7\n"})
    told = message(tree, f"hydra.searchpath=[file://{tmp_path}]", "variant=mine", "kl.wieght=3")
    assert told == "kl.wieght=3: kl=constant has no wieght; did you mean kl.weight=3?"


# --- mistakes on the command line

MISTAKES = {
    # groups and options
    "dataset=digits": "dataset=digits: there is no group dataset; did you mean data=digits?",
    "dataset=digit": "dataset=digit: there is no group dataset; did you mean data=digits?",
    "datas=7": "datas=7: there is no setting datas; did you mean the group data? choose one of arrays, digits",
    "variant=3": "variant=3: there is no variant 3; choose one of ae, beta_vae, slow, vae",
    "variant=beta-vae": "variant=beta-vae: there is no variant beta-vae; did you mean variant=beta_vae?",
    "variant=[vae,sloww]": "variant=[vae,sloww]: there is no variant sloww; did you mean variant=slow?",
    "variant=digits": "variant=digits: there is no variant digits; did you mean data=digits?",
    "data=[digits,arrays]": "data=[digits,arrays]: data takes one option; to run each, type -m data=digits,arrays",
    "data=null": "data=null: there is no data null; choose one of arrays, digits",
    "scheduler=null": "scheduler=null: there is no scheduler null; did you mean scheduler=none?",
    "variant=null": "variant=null: to go without, type ~variant",
    "experiment=null": "experiment=null: to go without, leave it out",
    "kl={weight:3}": "kl={weight:3}: kl takes the name of an option; its settings are given as kl.weight=3",
    "+data=arrays": "+data=arrays: data is there already; type data=arrays",
    "++data=arrays": "++data=arrays: data is there already; type data=arrays",
    "~data": "~data: a run needs its data; choose one of arrays, digits",
    "~scheduler": "~scheduler: a run needs its scheduler; type scheduler=none",
    "data@other=digits": "data@other=digits: an option cannot be put elsewhere; type data=...",
    "data/x=3": "data/x=3: there is no group data/x; choose one of data, kl, posterior, prior, optimizer, scheduler, "
    "variant, experiment",
    "trainr.lr=3": "trainr.lr=3: there is no setting trainr.lr; did you mean optimizer.lr=3?",
    "optimiser.betas=3": "optimiser.betas=3: there is no group optimiser; did you mean optimizer.betas=3?",
    # keys
    "lr=1e-3": "lr=1e-3: there is no setting lr; did you mean optimizer.lr=1e-3?",
    "beta=4": "beta=4: there is no setting beta; did you mean kl.weight=4?",
    "latent_dims=4": "latent_dims=4: there is no setting latent_dims; did you mean latent_dim=4?",
    "kl.wieght=4": "kl.wieght=4: kl=constant has no wieght; did you mean kl.weight=4?",
    "+kl.wieght=4": "+kl.wieght=4: kl=constant has no wieght; did you mean kl.weight=4?",
    "++kl.wieght=4": "++kl.wieght=4: kl=constant has no wieght; did you mean kl.weight=4?",
    "~kl.wieght": "~kl.wieght: kl=constant has no wieght; did you mean kl.weight?",
    "kl.length=4": "kl.length=4: kl=constant has no length; kl=linear has it",
    "prior.componets=3": "prior.componets=3: prior=normal has no componets; prior=mixture has components",
    "posterior.flow=3": "posterior.flow=3: posterior=gaussian has no flow; it has no settings",
    "scheduler.gamma=3": "scheduler.gamma=3: scheduler=none has no gamma; it has no settings",
    "+scheduler.gamma=3": "+scheduler.gamma=3: scheduler=none has no gamma; it has no settings",
    "kl.weight.x=3": "kl.weight.x=3: kl=constant has no weight.x; did you mean kl.weight=3?",
    "+seed=3": "+seed=3: seed is there already; type seed=3",
    "~seed": "seed: missing, and a run needs it: type seed=...",
    "~seed=4": "~seed=4: seed has another value; type ~seed",
    "hydra.run.dirr=x": "hydra.run.dirr=x: Hydra has no hydra.run.dirr; did you mean hydra.run.dir?",
    # values
    "seed=-1": "seed=-1: must be from 0 to 4294967295",
    "seed=1.5": "seed=1.5: must be a whole number",
    "seed=1e3": "seed=1e3: must be a whole number; type 1000",
    "seed=true": "seed=true: must be a whole number from 0 to 4294967295, not true or false",
    "seed=null": "seed=null: must be a whole number from 0 to 4294967295",
    "seed=": "seed=: must be a whole number from 0 to 4294967295, and nothing is given",
    "latent_dim=[3]": "latent_dim=[3]: must be a whole number from 1 to 65536",
    "latent_dim=0": "latent_dim=0: must be from 1 to 65536",
    "resume=3": "resume=3: must be text: quote it twice, '\"3\"' (or null)",
    "data.limit=0": "data.limit=0: must be 1 or more",
    "data.limit=many": "data.limit=many: must be a whole number 1 or more, and 'many' is text",
    "data.binarize=stochstic": "data.binarize=stochstic: must be one of none, stochastic; did you mean stochastic?",
    "data.binarize=null": "data.binarize=null: must be one of none, stochastic",
    "optimizer.lr=0.00025d": "optimizer.lr=0.00025d: must be a number above 0 and at most 1000, "
    "and '0.00025d' is text; "
    "did you mean 0.00025?",
    "optimizer.lr=nan": "optimizer.lr=nan: must be a number above 0 and at most 1000, and finite",
    "optimizer.lr=0": "optimizer.lr=0: must be above 0 and at most 1000",
    "optimizer.fused=1": "optimizer.fused=1: must be true or false",
    "optimizer.betas=[0.9]": "optimizer.betas=[0.9]: must be a list of 2: a number, a number, and 1 were given",
    "optimizer.betas=[0.9,x]": "optimizer.betas=[0.9,x]: its item x must be a number, and 'x' is text",
    "optimizer.betas=1": "optimizer.betas=1: must be a list of 2: a number, a number; type it in brackets, [1,1]",
    "kl.weight=-1": "kl.weight=-1: must be 0 or more",
    "kl.weight=inf": "kl.weight=inf: must be a number 0 or more, and finite",
    "kl.weight=[1,-1]": "kl.weight=[1,-1]: its item -1 must be 0 or more",
    "kl.weight=null": "kl.weight=null: must be a number 0 or more or a list of (a number 0 or more)",
    "data=arrays": "data.path: missing, and data=arrays needs it: type data.path=...",
    # interpolations
    "kl.weight=${nope}": "kl.weight: ${nope} leads nowhere: there is no nope",
    "kl.weight=${nope:1}": "kl.weight: ${nope:...} is unknown: there is no resolver nope",
    "kl.weight=${kl.weight}": "kl.weight: Recursive interpolation detected",
    "hydra.run.dir=${nope}": "hydra.run.dir: ${nope} leads nowhere: there is no nope",
    # several values
    "kl.weight=1,4": "kl.weight=1,4: several values; add -m to run each, or type kl.weight=[1,4] for a list",
    "variant=ae,vae": "variant=ae,vae: several values; add -m to run each, or combine them: variant=[ae,vae]",
    "data=digits,arrays": "data=digits,arrays: several values; add -m to run each",
    "seed=range(3)": "seed=range(3): several values; add -m to run each",
    # what cannot be read
    "lr": "lr: an override is key=value; did you mean optimizer.lr=...?",
    "digits": "digits: an override is key=value; did you mean data=digits?",
    "variant": "variant: an override is key=value; did you mean variant=ae?",
    "=3": "=3: an override is key=value, without spaces around the =",
    "seed=[1": "seed=[1: a ] is missing",
    "seed=b=c[": "seed=b=c[: the value cannot be read; if it is text, type it in quotes: 'seed=\"b=c[\"'",
    "seed=int(foo)": "seed=int(foo): ValueError while evaluating 'int(foo)': "
    "invalid literal for int() with base 10: 'foo'",
    # targets
    f"kl._target_={HERE}.Constnt": f"kl._target_={HERE}.Constnt: {HERE} has no class Constnt; "
    + "did you mean Constant?",
    "kl._target_=os.system": "kl._target_=os.system: os has no class system",
    "kl._target_=no_such.Thing": "kl._target_=no_such.Thing: there is no module no_such: is it installed, "
    "or its folder on PYTHONPATH?",
    "kl._target_=3": "kl._target_=3: must name a class, as in vae_runner.models.VAE",
    # one part against another
    "posterior=delta": "posterior=delta with prior=normal: nothing says where the codes lie: type prior=mixture",
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_mistake_on_the_command_line_is_told_in_one_line(tree: Path, override: str) -> None:
    assert message(tree, override) == MISTAKES[override]


def test_a_mistaken_option_of_hydras_own_is_told_with_those_it_has(tree: Path) -> None:
    assert message(tree, "hydra/launcher=joblibb").startswith(
        "hydra/launcher/joblibb: did you mean joblib? Hydra has basic"
    )


def test_what_one_setting_needs_of_another_part_is_told(tree: Path) -> None:
    check(compose(["variant=ae"], primary=tree))
    told = message(tree, "variant=[ae,beta_vae]")
    assert told == "kl=constant with posterior=delta: a code without density has no KL to weigh"


def test_each_of_several_mistakes_has_its_line(tree: Path) -> None:
    told = message(tree, "seed=-1", "kl.weight=-1", "+optimizer.lrr=3").splitlines()
    assert [line.partition(":")[0] for line in told] == ["seed=-1", "kl.weight=-1", "+optimizer.lrr=3"]


def test_parts_within_parts_are_checked_too(tree: Path) -> None:
    assert "parts.0.size=0: must be 1 or more" in message(
        tree, f"optimizer.parts=[{{_target_:{HERE}.NotInTheTree,size:0}}]"
    )


def test_what_is_handed_down_from_the_top_is_given_there_alone(tree: Path) -> None:
    told = message(tree, "+prior.latent_dim=3")
    assert told == "+prior.latent_dim=3: prior=normal has no latent_dim; did you mean latent_dim=3?"


# --- mistakes in files: each names its file and line

OWN_FILES = {
    "kl.wieght=4: kl=constant has no wieght; did you mean kl.weight=4? (variant/own.yaml, line 4)": (
        "variant/own",
        "# @package _global_\nkl:\n  weight: 1\n  wieght: 4\n",
    ),
    "kl.weight=-4: must be 0 or more (variant/own.yaml, line 3)": (
        "variant/own",
        "# @package _global_\nkl:\n  weight: -4\n",
    ),
    "kl.weight=4: a key with dots does not nest inside a file; write kl: {weight: 4} (variant/own.yaml, line 2)": (
        "variant/own",
        "# @package _global_\nkl.weight: 4\n",
    ),
    "variant: its file must start with the line `# @package _global_` (variant/own.yaml)": (
        "variant/own",
        "# a comment first\n# @package _global_\nkl:\n  weight: 4\n",
    ),
    "variant: its file must hold `key: value` lines (variant/own.yaml)": ("variant/own", "- 1\n"),
    "# @package _global_ x: must be `# @package _global_` (variant/own.yaml, line 1)": (
        "variant/own",
        "# @package _global_ x\n",
    ),
    "kl=4: must be a mapping with a _target_ (variant/own.yaml, line 2)": (
        "variant/own",
        "# @package _global_\nkl: 4\n",
    ),
    "lr=4: there is no setting lr; did you mean optimizer.lr=4? (experiment/own.yaml, line 2)": (
        "experiment/own",
        "# @package _global_\nlr: 4\n",
    ),
    "kl/linera: a defaults list names it, and it does not exist; did you mean linear? (variant/own.yaml, line 3)": (
        "variant/own",
        "# @package _global_\ndefaults:\n  - override /kl: linera\n",
    ),
    "dataset: a defaults list overrides it, and it is no group; did you mean data? (variant/own.yaml, line 3)": (
        "variant/own",
        "# @package _global_\ndefaults:\n  - override /dataset: digits\n",
    ),
    "kl is chosen twice: in the defaults list, write `override /kl: linear` (variant/own.yaml, line 3)": (
        "variant/own",
        "# @package _global_\ndefaults:\n  - /kl: linear\n",
    ),
    "kl.weight: ${nope} leads nowhere: there is no nope (variant/own.yaml, line 3)": (
        "variant/own",
        "# @package _global_\nkl:\n  weight: ${nope}\n",
    ),
    "${nope: cannot be read as an interpolation: a } is missing (variant/own.yaml, line 3)": (
        "variant/own",
        "# @package _global_\nkl:\n  weight: ${nope\n",
    ),
    "not YAML: expected ',' or ']', but got '<stream end>' (variant/own.yaml, line 3)": (
        "variant/own",
        "# @package _global_\nkl: [1\n",
    ),
    "not YAML: found duplicate key weight (variant/own.yaml, line 4)": (
        "variant/own",
        "# @package _global_\nkl:\n  weight: 1\n  weight: 2\n",
    ),
    "not YAML: found character '\\t' that cannot start any token (variant/own.yaml, line 3)": (
        "variant/own",
        "# @package _global_\nkl:\n\tweight: 1\n",
    ),
    "optimizer: has no _target_ (optimizer/own.yaml)": ("optimizer/own", ""),
    "optimizer.lr=-3: must be above 0 and at most 1000 (optimizer/own.yaml, line 4)": (
        "optimizer/own",
        "defaults:\n  - adam\n\nlr: -3\n",
    ),
    "optimizer._target_=my_lib.Adam: there is no module my_lib: is it installed, or its folder on PYTHONPATH? "
    "(optimizer/own.yaml, line 1)": ("optimizer/own", "_target_: my_lib.Adam\n"),
}


@pytest.mark.parametrize("expected", OWN_FILES)
def test_a_mistake_in_a_file_names_the_file_and_the_line(tree, tmp_path, monkeypatch, expected) -> None:
    name, text = OWN_FILES[expected]
    write(tmp_path, {name: text})
    monkeypatch.chdir(tmp_path)
    assert message(tree, f"{name.partition('/')[0]}=own", config_dir=tmp_path) == expected


def test_a_file_that_is_not_text_is_named(tree: Path, tmp_path: Path) -> None:
    write(tmp_path, {"variant/own": ""})
    (tmp_path / "variant/own.yaml").write_bytes(b"# @package _global_\n\xff\xfe")
    assert message(tree, "variant=own", config_dir=tmp_path).startswith("a config file is not text in UTF-8 (")


def test_a_mistake_on_the_command_line_is_told_before_one_that_is_not_there(tree: Path, tmp_path: Path) -> None:
    write(tmp_path, {"variant/own": "# @package _global_\nkl:\n  weight: -4\n"})
    # what the command line sets anew is no mistake of the file's any more
    check(compose(["variant=own", "kl.weight=2"], tmp_path, tree))


@pytest.mark.parametrize("setting", ["hydra.searchpath=[file:///no/such]", "hydra.searchpath=[pkg://no_such]"])
def test_a_searchpath_that_is_not_there_is_told(tree: Path, setting: str) -> None:
    assert message(tree, setting).startswith("hydra.searchpath: there is no ")


def test_a_config_dir_that_is_not_there_is_told(tree: Path, tmp_path: Path) -> None:
    told = message(tree, config_dir=tmp_path / "no")
    assert told == f"--config-dir {tmp_path / 'no'}: there is no such directory"


# --- values


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (3, float),
        (3, Annotated[int, Range(1, 3)]),
        (None, int | None),
        ("a", Literal["a", "b"]),
        ([1, 2.5], list[float]),
        ([1, "a"], tuple[int, str]),
        ([], tuple[int, ...]),
        ({"a": 1}, dict[str, int]),
        ("x", Path),
        ("x12", Annotated[str, Form("x[0-9]*", "x or xN")]),
        ([[1]], Any),
        ([1, 2], Annotated[float, Range(0)] | list[Annotated[float, Range(0)]]),
    ],
)
def test_a_value_that_fits_is_not_complained_of(value, annotation) -> None:
    assert complaint(value, annotation) is None


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (True, int),
        (True, float),
        (1, bool),
        (1, Literal[True]),
        (1.0, Literal[1, 2]),
        (3.0, int),
        (float("nan"), float | None),
        (float("-inf"), Annotated[float, Range(high=1)]),
        (4, Annotated[int, Range(1, 3)]),
        (1, Annotated[float, Range(0, 1, open_high=True)]),
        ("3", int),
        (3, str),
        ("x1y", Annotated[str, Form("x[0-9]*", "x or xN")]),
        (3, Annotated[str, Form("x[0-9]*", "x or xN")]),
        ("a", list[str]),
        ([1, 2, 3], tuple[int, int]),
        ({"a": "b"}, dict[str, int]),
        ([1], dict),
        (None, str),
        ({}, int | None),
    ],
)
def test_a_value_that_does_not_fit_is_complained_of(value, annotation) -> None:
    assert complaint(value, annotation)


@pytest.mark.parametrize(
    ("word", "choices", "expected"),
    [
        ("vriant", ["variant", "data"], "variant"),
        ("Beta-VAE", ["vae", "beta_vae"], "beta_vae"),
        ("arch", ["architecture", "data"], "architecture"),
        ("zzz", ["variant", "data"], None),
    ],
)
def test_the_nearest_name_is_the_one_that_was_meant(word, choices, expected) -> None:
    assert nearest(word, choices) == expected


def test_a_key_of_another_group_is_nearer_than_a_similar_one() -> None:
    keys = ["trainer.log_steps", "optimizer.lr", "trainer.epochs"]
    assert nearest_key("trainer.lr", keys) == "optimizer.lr"
    assert nearest_key("trainer.epoch", keys) == "trainer.epochs"
    assert nearest_key("trainer.foo.bar", keys) is None


# --- signatures and targets


def test_the_settings_of_a_class_are_those_of_its_bases_that_it_hands_on_to() -> None:
    settings = settings_of(Arrays)
    assert set(settings) == {"path", "limit", "binarize"}
    assert settings["path"].required
    assert not settings["limit"].required
    assert set(settings_of(NotInTheTree)) == {"size"}
    assert settings_of(NotInTheTree)["size"].annotation == Annotated[int, Range(1)]  # written as text
    assert settings_of(Gaussian) == {}


def test_an_untrusted_target_outside_the_library_is_refused_without_importing_it(tmp_path, monkeypatch) -> None:
    (tmp_path / "planted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="lies outside vae_runner"):
        resolve_target("planted.Thing", trusted=False)
    assert not (tmp_path / "ran").exists()
    assert resolve_target("planted.Thing").__name__ == "Thing"
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "vae_runner",
        "vae_runner.config.values.Path",  # a class, reached through us, of somebody else
        "vae_runner.config.signatures.importlib.import_module",
        "vae_runner.config.values.write",  # ours, but no class
        "vae_runner_of_mine.Model",
        "vae_runner..os.system",
        "",
        None,
    ],
)
def test_an_untrusted_target_must_be_a_class_of_the_library(target) -> None:
    with pytest.raises(UserError):
        resolve_target(target, trusted=False)


def test_an_untrusted_target_of_the_library_is_resolved() -> None:
    assert resolve_target("vae_runner.config.tree.Tree", trusted=False) is Tree


def test_a_target_whose_module_fails_to_import_is_told_in_one_line(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_part.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        UserError, match="broken_part cannot be imported: ModuleNotFoundError: No module named 'no_such"
    ):
        resolve_target("broken_part.Thing")


def test_a_saved_config_with_a_foreign_target_anywhere_is_refused(tree: Path) -> None:
    saved = OmegaConf.create(resolved(compose([], configs_directory())))
    check_saved = OmegaConf.merge(saved, {"optimizer": {"betas": [{"_target_": "os.getcwd"}]}})
    assert isinstance(check_saved, DictConfig)
    with pytest.raises(UserError, match=r"optimizer\.betas\.0\._target_=os\.getcwd: lies outside vae_runner"):
        check(check_saved, {}, trusted=False)


# --- changes to a saved config


@pytest.fixture
def saved(tree: Path):
    return OmegaConf.create(resolved(compose([], primary=tree)))


def test_a_saved_config_is_changed_by_hydras_grammar(saved) -> None:
    changed = apply_overrides(saved, ["kl.weight=2.5", "optimizer.betas=[0.5,0.9]", "++seed=3", "hydra.verbose=true"])
    assert (changed.kl.weight, list(changed.optimizer.betas), changed.seed) == (2.5, [0.5, 0.9], 3)
    assert saved.kl.weight == 1.0
    assert "hydra" not in changed


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("kl=linear", "kl=linear: a run keeps the kl it started with; to change it, start a new run"),
        (
            "variant=beta_vae",
            "variant=beta_vae: a run keeps the variant it started with; to change it, start a new run",
        ),
        (
            "kl._target_=os.system",
            "kl._target_=os.system: a run keeps the kl it started with; to change it, start a new run",
        ),
        ("kl.wieght=3", "kl.wieght=3: kl has no wieght; did you mean kl.weight=3?"),
        ("+kl.more=3", "+kl.more=3: a run keeps the keys it started with; only values change, as in trainer.epochs=20"),
        ("~kl.weight", "~kl.weight: a run keeps the keys it started with; only values change, as in trainer.epochs=20"),
        ("seed=1,2", "seed=1,2: several values; add -m to run each"),
        ("epochs", "epochs: an override is key=value"),
    ],
)
def test_what_a_saved_run_is_made_of_stays(saved, override, expected) -> None:
    with pytest.raises(UserError) as caught:
        apply_overrides(saved, [override])
    assert str(caught.value) == expected


# --- sweeps


@pytest.mark.parametrize(
    "line",
    [
        ["variant=ae,vae", "seed=range(3)", "latent_dim=4"],
        ["variant=[beta_vae,slow],[vae]"],
        ["variant=glob(*)"],
        ["variant=glob(*,exclude=ae)", "kl.weight=choice(1,[1,2])"],
        ["+kl.more=1,2", "resume='a,b',c"],
        ["kl=linear,constant", "kl.weight=2"],
        ["seed=1"],
    ],
)
def test_a_sweep_has_the_jobs_that_hydras_sweeper_would_run(tree: Path, line: list[str]) -> None:
    from vae_runner.config.composing import config_loader

    parsed = OverridesParser.create(config_loader=config_loader(primary=tree)).parse_overrides(line)
    (expected,) = BasicSweeper.split_arguments(parsed, None)
    assert sweep_jobs(line, primary=tree) == expected


def test_a_sweep_written_into_an_experiment_counts(tree: Path, tmp_path: Path) -> None:
    text = "# @package _global_\nhydra:\n  sweeper:\n    params:\n      kl.weight: 1,2,3\n"
    write(tmp_path, {"experiment/swept": text})
    jobs = sweep_jobs(["experiment=swept", "seed=1,2"], tmp_path, tree)
    assert len(jobs) == 6
    assert jobs[0] == ["kl.weight=1", "experiment=swept", "seed=1"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed=range(0)", "seed=range(0): gives nothing to run"),
        ("variant=glob(z*)", "variant=glob(z*): gives nothing to run"),
        ("optimizer.lr=interval(0,1)", "optimizer.lr=interval(0,1): an interval has no end of values; it needs another "
         "hydra/sweeper"),
        ("hydra.run.dir=a,b", "hydra.run.dir=a,b: Hydra's own settings take one value"),
        ("seed=[1", "seed=[1: a ] is missing"),
    ],
)  # fmt: skip
def test_a_sweep_over_nothing_is_refused(tree: Path, override: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        sweep_jobs([override], primary=tree)
    assert str(caught.value) == expected


def test_another_sweeper_finds_its_own_jobs(tree: Path) -> None:
    line = ["hydra/sweeper=optuna", "optimizer.lr=interval(0,1)", "latent_dim=3", "hydra.verbose=true"]
    assert sweep_jobs(line, primary=tree) == [["latent_dim=3"]]


def test_a_setting_that_only_swept_options_have_does_not_stop_hydras_sweep(tree: Path) -> None:
    from hydra.types import RunMode

    from vae_runner.config.composing import config_loader

    line = ["kl=linear,linear", "kl.length=5", "kl.weight=2", "latent_dim=3"]
    loader: ConfigLoaderImpl = config_loader(primary=tree)
    with pytest.raises(Exception, match=r"kl\.length"):
        loader.load_configuration("train", line, run_mode=RunMode.MULTIRUN)
    deferred = deferred_to_jobs(line, primary=tree)
    assert deferred == ["kl=linear,linear", "kl.length=choice(5)", "kl.weight=2", "latent_dim=3"]
    loader.load_configuration("train", deferred, run_mode=RunMode.MULTIRUN)
    assert sweep_jobs(deferred, primary=tree) == sweep_jobs(line, primary=tree)


# --- the real tree

REAL = Tree.of()
OPTIONS = [(group, option) for group in REAL.nodes for option in REAL.options(group)]


def test_every_group_has_an_option_and_its_default_among_them() -> None:
    for group in REAL.nodes:
        assert REAL.groups[group].default in REAL.options(group), group
        assert REAL.groups[group].summary, group


@pytest.mark.parametrize("group", list(REAL.groups))
def test_every_option_says_in_a_line_what_it_is(group: str) -> None:
    for option, file in REAL.options(group).items():
        assert len(REAL.summary(file)) > 10, f"{group}={option}"


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_an_option_writes_down_every_setting_of_its_class(group: str, option: str) -> None:
    node = OmegaConf.load(REAL.options(group)[option])
    if "defaults" in node:
        node = compose([f"{group}={option}"])[group]
    if node._target_ is None:
        assert set(node) == {"_target_"}
        return
    # what is handed down from the top
    unwritten = {"latent_dim"}
    assert set(settings_of(resolve_target(node._target_, trusted=False))) - unwritten == set(node) - {"_target_"}


@pytest.mark.parametrize(("group", "option"), [(g, o) for g in REAL.nodes for o in REAL.options(g)])
def test_every_option_passes_the_check(group: str, option: str) -> None:
    config = compose(with_companions(group, option))
    check(config)
    assert choices_of(config)[group] == option


@pytest.mark.parametrize("recipe", [(g, o) for g in ("variant", "experiment") for o in REAL.options(g)])
def test_every_recipe_passes_the_check(recipe: tuple[str, str]) -> None:
    check(compose([f"{recipe[0]}={recipe[1]}"]))


def composed_settings(group: str, option: str) -> set[str]:
    file = REAL.options(group)[option]
    if "defaults" in OmegaConf.load(file):
        return set(compose([f"{group}={option}"])[group])
    return set(settings_in(file))


@pytest.mark.parametrize("variant", list(REAL.options("variant")))
def test_a_variant_sets_only_what_every_option_of_a_group_has(variant: str) -> None:
    for key in settings_in(REAL.options("variant")[variant]):
        group, _, setting = key.partition(".")
        if setting:
            # an option that starts from another has its settings too
            lacking = [o for o in REAL.options(group) if setting not in composed_settings(group, o)]
            assert not lacking, f"variant={variant} sets {key}, which {group}={lacking[0]} does not have"


@pytest.mark.parametrize("group", REAL.nodes)
def test_a_setting_of_options_that_were_not_chosen_is_told_with_all_that_have_it(group: str) -> None:
    config = compose([])
    known, choices = keys_of(resolved(config)), choices_of(config)
    for setting in {s for file in REAL.options(group).values() for s in settings_in(file)}:
        key = f"{group}.{setting}"
        if key in known:
            continue
        having = {f"{group}={name}" for name, file in REAL.options(group).items() if setting in settings_in(file)}
        told = unknown_key(f"{key}=1", key, known, choices, REAL)
        assert having == set(re.findall(r"\w+=\w+", told.partition(";")[2])), told


@pytest.mark.parametrize(
    ("typed", "told"),
    {
        "kl.steepness=3": "kl=constant has no steepness; kl=sigmoid has it",
        "kl.steepnes=3": "kl=constant has no steepnes; kl=sigmoid has steepness",
        "steepness=3": "there is no setting steepness; kl=sigmoid has kl.steepness",
        "kl.unit=steps": "kl=constant has no unit; kl=cosine, kl=cyclical, kl=linear and kl=sigmoid have it",
        "optimizer.warmup=3": "optimizer=adam has no warmup; scheduler=cosine has scheduler.warmup",
        "variant.carry=true": "there is no setting variant.carry; model=ladder has model.carry",
        "hydra.launcher.at_once=2": "hydra/launcher=basic has no at_once; type hydra/launcher=vectorized, which has it",
    }.items(),
)
def test_a_setting_of_another_option_is_told_with_that_option(typed: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        check(compose([typed]))
    assert str(error.value) == f"{typed}: {told}"


def test_a_setting_of_an_installed_launcher_is_told_with_it() -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    with pytest.raises(UserError, match=r"^hydra.launcher.n_jobs=2: .* type hydra/launcher=joblib or hydra/launcher="):
        sweep_jobs(["hydra.launcher.n_jobs=2", "seed=0,1"])


def test_every_alias_leads_to_a_real_setting() -> None:
    from vae_runner.config.names import ALIASES

    known = [*keys_of(resolved(compose([]))), *REAL.groups]
    assert [alias for alias, key in ALIASES.items() if key not in known] == []
