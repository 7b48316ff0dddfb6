"""What to say of a loss or a gradient that is not finite."""


class NonFinite(Exception):
    """Training broke down; the message names the step, the term and the likely cause."""


CAUSES = {
    "reconstruction": "the log-likelihood overflowed: the learning rate is too high, or the data is far from the "
    "likelihood's scale (for arrays: data.scale=standardize)",
    "kl": "the posterior's or prior's log-variance ran away: lower optimizer.lr, or set trainer.gradient_clip=1",
}


def explain(step: int, figures: list[str]) -> str:
    """One line on a step that was not finite. step: counted from 0; figures: the logged ones that were not."""
    terms = [name.removeprefix("loss_") for name in figures if name.startswith("loss_")]
    if not terms and "loss" not in figures:
        return (
            f"step {step + 1}: the gradient is not finite though the loss is; likely cause: it overflowed: "
            "set trainer.gradient_clip=1, or lower optimizer.lr"
        )
    cause = next((CAUSES[term] for term in terms if term in CAUSES), "the learning rate is too high")
    return f"step {step + 1}: the loss is not finite, in its term {' and '.join(terms)}; likely cause: {cause}"
