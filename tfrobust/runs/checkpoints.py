"""Checkpoints of a training, which may be killed at any moment."""

import shutil
from pathlib import Path

import keras
import tensorflow as tf
from tqdm import tqdm

from tfrobust.core.files import write_atomically
from tfrobust.errors import InputError, reason_of
from tfrobust.training.classifier import RobustClassifier

KEPT = 2


class Checkpoints:
    """The newest two checkpoints of a training, step-<number>.

    A kill leaves at least one of them whole, because of the order: TensorFlow writes a checkpoint
    under a temporary name, its index last. Then the state file is written, by which TensorFlow's
    own tools find the newest. Only then the oldest is removed.

    Args:
        folder: of the checkpoints.
        classifier: what is saved: the variables of the network, the integral of ψ, and the slots
            of the optimizer, and the states of random generators in the network.
    """

    def __init__(self, folder: Path, classifier: RobustClassifier) -> None:
        self.folder = folder
        parts = {"classifier": classifier, "optimizer": classifier.optimizer}
        # TensorFlow does not find the states of Keras' random generators, as Dropout has one.
        if random := [
            variable.value
            for variable in classifier.network.variables
            if keras.backend.is_int_dtype(variable.dtype)
        ]:
            parts["random"] = random
        self.checkpoint = tf.train.Checkpoint(**parts)
        self.newest: Path | None = None

    def restore(self) -> int:
        """Loads the newest checkpoint that can be read whole. Damaged ones give a warning.

        Returns:
            The step of the checkpoint; 0 if there is none.

        Raises:
            InputError: the checkpoint is of another network.
        """
        for step in self._steps():
            path = str(self.folder / f"step-{step}")
            if reason := _damage(path):
                tqdm.write(f"warning: checkpoint {path} cannot be read ({reason}); trying older")
                continue
            try:
                status = self.checkpoint.read(path)
                status.assert_existing_objects_matched().expect_partial()
            except (AssertionError, ValueError) as error:
                raise InputError(
                    f"{path} holds another network than the configuration makes of this data "
                    f"({reason_of(error)}). Did the data's classes change, or did an "
                    "older tfrobust begin it? Name another `run_dir`, or start anew with `fresh`"
                ) from None
            self.newest = Path(path)
            return step
        return 0

    def save(self, step: int) -> None:
        """Writes a checkpoint. Removes all but the newest two, and what a kill left unfinished."""
        # CheckpointManager counts by a variable, which all hosts would have to make together.
        self.newest = Path(self.checkpoint.write(str(self.folder / f"step-{step}")))
        # Newer ones are damaged, or the training would have gone on from them.
        kept = [f"step-{older}" for older in reversed(self._steps()) if older <= step][-KEPT:]
        state = [f'model_checkpoint_path: "{kept[-1]}"\n']
        state += [f'all_model_checkpoint_paths: "{name}"\n' for name in kept]
        write_atomically(self.folder / "checkpoint", "".join(state).encode())
        for path in self.folder.glob("step-*"):
            if path.name.partition(".")[0] in kept:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _steps(self) -> list[int]:
        """The steps of the checkpoints that are there, the newest first."""
        numbers = [path.stem.removeprefix("step-") for path in self.folder.glob("step-*.index")]
        return sorted((int(number) for number in numbers if number.isdecimal()), reverse=True)


def _damage(path: str) -> str:
    """Why a checkpoint cannot be read whole, by the checksum of each tensor; "" if it can."""
    try:
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception as error:  # DataLossError, IndexError, RuntimeError: it depends on the damage
        return reason_of(error)
    return ""
