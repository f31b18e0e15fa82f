"""The module `edgetpu.detection.engine`: what is where on a photo."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from atoll.compat.edgetpu.basic.basic_engine import BasicEngine
from atoll.compat.edgetpu.utils import image_processing
from atoll.compat.edgetpu.utils.warning import deprecated
from atoll.compat.photos import input_face, to_row

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["BasicEngine", "DetectionCandidate", "DetectionEngine"]

_OUTPUTS = 4


class DetectionCandidate:
    """An object that was found.

    Attributes:
        label_id: Its class's number.
        score: How sure the model is.
        bounding_box: [[x1, y1], [x2, y2]], its top left and bottom right.
    """

    __slots__ = ["bounding_box", "label_id", "score"]

    def __init__(
        self, label_id: int, score: float, x1: float, y1: float, x2: float, y2: float
    ) -> None:
        self.label_id = label_id
        self.score = score
        self.bounding_box = np.array([[x1, y1], [x2, y2]])


class DetectionEngine(BasicEngine):
    """An SSD detector with post-processing on an Edge TPU.

    Args:
        model_path: A .tflite file with four outputs: boxes, classes, scores and their number.
        device_path: The Edge TPU's path; None for any.

    Raises:
        ValueError: The model has not four outputs.
        RuntimeError: As `BasicEngine`.
    """

    def __init__(self, model_path: str, device_path: str | None = None) -> None:
        super().__init__(model_path, device_path)
        sizes = self.get_all_output_tensors_sizes()
        if sizes.size != _OUTPUTS:
            raise ValueError(
                f"Dectection model should have 4 output tensors!This model has {sizes.size}."
            )
        self._tensor_start_index = [int(sum(sizes[:i])) for i in range(_OUTPUTS)]

    def detect_with_image(
        self,
        img: Image.Image,
        threshold: float = 0.1,
        top_k: int = 3,
        keep_aspect_ratio: bool = False,
        relative_coord: bool = True,
        resample: Image.Resampling = Image.Resampling.NEAREST,
    ) -> list[DetectionCandidate]:
        """Finds what is on a photo.

        Args:
            img: The photo.
            threshold: Scores must be above it.
            top_k: How many objects at most.
            keep_aspect_ratio: Whether the photo keeps its proportions, with black to the right or
                below, or is stretched.
            relative_coord: Whether boxes are told in parts of the photo, 0 to 1, or in pixels.
            resample: How Pillow resizes.

        Returns:
            The objects, the highest score first.

        Raises:
            RuntimeError: The model takes no photo.
            ValueError: The model takes photos of other channels than 1 or 3, or top_k is not
                positive.
        """
        height, width, channels = input_face(self)
        if keep_aspect_ratio:
            resized, covered = image_processing.resampling_with_original_ratio(
                img, (width, height), resample
            )
        else:
            resized, covered = img.resize((width, height), resample), None
        found = self.detect_with_input_tensor(to_row(resized, channels), threshold, top_k)
        for each in found:
            if covered is not None:
                corners = each.bounding_box / covered
                each.bounding_box = np.array(
                    [np.maximum(0.0, corners[0]), np.minimum(1.0, corners[1])]
                )
            if relative_coord is False:
                each.bounding_box = each.bounding_box * [img.size]
        return found

    def detect_with_input_tensor(
        self, input_tensor: ArrayLike, threshold: float = 0.1, top_k: int = 3
    ) -> list[DetectionCandidate]:
        """Finds what is in an input.

        Args:
            input_tensor: The input in one row, as `run_inference` takes it.
            threshold: Scores must be above it.
            top_k: How many objects at most.

        Returns:
            The objects, the highest score first; boxes in parts of the input.

        Raises:
            ValueError: top_k is not positive.
        """
        if top_k <= 0:
            raise ValueError("top_k must be positive!")
        _, raw = self.run_inference(input_tensor)
        boxes, classes, scores, count = (raw[start:] for start in self._tensor_start_index)
        found = []
        for i in range(min(round(float(count[0])), self.get_output_tensor_size(2))):
            if scores[i] > threshold:
                y1, x1, y2, x2 = boxes[4 * i : 4 * i + 4]
                label = round(float(classes[i]))
                near, far = (max(0.0, x1), max(0.0, y1)), (min(1.0, x2), min(1.0, y2))
                found.append(DetectionCandidate(label, scores[i], *near, *far))
        return sorted(found, key=attrgetter("score"), reverse=True)[:top_k]

    @deprecated
    def DetectWithImage(  # noqa: N802
        self,
        img: Image.Image,
        threshold: float = 0.1,
        top_k: int = 3,
        keep_aspect_ratio: bool = False,
        relative_coord: bool = True,
        resample: Image.Resampling = Image.Resampling.NEAREST,
    ) -> list[DetectionCandidate]:
        """The older name of `detect_with_image`."""
        return self.detect_with_image(
            img, threshold, top_k, keep_aspect_ratio, relative_coord, resample
        )

    @deprecated
    def DetectWithInputTensor(  # noqa: N802
        self, input_tensor: ArrayLike, threshold: float = 0.1, top_k: int = 3
    ) -> list[DetectionCandidate]:
        """The older name of `detect_with_input_tensor`."""
        return self.detect_with_input_tensor(input_tensor, threshold, top_k)
