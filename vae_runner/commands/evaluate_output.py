"""What `vae-run evaluate` leaves in a run: evaluation.json, and pictures of what is in it."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vae_runner.commands.files import writing
from vae_runner.commands.runs import Opened
from vae_runner.reporting.formats import number
from vae_runner.run_directory import RunDirectory, write_json

if TYPE_CHECKING:
    from vae_runner.evaluation.evaluate import Evaluation
    from vae_runner.evaluation.groups.subject import Neighbours

SPLITS = ("train", "validation", "test")
OF_A_SPLIT = ("latents", "latents_3d", "kl_units")  # pictures of the bound's figures
OF_A_GROUP = {"bounds": "likelihood", "neighbours": "samples"}  # pictures, and the group that each is of


class EvaluationFile:
    """evaluation.json of a run, written anew with each group that comes.

    Groups that were taken before stay in it where they are of the same weights, split, examples and data, each beside
    the settings that it was `taken_with`.
    """

    def __init__(self, run: RunDirectory):
        """Raises UserError where an earlier one cannot be read."""
        self.path: Path = run.path / "evaluation.json"
        self._earlier = run.evaluation()
        self._figures: dict[str, Any] = {}
        self.groups: dict[str, Any] = {}
        self._reasons: dict[str, str] = {}

    def begin(self, of: dict[str, Any], figures: dict[str, Any], names: list[str], wanted: list[str]) -> None:
        """Writes the figures of the bound and the groups that can be kept, and says which cannot.

        of: weights, step, `groups_of` (the split) and data that all groups are of. names: of all groups, of which the
        `wanted` are about to be taken.
        """
        earlier, self._figures = self._earlier, {**of, **figures}
        groups = {name: earlier[name] for name in names if name in earlier}
        different = _differences(earlier, self._figures)
        if not different:
            self.groups = groups
            self._reasons = dict(earlier.get("not_taken") or {})
        stay = ", ".join(name for name in groups if name not in wanted)
        if stay:
            print(f"dropped: {stay} (of {', '.join(different)})" if different else f"kept as it was: {stay}")
        self._write()

    @property
    def affordable(self) -> int | None:
        """How many draws a likelihood was of that can be kept, where nobody asked for so many."""
        kept = self.groups.get("likelihood") or {}
        return None if (kept.get("taken_with") or {}).get("samples") else kept.get("draws")

    def add(self, name: str, figures: dict[str, Any], taken_with: dict[str, Any]) -> None:
        self._reasons.pop(name, None)
        self.groups[name] = {**figures, "taken_with": taken_with}
        self._write()

    def add_reason(self, name: str, reason: str) -> None:
        """Why a group is not taken."""
        self.groups.pop(name, None)
        self._reasons[name] = reason
        self._write()

    def _write(self) -> None:
        with writing(self.path):
            write_json(self.path, {**self._figures, **self.groups, "not_taken": self._reasons})


def _differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What groups were taken of, where it is not what is evaluated now."""
    if "data" not in then:  # so little was written once
        return ["settings that were not written down"]
    words = {"weights": "weights={}", "step": "step {}", "groups_of": "split={}", "data": "other data"}
    found = [word.format(then[key]) for key, word in words.items() if then[key] != now[key]]
    examples = then["examples"][then["groups_of"]]
    return [*found, *([] if examples == now["examples"][now["groups_of"]] else [f"{examples} examples"])]


def draw(opened: Opened, split: str, result: "Evaluation") -> None:
    from vae_runner.reporting.figures import kl_bars, latent_map, latent_map_3d

    of = f"{split} examples, {opened.described}"
    class_names, factor = opened.run.data.space.class_names, opened.run.data.first_factor
    codes = latent_map(result.codes, result.labels, class_names, factor=factor, title=f"codes of {of}")
    opened.save(f"evaluation/latents_{split}.png", codes)
    if result.codes[0].numel() >= 3:
        space = latent_map_3d(result.codes, result.labels, class_names, factor=factor, title=f"codes of {of}")
        opened.save(f"evaluation/latents_3d_{split}.png", space)
    if result.kl_units is not None:
        bars = kl_bars(result.kl_units, title=f"KL by unit, {of}")
        opened.save(f"evaluation/kl_units_{split}.png", bars)


def draw_bounds(opened: Opened, split: str, likelihood: dict[str, Any] | None) -> None:
    """One draw is no curve; that of an earlier time does not stay beside other figures."""
    from vae_runner.reporting.figures import bound_curve

    name = f"evaluation/bounds_{split}.png"
    if likelihood is None or likelihood["draws"] == 1:
        opened.remove(name)
        return
    columns = ([row[key] for row in likelihood["bounds"]] for key in ("draws", "bound", "standard_error"))
    title = f"bound on the log-likelihood of {likelihood['examples']} {split} examples, {opened.described}"
    opened.save(name, bound_curve(*columns, title=title))


def draw_neighbours(opened: Opened, split: str, found: "Neighbours | None") -> None:
    """A row for each sample: how far away the nearest training example is, itself, and those that are nearest."""
    import torch

    from vae_runner.reporting import pictures

    name = f"evaluation/neighbours_{split}.png"
    if found is None:
        opened.remove(name)
        return
    rows = torch.cat([found.samples[:, None], found.nearest], 1)
    space = opened.run.data.space
    title = f"samples, nearest training examples; held-out: {number(found.of_held_out, 3)} away"
    labels = [number(distance, 3) for distance in found.distances.tolist()]
    image = pictures.draw_examples(space, rows.flatten(0, 1), columns=rows.shape[1], row_labels=labels, title=title)
    opened.save(name, image)


def remove_others(opened: Opened, splits: list[str], chosen: str, groups: Collection[str]) -> None:
    """Takes away the pictures of what is no longer in the file. splits: whose bound is in it.

    groups: that are in it, of the split that was chosen.
    """
    gone = [f"{kind}_{split}" for split in SPLITS if split not in splits for kind in OF_A_SPLIT]
    for kind, group in OF_A_GROUP.items():
        gone += [f"{kind}_{split}" for split in SPLITS if split != chosen or group not in groups]
    for name in gone:
        opened.remove(f"evaluation/{name}.png")
