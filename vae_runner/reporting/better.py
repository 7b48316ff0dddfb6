"""Which figures are the better the higher they are; all others are the better the lower."""

import re

from vae_runner.reporting.options import plain_name

HIGHER_IS_BETTER = (
    *("elbo", "log_px", "iw_bound", "accuracy", "active_units", "mutual_information", "examples_per_second"),
    *("latents_mutual_information", "likelihood_elbo", "codebook_perplexity"),
    *("log_likelihood", "log_likelihood_per_step", "log_likelihood_of_these", "annealed_log_likelihood"),
    *("psnr", "ssim"),
    *("precision", "recall", "density", "coverage", "classes_present", "confident_share", "sharpness_ratio"),
    *("linear_probe_accuracy", "knn_accuracy", "clusters_adjusted_rand", "clusters_normalised_information"),
    *("clusters_silhouette", "ridge_r2", "mig", "modularity", "factor_vae", "beta_vae", "sap", "explicitness"),
    *("dci_disentanglement", "dci_completeness", "dci_informativeness"),
    *("auc_negative_elbo", "auc_negative_log_likelihood", "auc_distortion", "auc_reconstruction_error"),
    *("average_precision_negative_elbo", "average_precision_negative_log_likelihood"),
    *("average_precision_distortion", "average_precision_reconstruction_error"),
)
OF_A_FACTOR = ("ridge_r2_", "linear_probe_accuracy_")  # with the factor's name behind it


def is_better_high(figure: str) -> bool:
    """Of a figure by its name without its split, with the draws and options that it is of or without."""
    name = re.sub(r"^level_\d+_", "", plain_name(figure))  # of one level of a ladder
    of_a_factor = name.startswith(OF_A_FACTOR) and not name.endswith("_standard_error")
    return of_a_factor or name in HIGHER_IS_BETTER
