"""The knobs of the main job."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from atoll.data.preprocessing import RESIZES
from atoll.errors import UsageError, WeightsError
from atoll.train.backbones import find_backbone
from atoll.train.settings import TrainSettings

if TYPE_CHECKING:
    from pathlib import Path

MOST_CALIBRATION = 10_000


@dataclass(frozen=True)
class BuildSettings:
    """What a person may choose.

    Attributes:
        backbone: A row of the table, or "auto": small_convnet for images of at most 64 pixels,
            mobilenet_v2 otherwise, or the one whose structure `init_from` has.
        alpha: The width multiplier; None takes 1, or what `init_from` has.
        size: (width, height) of the input; None takes the backbone's, or `init_from`'s, or for
            tiny images their own.
        resize: How a photo is made to fit, a key of RESIZES.
        weights: "auto" (imagenet where Keras publishes them), "imagenet", "none", or the path
            of a .keras file.
        init_from: A TFLite model whose weights are taken.
        calibration: How many training photos the quantisation sees.
        train: The knobs of training.
    """

    backbone: str = "auto"
    alpha: float | None = None
    size: tuple[int, int] | None = None
    resize: str = "crop"
    weights: str = "auto"
    init_from: Path | None = None
    calibration: int = 200
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        if self.backbone != "auto":
            find_backbone(self.backbone)
        if self.resize not in RESIZES:
            raise UsageError(
                "--resize",
                "there is no such way to resize",
                received=self.resize,
                fix=f"Choose one of: {', '.join(RESIZES)}",
            )
        if not 1 <= self.calibration <= MOST_CALIBRATION:
            raise UsageError(
                "--calibration",
                f"it must be 1 to {MOST_CALIBRATION} photos",
                received=self.calibration,
                fix="Choose another value",
            )
        if self.init_from is not None:
            if self.weights != "auto":
                raise UsageError(
                    "--init-from",
                    "weights come from one place",
                    received=f"--weights {self.weights} as well",
                    fix="Leave one of the two out",
                )
            if self.alpha is not None:
                raise UsageError(
                    "--init-from",
                    "the width multiplier is that of the file",
                    received=f"--alpha {self.alpha} as well",
                    fix="Leave --alpha out",
                )
            if not self.init_from.is_file():
                raise WeightsError(
                    self.init_from,
                    "--init-from takes a .tflite file",
                    received="no such file",
                    fix="Check the path",
                )

    def flat(self) -> dict[str, Any]:
        """Every knob under its flag's name, as plain data."""
        document = asdict(self)
        document |= document.pop("train")
        document["size"] = None if self.size is None else f"{self.size[0]}x{self.size[1]}"
        document["init_from"] = None if self.init_from is None else self.init_from.name
        return document
