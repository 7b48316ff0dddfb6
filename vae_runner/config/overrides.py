"""A sweep's command line -> its jobs; and changes to the config of a saved run."""

from collections.abc import Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Sweep
from omegaconf import DictConfig, OmegaConf

from vae_runner.config.command_line import parse, refuse_group_mistakes, refuse_sweep
from vae_runner.config.composing import compose, config_loader, plain
from vae_runner.config.names import keys_of
from vae_runner.config.tree import Tree
from vae_runner.config.unknown import unknown_key
from vae_runner.errors import UserError


def sweep_jobs(
    overrides: Sequence[str], config_dir: str | Path | None = None, primary: Path | None = None
) -> list[list[str]]:
    """The overrides of every job of `vae-run train -m overrides`, in Hydra's order.

    Another sweeper (`hydra/sweeper=...`) finds its jobs as it goes: then there is one here, of all that is not swept.

    Raises:
        UserError: an override that cannot be read, or a sweep over nothing.
    """
    tree = Tree.of(config_dir, primary)
    parsed = parse(overrides, tree, lambda: keys_of(plain(compose([], config_dir, primary))))
    own = [override for override in parsed if not override.is_hydra_override()]
    fixed = [override for override in own if not override.is_sweep_override()]
    for override in parsed:
        if override.is_hydra_override():
            refuse_sweep(override)
        elif not override.is_sweep_override():
            refuse_group_mistakes(override, tree)
    if any(override.key_or_group == "hydra/sweeper" and override.value() != "basic" for override in parsed):
        return [[override.input_line or "" for override in fixed]]
    loader = config_loader(config_dir, primary)
    parameters = _base(parsed, tree, config_dir, primary).hydra.sweeper.get("params") or {}
    sweeping = OverridesParser.create(config_loader=loader).parse_overrides(
        [*(f"{key}={value}" for key, value in parameters.items()), *(override.input_line or "" for override in own)]
    )
    for override in sweeping:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            raise UserError(f"{override.input_line}: an interval has no end of values; it needs another hydra/sweeper")
        if any(isinstance(item, Sweep) for item in getattr(override.value(), "list", ())):
            raise UserError(f"{override.input_line}: a range stands alone; write its values out beside the others")
        if getattr(override.value(), "shuffle", False):
            raise UserError(
                f"{override.input_line}: is drawn anew each time, so that no sweep could be gone on with; "
                "leave shuffle out"
            )
        if override.is_sweep_override() and not list(override.sweep_string_iterator()):
            raise UserError(f"{override.input_line}: gives nothing to run")
    (jobs,) = BasicSweeper.split_arguments(sweeping, max_batch_size=None)
    return jobs


def deferred_to_jobs(
    overrides: Sequence[str], config_dir: str | Path | None = None, primary: Path | None = None
) -> list[str]:
    """The same sweep, with settings that only swept options have written as sweeps over one value.

    Hydra composes a sweep's own config first, without what is swept: `-m kl=linear,cyclical kl.length=5` fails there.
    """
    tree = Tree.of(config_dir, primary)
    parsed = parse(overrides, tree, lambda: keys_of(plain(compose([], config_dir, primary))))
    there = keys_of(plain(_base(parsed, tree, config_dir, primary)))
    deferred = []
    for override in parsed:
        key, text = override.key_or_group, override.input_line or ""
        changes_value = override.type is OverrideType.CHANGE and not override.is_hydra_override()
        if changes_value and not override.is_sweep_override() and not tree.is_group(key) and key not in there:
            text = f"{key}=choice({override.get_value_element_as_str()})"
        deferred.append(text)
    return deferred


def _base(parsed: Sequence[Override], tree: Tree, config_dir: str | Path | None, primary: Path | None) -> DictConfig:
    """What a sweep's jobs have in common: the options that are not swept."""
    fixed = [override for override in parsed if not override.is_sweep_override()]
    common = [o.input_line or "" for o in fixed if o.is_hydra_override() or tree.is_group(o.key_or_group)]
    return compose(common, config_dir, primary)


def apply_overrides(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """A copy of a saved run's config with some of its values changed, by Hydra's override grammar.

    What the run is made of stays: a group cannot be chosen anew, nor a key added or removed. `hydra.*` is passed over.

    Raises:
        UserError: such a change, or a key that the run does not have.
    """
    tree = Tree.of()
    changed: DictConfig = OmegaConf.create(plain(config))
    keys = keys_of(plain(config))
    for override in parse(overrides, tree, lambda: keys):
        key, text = override.key_or_group, override.input_line or ""
        if override.is_hydra_override():
            continue
        if tree.is_group(key) or key.endswith("_target_"):
            raise UserError(
                f"{text}: a run keeps the {key.partition('.')[0]} it started with; to change it, start a new run"
            )
        refuse_group_mistakes(override, tree)
        refuse_sweep(override)
        if override.is_add() or override.is_delete():
            raise UserError(
                f"{text}: a run keeps the keys it started with; only values change, as in trainer.epochs=20"
            )
        if key not in keys:
            raise UserError(unknown_key(text, key, keys, {}, tree))
        OmegaConf.update(changed, key, override.value(), merge=True)
    return changed
