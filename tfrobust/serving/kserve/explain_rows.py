"""What `:explain` takes: the body of `:predict`, with wishes if there are any."""

from collections.abc import Mapping
from typing import Any

from kserve.errors import InvalidInput

SIGNATURE = "explain"
# What a request need not say: the class that the network predicts, made surer, by an RMSE of 0.1.
DEFAULTS: Mapping[str, float] = {"target": -1, "direction": 1, "rho": 0.1}


def completed(body: Any) -> dict[str, Any]:
    """The request to the signature `explain` that a body of V1 makes.

    Args:
        body: {"instances": rows}. A row is an image, or an object with `images` and any of
            `target`, `direction` and `rho`.

    Returns:
        The same with every input in every row.

    Raises:
        InvalidInput: the body is nothing of the kind.
    """
    rows = body.get("instances") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not rows:
        raise InvalidInput("expected an object with 'instances' as a list that is not empty")
    whole = [row if isinstance(row, dict) else {"images": row} for row in rows]
    return {
        "signature_name": SIGNATURE,
        "instances": [{**DEFAULTS, **row} for row in whole],
    }
