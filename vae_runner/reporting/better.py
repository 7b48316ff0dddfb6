"""Which way figures are better: some the higher they are, some the nearer to a value, all others the lower."""

import math
import re

from vae_runner.reporting.options import plain_name

HIGHER_IS_BETTER = (
    *("elbo", "log_px", "iw_bound", "accuracy", "active_units", "mutual_information", "examples_per_second"),
    *("latents_mutual_information", "likelihood_elbo", "codebook_perplexity"),
    *("log_likelihood", "log_likelihood_per_step", "log_likelihood_of_these", "annealed_log_likelihood"),
    *("psnr", "ssim"),
    *("precision", "recall", "density", "coverage", "classes_present", "confident_share"),
    *("linear_probe_accuracy", "knn_accuracy", "clusters_adjusted_rand", "clusters_normalised_information"),
    *("clusters_silhouette", "ridge_r2", "mig", "modularity", "factor_vae", "beta_vae", "sap", "explicitness"),
    *("dci_disentanglement", "dci_completeness", "dci_informativeness"),
    *("auc_negative_elbo", "auc_negative_log_likelihood", "auc_distortion", "auc_reconstruction_error"),
    *("average_precision_negative_elbo", "average_precision_negative_log_likelihood"),
    *("average_precision_distortion", "average_precision_reconstruction_error"),
)
# sharpness to that of the data: below is blur, above is noise; the difference of two estimates to none
NEAREST_IS_BETTER = {"sharpness_ratio": 1.0, "annealed_difference": 0.0}
OF_A_FACTOR = ("ridge_r2_", "linear_probe_accuracy_")  # with the factor's name behind it


def best(figure: str) -> float:
    """The value that a figure is the better the nearer it is to: inf, -inf, or a number.

    figure: its name without its split, with the draws and options that it is of or without.
    """
    name = re.sub(r"^level_\d+_", "", plain_name(figure))  # of one level of a ladder
    of_a_factor = name.startswith(OF_A_FACTOR) and not name.endswith("_standard_error")
    return NEAREST_IS_BETTER.get(name, math.inf if of_a_factor or name in HIGHER_IS_BETTER else -math.inf)


def is_better(value: float, than: float, best: float) -> bool:
    """Whether a value of a figure with that `best` is nearer to it."""
    if math.isinf(best):
        return value > than if best > 0 else value < than
    return abs(value - best) < abs(than - best)
