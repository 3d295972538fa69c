"""The client for asyncio: the same answers, many at once."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.serving import AsyncClient, Client, ServerError
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)


@pytest.fixture(params=["grpc", "rest"])
def address(request: pytest.FixtureRequest, server: Server) -> str:
    if request.param == "grpc":
        return f"127.0.0.1:{server.port}"
    return f"http://127.0.0.1:{server.rest_port}"


def test_gives_what_the_client_gives(address: str) -> None:
    async def asked() -> list[Any]:
        async with AsyncClient(address, model="tiny") as client:
            works: list[Coroutine[Any, Any, Any]] = [
                client.predict(IMAGES),
                client.explain(IMAGES, [0, 1, 2], direction=-1, rho=0.05),
                client.robustness(IMAGES),
                client.ask("serving_default", images=IMAGES),
                client.metadata(),
                client.status(),
            ]
            return await asyncio.gather(*works)

    found = asyncio.run(asked())
    with Client(address, model="tiny") as client:
        own = [
            client.predict(IMAGES),
            client.explain(IMAGES, [0, 1, 2], direction=-1, rho=0.05),
            client.robustness(IMAGES),
        ]
        assert found[4:] == [client.metadata(), client.status()]
    for expected, got in zip(own, found, strict=False):
        assert type(expected) is type(got)
        for one, other in zip(expected, got, strict=True):
            if not isinstance(one, list):
                np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found[3]["logits"], found[0].logits, rtol=1e-6)


def test_large_batches_and_many_at_once(address: str) -> None:
    images = np.random.default_rng(1).random((70, 28, 28, 1), np.float32)

    async def asked() -> list[Any]:
        async with AsyncClient(address, model="tiny") as client:
            return await asyncio.gather(*(client.predict(images) for _ in range(4)))

    assert [found.logits.shape for found in asyncio.run(asked())] == [(70, 10)] * 4


def test_errors(address: str) -> None:
    async def refused() -> None:
        async with AsyncClient(address, model="other") as client:
            await client.predict(IMAGES)

    with pytest.raises(ServerError, match="is other its name there"):
        asyncio.run(refused())

    async def nobody() -> None:
        scheme = "http://" if address.startswith("http") else ""
        async with AsyncClient(f"{scheme}127.0.0.1:9", model="tiny", timeout=1) as client:
            await client.status()

    began = time.monotonic()
    with pytest.raises(ServerError, match="is it running"):
        asyncio.run(nobody())
    assert time.monotonic() - began < 3
    with pytest.raises(InputError, match="above 0"):
        AsyncClient(address, model="tiny", timeout=0)


def test_a_task_that_is_cancelled_frees_the_server(models_folder) -> None:
    settings = Settings(port=0, rest_port=None, most_images=10**6, message_bytes=2**28)
    images = np.zeros((4000, 28, 28, 1), np.float32)
    with Server(models_folder, settings) as server:

        async def leave() -> None:
            client = AsyncClient(
                f"127.0.0.1:{server.port}", model="tiny", most_images=10**6, message_bytes=2**28
            )
            async with client:
                task = asyncio.create_task(client.explain(images))
                await asyncio.sleep(1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

        asyncio.run(leave())
        began = time.monotonic()
        while server.engine.is_busy:
            assert time.monotonic() - began < 2
            time.sleep(0.02)
