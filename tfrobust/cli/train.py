"""Trains a robust classifier, measures, explains and exports it."""

import contextlib
import dataclasses
import difflib
from pathlib import Path
from typing import Any

from absl import flags

from tfrobust.cli import flags as config_flags
from tfrobust.cli import program, workers
from tfrobust.core.mirror import Mirror, mirrored
from tfrobust.core.remote import is_address
from tfrobust.errors import InputError
from tfrobust.models.names import ARCHITECTURES
from tfrobust.runs import cluster, network_files, recipes
from tfrobust.runs.config import Config
from tfrobust.runs.sections import AdversarialConfig

ABOUT = """Trains a robust image classifier, measures its Accuracy-Robustness Area, explains test
images and exports the network to saved_models/.

With no flag: the embedded Fashion-MNIST images, minutes on two CPU cores. The same command
resumes an unfinished run. For instance:
  PROGRAM --dataset cifar10 --data_dir /data/tfds
  PROGRAM --dataset imagenet2012 --data_dir /data/tfds
  PROGRAM --dataset folder:/path/to/images --epochs 20
  PROGRAM --dataset folder:/path/to/images --network keras:MobileNetV3Small"""

FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "recipe",
    None,
    f"what the other flags change: one of {', '.join(recipes.RECIPES)}; default: the dataset's",
    flag_values=FLAGS,
)
flags.DEFINE_string("runs_dir", "runs", "folder of the runs", flag_values=FLAGS)
flags.DEFINE_string(
    "run_dir",
    None,
    "this very run folder, or its address (s3://…); default: a new one in --runs_dir",
    flag_values=FLAGS,
)
flags.DEFINE_bool("fresh", False, "start anew, whatever is unfinished", flag_values=FLAGS)
flags.DEFINE_string(
    "saved_models", "saved_models", "folder or address of the exports", flag_values=FLAGS
)
flags.DEFINE_bool(
    "jit",
    None,
    "compile the training step with XLA; default: on one device. On a CPU --nojit may be faster "
    "or slower; both end in the same bytes from run to run",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "peer_timeout",
    cluster.PEER_TIMEOUT,
    "with many hosts (TF_CONFIG), how long to wait for the others, seconds",
    lower_bound=0.1,
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "cpu_devices",
    1,
    "split the CPU into so many devices, to test distribution; no faster",
    lower_bound=1,
    upper_bound=64,
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "ray",
    None,
    "train in the workers of the Ray cluster at this address, such as auto; or here, on this "
    "machine. A training that loses a worker goes on from the last checkpoint",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "workers",
    None,
    "with --ray, how many; default: one for each GPU, or for each machine",
    lower_bound=1,
    flag_values=FLAGS,
)


config_flags.define(FLAGS)
flags.DEFINE_alias("network", "architecture", flag_values=FLAGS)


def chosen_config(values: Any) -> Config:
    """The configuration that the flags ask for: a recipe's, with what other flags say.

    Raises:
        InputError: an unknown recipe, or a value that a field cannot have.
    """
    if values.recipe is None:
        config = recipes.for_dataset(values.dataset or "fashion_mnist_mini")
    elif values.recipe in recipes.RECIPES:
        config = recipes.RECIPES[values.recipe]()
    else:
        near = difflib.get_close_matches(values.recipe, recipes.RECIPES, n=3, cutoff=0.3)
        raise InputError(
            f"expected --recipe to be one of {', '.join(recipes.RECIPES)}; got {values.recipe!r}"
            + (f". Did you mean {' or '.join(near)}?" if near else "")
        )
    if values.adversarial == "none":
        # The recipe's numbers of a method that is no longer wanted go with it.
        config = dataclasses.replace(config, adversarial=AdversarialConfig())
    given = config_flags.given(values)
    own = given.get("network.architecture", ARCHITECTURES[0]) not in ARCHITECTURES
    of_loss = given.get("penalty.of") == "loss"
    if (own or of_loss) and not {"psi.initial", "psi.initial_share"} & given.keys():
        given["psi.initial_share"] = recipes.SHARE_OF_OTHERS
    return config.replace(given)


def train(values: Any) -> None:
    """Checks the flags, then does the whole run."""
    with config_flags.errors_name_flags(values), program.resumable("Nothing is lost."):
        _train(values)


def _train(values: Any) -> None:
    from tfrobust.datasets.groups import read_labels
    from tfrobust.datasets.names import validate

    config = chosen_config(values)
    validate(config.data.name, config.data.data_dir)
    read_labels(config.data.labels, config.data.group)
    network_files.check(config.network)
    config.annotations.check()
    hosts = cluster.read()
    if hosts is not None and values.cpu_devices > 1:
        raise InputError("expected --cpu_devices 1 with TF_CONFIG: it is for one host")
    if values.ray:
        _check_ray(values, hosts)
    elif values.workers:
        raise InputError(
            "--workers goes with --ray, which starts them. Without it, all GPUs of this machine "
            "train; for several machines, call the program on each with TF_CONFIG"
        )
    for place in (values.run_dir or values.runs_dir, values.saved_models):
        if not is_address(place):
            program.check_writable(Path(place))
    if is_address(values.runs_dir):
        raise InputError("--runs_dir is a folder of this machine; --run_dir takes an address")
    with contextlib.ExitStack() as places:
        run_dir = None
        if values.run_dir is not None:
            run_dir = places.enter_context(mirrored(values.run_dir))
        models = places.enter_context(mirrored(values.saved_models, versions=True))
        told = _trained(values, config, hosts is not None, run_dir, models)
        print(models.told(run_dir.told(told) if run_dir else told), end="")


def _trained(
    values: Any, config: Config, hosts: bool, run_dir: Mirror | None, saved_models: Mirror
) -> str:
    """Does the run; → what is to be printed, which on other hosts than the chief is nothing."""
    many = hosts or values.ray is not None
    alone = not many and values.cpu_devices == 1
    program.import_tensorflow(
        cpu_devices=values.cpu_devices,
        many_hosts=many,
        one_at_a_time=alone and values.jit is False,
    )
    arguments = {
        "runs_dir": Path(values.runs_dir),
        "run_dir": run_dir and run_dir.path,
        "fresh": values.fresh,
        "saved_models": saved_models.path,
        "jit": values.jit,
        "peer_timeout": values.peer_timeout,
    }
    if values.ray:
        from tfrobust.cli import ray_training

        found = ray_training.run(config, arguments, address=values.ray, count=values.workers)
        return f"{found}\n"
    from tfrobust.runs import stages

    summary = stages.run(config, **arguments)
    return "" if summary is None else f"{summary}\n"


def _check_ray(values: Any, hosts: cluster.Cluster | None) -> None:
    """Refuses what cannot be had together with --ray.

    Raises:
        InputError: names it.
    """
    if hosts is not None:
        raise InputError("--ray goes without TF_CONFIG, which Ray sets for its own workers")
    if values.cpu_devices > 1:
        raise InputError("--ray goes without --cpu_devices: its --workers are processes")
    if address := next(filter(is_address, (values.run_dir or "", values.saved_models)), None):
        raise InputError(f"--ray goes without addresses: its workers share a disk; got {address}")
    workers.check_ray(values.ray)


def main() -> None:
    """The program."""
    program.run(train, FLAGS, ABOUT)
