"""The class of an example, inferred where it is hidden: semi-supervised learning (Kingma et al. 2014, model M2)."""

from typing import Annotated, ClassVar

from vae_runner.conditions.label import Label
from vae_runner.data.space import Space
from vae_runner.settings import Range


class InferredLabel(Label):
    """Has the model wrapped in a class latent, with a classifier q(y|x).

    classification_weight: of -log q(y|x) where the class is known, in the loss; not in the bound.
    labelled: how many labelled training examples the classifier is shown at each step, beside those of the batch.
    """

    provides: ClassVar[set[str]] = {"condition", "one_hot", "inferred"}
    option: ClassVar[str] = "inferred_label"
    inferred: ClassVar[bool] = True

    def __init__(
        self,
        space: Space,
        *,
        classification_weight: Annotated[float, Range(0, 1e9)] = 50.0,
        labelled: Annotated[int, Range(0, 2**20)] = 32,
    ) -> None:
        super().__init__(space)
        self.classification_weight, self.labelled = classification_weight, labelled
