"""Names of settings, and the real one nearest to a mistyped one."""

from collections.abc import Collection, Iterable, Mapping
from difflib import SequenceMatcher, get_close_matches
from typing import Any

# what papers and other libraries call our settings
ALIASES = {
    "beta": "kl.weight",
    "kl_weight": "kl.weight",
    "kld_weight": "kl.weight",
    "free_nats": "kl.free_bits",
    "learning_rate": "optimizer.lr",
    "z_dim": "latent_dim",
    "latent_size": "latent_dim",
    "n_latents": "latent_dim",
    "max_epochs": "trainer.epochs",
    "num_epochs": "trainer.epochs",
    "encoder": "architecture",
    "decoder": "architecture",
    "loss": "objective",
}


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` most likely means, if any is near."""
    normal = {_normal(choice): choice for choice in choices}
    if found := get_close_matches(_normal(word), normal, n=1, cutoff=0.6):
        return normal[found[0]]
    if len(word) > 1 and (longer := [choice for choice in normal if choice.startswith(_normal(word))]):
        return normal[min(longer, key=len)]
    return None


def nearest_key(key: str, keys: Collection[str]) -> str | None:
    """The dotted key that `key` most likely means: one of that name in any group, else a near one."""
    if found := likely_key(key, keys):
        return found
    group, _, setting = key.partition(".")
    has_siblings = setting and any(k.startswith(f"{group}.") for k in keys)
    if not has_siblings and (found := nearest(key, keys)):  # among siblings, what they have in common counts as near
        return found
    leaves = {k.rpartition(".")[2]: k for k in keys}
    near = nearest(key.rpartition(".")[2], leaves)
    return leaves[near] if near else None


def likely_key(key: str, keys: Collection[str]) -> str | None:
    """The same, but a near one only of its own group."""
    leaf = _normal(key.rpartition(".")[2])
    if (alias := ALIASES.get(leaf)) in keys:
        return alias
    if same_name := [k for k in keys if _normal(k.rpartition(".")[2]) == leaf]:
        return max(same_name, key=lambda k: SequenceMatcher(None, key, k).ratio())
    group, _, setting = key.partition(".")
    siblings = {k[len(group) + 1 :]: k for k in keys if setting and k.startswith(f"{group}.")}
    near = nearest(setting, siblings)
    return siblings[near] if near else None


def keys_of(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Every dotted key of nested mappings, inner mappings included; `hydra` and `_target_` are no settings."""
    found = []
    for key, value in values.items():
        if key == "_target_" or (not prefix and key == "hydra"):
            continue
        found.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            found += keys_of(value, f"{prefix}{key}.")
    return found


def one_of(choices: Iterable[str]) -> str:
    return "choose one of " + ", ".join(choices)


def _normal(name: str) -> str:
    return name.lower().replace("-", "_")
