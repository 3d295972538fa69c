"""The parts of an evaluation that several processes share, as flags say them."""

import re
from typing import Any

from absl import flags

from tfrobust.errors import InputError

GROUP = "shards: parts that several processes do"


def define(values: flags.FlagValues) -> None:
    """Makes the flags --shard and --merge.

    Args:
        values: where to.
    """
    common: dict[str, Any] = {"flag_values": values, "module_name": GROUP}
    flags.DEFINE_string("shard", None, "do one part, such as 3/8, and write no report", **common)
    merge = "write the report of all parts, which are done; with --shard, if they are"
    flags.DEFINE_bool("merge", False, merge, **common)


def given(values: Any) -> tuple[int, int] | None:
    """The part to do; None for all.

    Args:
        values: the flags: those above, fresh, workers and ray.

    Raises:
        InputError: it is no part, or the flags contradict each other.
    """
    if values.merge and (values.fresh or values.workers or values.ray):
        raise InputError("--merge only writes the report: leave --fresh, --workers and --ray out")
    if values.shard is None:
        return None
    if values.fresh or values.workers or values.ray:
        raise InputError("--shard goes without --fresh, --workers and --ray")
    parts = re.fullmatch(r"(\d{1,6})/(\d{1,6})", values.shard)
    if not parts or not 1 <= int(parts[1]) <= int(parts[2]):
        raise InputError(f"expected --shard from 1/n to n/n, such as 3/8, got {values.shard!r}")
    return int(parts[1]), int(parts[2])
