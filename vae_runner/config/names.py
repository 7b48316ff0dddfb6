"""The real name nearest to a mistyped one."""

from collections.abc import Collection, Iterable
from difflib import SequenceMatcher, get_close_matches

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
    parent, _, leaf = key.rpartition(".")
    alias = ALIASES.get(_normal(leaf))
    if alias in keys:
        return alias
    same_name = [k for k in keys if _normal(k.rpartition(".")[2]) == _normal(leaf)]
    if same_name:
        return max(same_name, key=lambda k: SequenceMatcher(None, key, k).ratio())
    siblings = {k[len(parent) + 1 :]: k for k in keys if parent and k.startswith(f"{parent}.")}
    if found := nearest(leaf, siblings):
        return siblings[found]
    if found := nearest(key, keys):
        return found
    leaves = {k.rpartition(".")[2]: k for k in keys}
    if found := nearest(leaf, leaves):
        return leaves[found]
    return None


def one_of(choices: Iterable[str]) -> str:
    return "choose one of " + ", ".join(choices)


def _normal(name: str) -> str:
    return name.lower().replace("-", "_")
