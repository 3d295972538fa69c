"""Training on one device, on the GPUs of one host, or on those of many hosts."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from tfrobust.datasets import DataSource
from tfrobust.datasets.names import Balance
from tfrobust.errors import ReportedError
from tfrobust.runs import cluster


class LostPeerError(ReportedError, RuntimeError):
    """Another host of the training went away."""


def choose(
    devices: Sequence[str] | None = None,
    *,
    peer_timeout: float = cluster.PEER_TIMEOUT,
    token: str = "",
) -> tf.distribute.Strategy:
    """Chooses TensorFlow's strategy of distribution.

    It is a MultiWorkerMirroredStrategy if TF_CONFIG names several hosts, a MirroredStrategy if
    this host has several devices, and TensorFlow's default if it has one. With many hosts, this
    must come before any other use of TensorFlow.

    Args:
        devices: names such as "GPU:0"; None for every GPU of this machine. A machine without a
            GPU has one CPU device, unless a test asked for more.
        peer_timeout: how long to wait for the other hosts, in seconds.
        token: a short line that must be the same on all hosts, such as a hash of the
            configuration.

    Returns:
        The strategy. The network must be made in its scope.

    Raises:
        InputError: TF_CONFIG cannot be used.
        MissingPeerError: a host did not come; it is named.
    """
    hosts = cluster.read()
    if hosts is not None and devices is None:
        cluster.meet(hosts, token=token, timeout=peer_timeout)
        return tf.distribute.MultiWorkerMirroredStrategy()
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = devices or [device.name for device in found]
    return tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.get_strategy()


def uses_jit(strategy: tf.distribute.Strategy, jit: bool | None) -> bool:
    """Whether XLA compiles the step.

    Args:
        strategy: of distribution.
        jit: what the user asked for. None: on one device only, because XLA fails on logical CPU
            devices. Without it two runs end in the same bytes only where TensorFlow runs one
            operator at a time: see `cli.program.import_tensorflow`.
    """
    return strategy.num_replicas_in_sync == 1 if jit is None else jit


@contextlib.contextmanager
def lost_peers_named(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Within it, TensorFlow's errors of a host that went away become a LostPeerError."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        if place(strategy)[1] == 1:
            raise
        tasks = re.findall(r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)", str(error))
        names = " or ".join(dict.fromkeys(f"{job} {index}" for job, index in tasks))
        raise LostPeerError(
            f"{names or 'another host'} went away; start the same command on all hosts again: it "
            "goes on from the last checkpoint"
        ) from None


def place(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """The number of this host, where 0 is the chief, and how many hosts there are."""
    many = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    if not many or (hosts := cluster.read()) is None:
        return 0, 1
    return hosts.index, len(hosts.names)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes."""
    return place(strategy)[0] == 0


def batches(
    strategy: tf.distribute.Strategy,
    source: DataSource,
    batch_size: int,
    *,
    seed: int,
    augmentation: str,
    start_step: int,
    balance: Balance = "none",
) -> Any:
    """The batches of a training. Each device gets its own part of every batch.

    Args:
        strategy: from `choose`.
        source: of the images.
        batch_size: images of a step over all devices; a multiple of their number.
        seed: as for `DataSource.train`.
        augmentation: as for `DataSource.train`.
        start_step: as for `DataSource.train`.
        balance: as for `DataSource.train`.

    Returns:
        An endless iterator over images, labels and perhaps weights, for `strategy.run`. Device i of
        n gets the i-th part of the rows that a single device would get.
    """
    replicas = strategy.num_replicas_in_sync

    def own(context: tf.distribute.InputContext) -> tf.data.Dataset:
        rows = batch_size // context.num_input_pipelines
        stream = source.train(
            batch_size,
            seed=seed,
            augmentation=augmentation,
            start_step=start_step,
            balance=balance,
            rows=(context.input_pipeline_id * rows, (context.input_pipeline_id + 1) * rows),
        )
        if replicas > context.num_input_pipelines:
            stream = stream.rebatch(batch_size // replicas, drop_remainder=True)
        # Hosts that know it to be endless need not ask each other at every step if there is more.
        return stream.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    return iter(strategy.distribute_datasets_from_function(own))


def from_chief(
    strategy: tf.distribute.Strategy, variables: Sequence[Any], numbers: Sequence[int]
) -> list[int]:
    """Gives every host the values that the chief restored. With one host, it does nothing.

    Args:
        strategy: from `choose`, with its scope entered.
        variables: Keras variables, in the same order on every host.
        numbers: whole numbers, of which only those of the chief count.

    Returns:
        The numbers of the chief.
    """
    if place(strategy)[1] == 1:
        return list(numbers)

    def chiefs() -> list[tf.Tensor]:
        context = tf.distribute.get_replica_context()
        first = tf.equal(context.replica_id_in_sync_group, 0)
        values = [tf.convert_to_tensor(variable) for variable in variables]
        values.append(tf.constant(numbers, tf.int64))
        # Collectives do not take unsigned numbers, such as the states of random generators.
        sent = [value if value.dtype.is_floating else tf.cast(value, tf.int64) for value in values]
        sent = [tf.where(first, value, tf.zeros_like(value)) for value in sent]
        got = list(sent)
        # They are sent in packets, and a packet holds one type only.
        for dtype in dict.fromkeys(value.dtype for value in sent):  # in the same order everywhere
            places = [number for number, value in enumerate(sent) if value.dtype == dtype]
            sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [sent[one] for one in places])
            for number, value in zip(places, sums, strict=True):
                got[number] = value
        return [tf.cast(new, old.dtype) for new, old in zip(got, values, strict=True)]

    received = [
        strategy.experimental_local_results(value)[0]
        for value in tf.function(lambda: strategy.run(chiefs))()
    ]
    for variable, value in zip(variables, received, strict=False):
        variable.assign(value)
    return [int(number) for number in received[-1]]
