"""Numbers in answers by REST, and in what is sent, of other types than told."""

from typing import Any

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.serving import Client, ServerError


def answering(monkeypatch: pytest.MonkeyPatch, dtype: str, value: Any) -> Client:
    """A client whose server gives one output of a type."""
    spec = {"dtype": dtype, "tensor_shape": {"dim": [{"size": "-1"}]}}
    signatures = {"serving_default": {"inputs": {}, "outputs": {"x": spec}}}
    told = {"metadata": {"signature_def": {"signature_def": signatures}}, "outputs": value}
    client = Client("http://127.0.0.1:1", model="m")
    monkeypatch.setattr(client._channel, "_call", lambda path, body=None: told)
    return client


@pytest.mark.parametrize(
    ("dtype", "value", "said"),
    [
        ("DT_INT8", [1, 128], "expected numbers that int8 has, got 128"),
        ("DT_UINT8", [-1], "expected numbers that uint8 has, got -1"),
        ("DT_INT32", [1.5], "expected numbers that int32 has, got 1.5"),
        ("DT_FLOAT", [1e39], "expected numbers that float32 has, got 1e\\+39"),
        ("DT_FLOAT", [None], "expected numbers of float32, got others"),
        ("DT_FLOAT", [[1], [2, 3]], "inhomogeneous"),
        ("DT_COMPLEX64", [1], "a tensor of complex64, which this client does not read"),
    ],
)
def test_numbers_that_a_type_does_not_have(monkeypatch, dtype: str, value: Any, said: str) -> None:
    with pytest.raises(ServerError, match=said) as error:
        answering(monkeypatch, dtype, value).ask("serving_default")
    assert error.value.code == "UNKNOWN"


def test_types_are_named_as_by_grpc(monkeypatch) -> None:
    found = answering(monkeypatch, "DT_BFLOAT16", []).metadata()
    assert found["serving_default"]["outputs"] == {"x": ("bfloat16", (-1,))}


@pytest.mark.parametrize("server", ["localhost:1", "http://localhost:1"])
def test_an_array_that_servers_do_not_take_is_not_sent(server: str) -> None:
    with (
        Client(server, model="m", timeout=0.1) as client,
        pytest.raises(InputError, match=r"expected an array of float32, .* got complex64"),
    ):
        client.ask("serving_default", x=np.zeros(2, np.complex64))


@pytest.mark.parametrize(
    ("targets", "said"),
    [(2**32 + 1, "int32 has, got 4294967297"), ([1.5], "got 1.5"), ("Coat", "invalid literal")],
)
def test_targets_are_not_wrapped(targets: Any, said: str) -> None:
    client = Client("localhost:1", model="m", timeout=0.1)
    with pytest.raises(InputError, match=f"expected the numbers of classes or labels.*{said}"):
        client.explain(np.zeros((1, 2, 2, 1), np.float32), targets)
