"""Labels that give a part of their weight to other classes: smoothed ones, or a teacher's."""

import math
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_classifier
from tfrobust.core.loading import load
from tfrobust.errors import InputError


@keras.saving.register_keras_serializable(package="tfrobust")
class SoftLabels:
    """Makes of each image's class the shares of all classes, which the loss then asks for.

    First the label's weight is smoothed: 1 − s for the class, and s spread over all K equally. Then
    `share` of it goes to what a teacher says of the clean image, however the image is perturbed on
    which the network is trained: so a network learns a robust one's answers as robust ones.

    Args:
        smoothing: s, from 0 to below 1.
        teacher: a path or a name of a network, as `tfrobust.load` takes it; None for none. It is
            asked in inference mode, once for each image and step, and is not trained.
        share: of the teacher's answer in the label, above 0 and at most 1. What a label says
            besides matters where the teacher is wrong.
        opened: whether the teacher is loaded. A saved file names a teacher, but opens none: who
            made the file could name a program. `open` loads it.

    Raises:
        InputError: a number is outside its range, nothing is asked for, or there is no such
            network.

    Source: smoothing: Szegedy et al., arXiv 1512.00567, section 7. The teacher: Zi et al., arXiv
    2108.07969, "robust soft labels" at temperature 1; there, a sixth of the loss is that of the
    clean images and all of it the teacher's.
    """

    def __init__(
        self,
        *,
        smoothing: float = 0.0,
        teacher: str | Path | None = None,
        share: float = 0.8,
        opened: bool = True,
    ) -> None:
        if not 0 <= smoothing < 1 or not 0 < share <= 1:
            raise InputError(
                "expected a smoothing from 0 to below 1 and a share above 0 and at most 1, got "
                f"{smoothing} and {share}"
            )
        if teacher is None and not smoothing:
            raise InputError("expected a smoothing above 0, or a teacher, got neither")
        self.smoothing, self.share = float(smoothing), float(share)
        self.teacher = None if teacher is None else str(teacher)
        self.answers: Classifier | None = None
        if opened:
            self.open()

    def open(self) -> None:
        """Loads the teacher.

        Raises:
            InputError: there is no such network.
        """
        if self.teacher is not None:
            self.answers = as_classifier(load(self.teacher))

    def check(
        self, image_shape: tuple[int, int, int], num_classes: int, target: float | None
    ) -> None:
        """Refuses what does not fit a network or the target of its ψ.

        Args:
            image_shape: (H, W, C) of the network.
            num_classes: K.
            target: the loss that ψ holds, in nats; None where it follows from the labels, or
                where there is no penalty.

        Raises:
            InputError: the teacher is one of other images or classes, or no answer's loss comes
                below the target.
        """
        if self.answers is not None:
            found = (tuple(self.answers.image_shape), self.answers.num_classes)
            if found != (tuple(image_shape), num_classes):
                raise InputError(
                    f"expected a teacher of images {tuple(image_shape)} and {num_classes} classes, "
                    f"as the network has them, got {self.teacher} of {found[0]} and {found[1]}"
                )
        if target is not None and (least := self.least(num_classes)) >= target:
            raise InputError(
                f"expected labels whose loss can fall below the target of psi, {target:.3g}, but "
                f"with smoothing {self.smoothing} no answer's loss is below {least:.3g}. Give psi "
                "a larger loss_target, or none"
            )

    def least(self, num_classes: int) -> float:
        """The least cross-entropy that an answer can have to these labels, in nats.

        With a teacher it is that where the teacher is sure and right; else it is more.
        """
        smoothing = self.smoothing * (1 if self.teacher is None else 1 - self.share)
        other = smoothing / num_classes
        first = 1 - smoothing + other
        if not other:
            return 0.0
        return -first * math.log(first) - (num_classes - 1) * other * math.log(other)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, num_classes: int) -> tf.Tensor:
        """The shares that stand for a batch's labels.

        Args:
            images: float (B, H, W, C) from 0 to 1, before they are perturbed.
            labels: int (B,) or (B, 1), or rows of shares (B, K).
            num_classes: K.

        Returns:
            float (B, K), each row of sum 1, without a gradient.

        Raises:
            InputError: there is a teacher that was not opened.
        """
        if self.teacher is not None and self.answers is None:
            raise InputError(
                f"expected an opened teacher, but a saved file only names {self.teacher}. If you "
                "trust whoever made the file, call open() of its soft_labels, or build the "
                "classifier anew"
            )
        if labels.shape.rank == 2 and labels.shape[-1] == num_classes:
            rows = tf.cast(labels, images.dtype)
        else:
            rows = tf.one_hot(tf.reshape(labels, [-1]), num_classes, dtype=images.dtype)
        rows = (1 - self.smoothing) * rows + self.smoothing / num_classes
        if self.answers is not None:
            told = tf.nn.softmax(tf.cast(self.answers(images), images.dtype))
            rows = (1 - self.share) * rows + self.share * told
        return tf.stop_gradient(rows)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same labels; a teacher by its path or name."""
        return {"smoothing": self.smoothing, "teacher": self.teacher, "share": self.share}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SoftLabels":
        """Labels from what `get_config` gave; a teacher is named, and not opened."""
        return cls(**config, opened=False)
