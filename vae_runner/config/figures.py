"""The name of a figure that an experiment is held against."""

import re
from difflib import get_close_matches

from vae_runner.config.names import nearest, one_of
from vae_runner.reporting.better import OF_A_FACTOR
from vae_runner.reporting.published import KNOWN, OF_A_SPLIT

NEAR = 0.8  # of a name to a known one, from which it is taken for it: an objective may have terms of any other name


def mistaken(figure: str) -> str | None:
    """What is wrong with a name such as `test.elbo`, if anything is.

    A name inside of a split or a group is wrong where it is close to a known one; others may be the user's own.
    """
    place, _, name = figure.partition(".")
    if place not in KNOWN:
        near = next((f"{key}.{figure}" for key, names in KNOWN.items() if figure in names), None)
        near = near or (f"{found}.{name}".rstrip(".") if (found := nearest(place, KNOWN)) else None)
        hint = f"did you mean {near}?" if near else one_of(KNOWN)
        return f"neither summary.json nor evaluation.json has {place}; {hint}"
    known = KNOWN[place]
    plain = re.sub(r"^level_\d+_", "", name)  # of one level of a ladder
    if bool(name) != bool(known):
        return f"must name a figure of {place}, as in {place}.{known[0]}" if known else f"{place} is a figure by itself"
    of_draws = known is OF_A_SPLIT and name.rpartition("_")[2].isdecimal()  # iw_bound_5
    of_factor = place == "usefulness" and name.startswith((*OF_A_FACTOR, "chance_"))
    if plain in known or of_factor or of_draws:
        return None
    alike = get_close_matches(plain, known, n=1, cutoff=NEAR)
    meant = f"{place}.{name.removesuffix(plain)}{alike[0]}" if alike else None
    return f"{place} has no {name}; did you mean {meant}?" if meant else None
