"""The module `edgetpu.classification.engine`: what is on a photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from atoll.compat.edgetpu.basic.basic_engine import BasicEngine
from atoll.compat.edgetpu.utils.warning import deprecated
from atoll.compat.photos import input_face, to_row
from atoll.compat.ranking import best_scores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["BasicEngine", "ClassificationEngine"]


class ClassificationEngine(BasicEngine):
    """A classifier on an Edge TPU.

    Args:
        model_path: A .tflite file with one output.
        device_path: The Edge TPU's path; None for any.

    Raises:
        ValueError: The model has more than one output.
        RuntimeError: As `BasicEngine`.
    """

    def __init__(self, model_path: str, device_path: str | None = None) -> None:
        super().__init__(model_path, device_path)
        count = self.get_num_of_output_tensors()
        if count != 1:
            raise ValueError(
                f"Classification model should have 1 output tensor only!This model has {count}."
            )

    def classify_with_image(
        self,
        img: Image.Image,
        threshold: float = 0.1,
        top_k: int = 3,
        resample: Image.Resampling = Image.Resampling.NEAREST,
    ) -> list[tuple[int, float]]:
        """Names what is on a photo.

        Args:
            img: The photo; it is resized to the model's size, whatever its proportions.
            threshold: Scores must be above it.
            top_k: How many classes to name at most.
            resample: How Pillow resizes.

        Returns:
            Classes' numbers and scores, the highest first.

        Raises:
            RuntimeError: The model takes no photo.
            ValueError: The model takes photos of other channels than 1 or 3, or top_k is not
                positive.
        """
        height, width, channels = input_face(self)
        row = to_row(img.resize((width, height), resample), channels)
        return self.classify_with_input_tensor(row, threshold, top_k)

    def classify_with_input_tensor(
        self, input_tensor: ArrayLike, threshold: float = 0.0, top_k: int = 3
    ) -> list[tuple[int, float]]:
        """Names what is in an input.

        Args:
            input_tensor: The input in one row, as `run_inference` takes it.
            threshold: Scores must be above it.
            top_k: How many classes to name at most.

        Returns:
            As above.

        Raises:
            ValueError: top_k is not positive.
        """
        if top_k <= 0:
            raise ValueError("top_k must be positive!")
        _, self._raw_result = self.run_inference(input_tensor)
        return best_scores(np.asarray(self._raw_result), threshold, top_k)

    @deprecated
    def ClassifyWithImage(  # noqa: N802
        self,
        img: Image.Image,
        threshold: float = 0.1,
        top_k: int = 3,
        resample: Image.Resampling = Image.Resampling.NEAREST,
    ) -> list[tuple[int, float]]:
        """The older name of `classify_with_image`."""
        return self.classify_with_image(img, threshold, top_k, resample)

    @deprecated
    def ClassifyWithInputTensor(  # noqa: N802
        self, input_tensor: ArrayLike, threshold: float = 0.0, top_k: int = 3
    ) -> list[tuple[int, float]]:
        """The older name of `classify_with_input_tensor`."""
        return self.classify_with_input_tensor(input_tensor, threshold, top_k)
