"""Which versions of a model are served, and what they are called."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """TF Serving's model_version_policy and version_labels.

    Args:
        latest: how many of the newest versions are served; None for all.
        specific: the numbers of those that are served, in the place of the newest ones.
        labels: a label → the number of its version.
    """

    latest: int | None = 1
    specific: frozenset[int] | None = None
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def choose(self, there: list[int]) -> tuple[list[int], int]:
        """Which versions to try, the newest first, and how many of them to serve.

        Args:
            there: the numbers of the versions that are there.
        """
        newest_first = sorted(there, reverse=True)
        if self.specific is not None:
            chosen = [number for number in newest_first if number in self.specific]
            return chosen, len(chosen)
        return newest_first, len(there) if self.latest is None else self.latest


def policies_of(config: Any, root: Path) -> dict[str, Policy]:
    """Reads TF Serving's ModelServerConfig.

    Args:
        config: the message.
        root: the folder of models. Nothing outside it can be served.

    Returns:
        The model's name → its policy.

    Raises:
        ValueError: the message asks for what this server does not do.
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise ValueError("expected a model_config_list")
    found: dict[str, Policy] = {}
    for one in config.model_config_list.config:
        if one.name in found:
            raise ValueError(f"Illegal to list model {one.name} multiple times in config list")
        there = {folder.name for folder in root.iterdir() if folder.is_dir()}
        if one.name not in there:
            raise ValueError(f"expected a model of {sorted(there)}, got {one.name}")
        if one.base_path and Path(one.base_path).resolve() != (root / one.name).resolve():
            raise ValueError(f"expected {root / one.name} as base_path, got {one.base_path}")
        if one.model_platform not in ("", "tensorflow"):
            raise ValueError(f"expected the platform tensorflow, got {one.model_platform}")
        wanted = one.model_version_policy
        kind = wanted.WhichOneof("policy_choice")
        found[one.name] = Policy(
            latest=None if kind == "all" else max(wanted.latest.num_versions, 1),
            specific=frozenset(wanted.specific.versions) if kind == "specific" else None,
            labels=dict(one.version_labels),
        )
    return found
