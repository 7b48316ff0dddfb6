"""Figures that are of K draws, or of so many samples, and carry the number behind their name."""

import re

# what is made of K draws, and is comparable where K is the same; standard errors are of as many
OF_DRAWS = (
    *("log_likelihood", "log_likelihood_per_step", "log_likelihood_of_these"),
    *("bits_per_dimension", "perplexity", "iw_bound"),
    *(
        f"{figure}_{score}"
        for figure in ("auc", "average_precision")
        for score in ("negative_elbo", "negative_log_likelihood", "distortion")
    ),
)
# what is estimated from samples, and leans to one side the more the fewer there are
OF_SAMPLES = ("frechet_distance", "frechet_distance_of_training", "precision", "recall", "density", "coverage")


def without_draws(figure: str) -> str:
    """`log_likelihood` for `log_likelihood_5000`; a number behind any other name is part of it, as in `ridge_r2_0`."""
    name = re.sub(r"_\d+$", "", figure)
    return name if name.removesuffix("_standard_error") in (*OF_DRAWS, *OF_SAMPLES) else figure
