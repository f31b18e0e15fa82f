"""The knobs of training, all in one place, with what they may be."""

from __future__ import annotations

from dataclasses import dataclass

from atoll.errors import UsageError


@dataclass(frozen=True)
class TrainSettings:
    """The knobs of a training run.

    Attributes:
        epochs: The most epochs of the main pass. None: 40 for a head, 20 for a whole network.
        tail_epochs: The most epochs of the last blocks' pass; 0 leaves it out.
        learning_rate: Adam's, of the head's pass or the whole network's; the last blocks get a
            tenth.
        batch_size: Photos a step.
        label_smoothing: How much of the target is spread over all classes. None: nothing for a
            pretrained network, a tenth for one trained whole.
        dropout: How much of the feature vector is left out while training.
        augment: A key of AUGMENTATIONS, or "auto" to look at the photos.
        seed: Everything that is left to chance follows from it.
    """

    epochs: int | None = None
    tail_epochs: int = 10
    learning_rate: float = 0.003
    batch_size: int = 32
    label_smoothing: float | None = None
    dropout: float = 0.2
    augment: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        count = range(1, 10_001)
        checks = (
            ("--epochs", self.epochs, self.epochs is None or self.epochs in count, "1 to 10000"),
            ("--tail-epochs", self.tail_epochs, self.tail_epochs in (0, *count), "0 to 10000"),
            ("--batch-size", self.batch_size, 1 <= self.batch_size <= 4096, "1 to 4096"),
            ("--dropout", self.dropout, 0 <= self.dropout < 1, "from 0 to below 1"),
            (
                "--label-smoothing",
                self.label_smoothing,
                self.label_smoothing is None or 0 <= self.label_smoothing < 1,
                "from 0 to below 1",
            ),
            (
                "--learning-rate",
                self.learning_rate,
                0 < self.learning_rate <= 1,
                "above 0, 1 at most",
            ),
            ("--seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295"),
        )
        for flag, value, holds, rule in checks:
            if not holds:
                raise UsageError(
                    flag, f"it must be {rule}", received=value, fix="Choose another value"
                )
