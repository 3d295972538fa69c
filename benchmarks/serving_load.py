"""Load on a server: what is asked, and how long the answers take."""

import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def hammer(call: Callable[[], Any], threads: int, seconds: float, most: int) -> dict[str, float]:
    """Calls from some threads until the time or the number is up.

    Gives how many calls ended well and how many failed, the rate, p50 and p99 of the former.
    """
    took: list[float] = []
    failures: list[Exception] = []
    end, left = time.perf_counter() + seconds, [most]

    def work() -> None:
        own = []
        while time.perf_counter() < end and left[0] > 0:
            left[0] -= 1
            began = time.perf_counter()
            try:
                call()
            except Exception as error:  # of any kind: it is a failure
                failures.append(error)
                continue
            own.append(time.perf_counter() - began)
        took.extend(own)

    began = time.perf_counter()
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    passed = time.perf_counter() - began
    ordered = sorted(took)
    for error in failures[:1]:
        print(f"{len(failures)} failed, the first with {error}", file=sys.stderr)
    return {
        "requests": len(took),
        "failed": len(failures),
        "rate": round(len(took) / passed, 1),
        "p50_ms": round(1e3 * statistics.median(ordered), 2),
        "p99_ms": round(1e3 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 2),
    }


def inputs_of(signature: str, image: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of one request."""
    if signature == "serving_default":
        return {"images": image}
    wishes = {"target": np.array([-1], np.int32), "direction": np.array([1], np.int32)}
    return {"images": image, **wishes, "rho": np.array([0.1], np.float32)}


def asking(channel: Any, model: str, signature: str, image: np.ndarray) -> Callable[[], Any]:
    """Asks for one image by TF Serving's own stub, over and over the same; asked once already."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, value in inputs_of(signature, image).items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def call() -> None:
        stub.Predict(request, timeout=60)

    call()
    return call
