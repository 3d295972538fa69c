"""Versions that come, fail, are repaired and are deleted, as TF Serving takes them."""

import collections
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfrobust.serving import Client, ServerError
from tfrobust.serving.local import Server
from tfrobust.serving.models import Models
from tfrobust.serving.policy import Policy
from tfrobust.serving.settings import Settings

NAME = "tiny"
IMAGES = np.random.default_rng(0).random((1, 28, 28, 1), np.float32)


@pytest.fixture
def put(version, tmp_path: Path) -> Callable[[int], Path]:
    def put(number: int) -> Path:
        target = tmp_path / NAME / str(number)
        shutil.copytree(version[1], target.with_suffix(".tmp"))
        target.with_suffix(".tmp").rename(target)
        return target

    put(1)
    return put


@pytest.fixture
def models(put, tmp_path: Path) -> Iterator[Models]:
    models = Models(tmp_path, poll_seconds=0.05, tell=lambda line: None)
    yield models
    models.close()


def states(models: Models) -> dict[int, str]:
    names = {20: "LOADING", 30: "AVAILABLE", 50: "END"}
    return {number: names[state] for number, (state, _) in models.status(NAME).items()}


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def newest(models: Models) -> int:
    found = models.get(NAME)
    assert found is not None
    return found.number


def test_a_version_that_failed_is_tried_again_once_it_has_changed(put, models) -> None:
    broken = models.root / NAME / "2"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"garbage")
    wait(lambda: states(models).get(2) == "END")
    assert newest(models) == 1 and models.status(NAME)[2][1]
    shutil.rmtree(broken)
    put(2)
    wait(lambda: newest(models) == 2)
    assert states(models) == {1: "END", 2: "AVAILABLE"} and models.status(NAME)[2][1] == ""


def test_a_version_that_is_still_being_copied_is_taken_when_it_is_whole(
    version, models: Models
) -> None:
    slow = models.root / NAME / "2"
    slow.mkdir()
    shutil.copy(version[1] / "saved_model.pb", slow)
    wait(lambda: states(models).get(2) == "END")
    shutil.copytree(version[1] / "variables", slow / "variables")
    wait(lambda: newest(models) == 2)
    # Its labels come last.
    (slow / "assets.extra").mkdir()
    (slow / "assets.extra" / "labels.txt").write_text("a\nb\n")
    assert models.get(NAME).labels == ["a", "b"]


def test_the_version_before_answers_when_the_newest_is_deleted(put, models: Models) -> None:
    newer = put(2)
    wait(lambda: newest(models) == 2)
    shutil.rmtree(newer)
    wait(lambda: newest(models) == 1)
    wait(lambda: states(models) == {1: "AVAILABLE", 2: "END"})
    put(2)
    wait(lambda: newest(models) == 2)


def test_a_broken_newest_version_does_not_keep_a_server_from_starting(put, tmp_path) -> None:
    (tmp_path / NAME / "2").mkdir()
    (tmp_path / NAME / "2" / "saved_model.pb").write_bytes(b"garbage")
    models = Models(tmp_path, tell=lambda line: None)
    assert newest(models) == 1
    models.close()


def test_the_last_version_stays_if_all_is_deleted(models: Models) -> None:
    shutil.rmtree(models.root / NAME)
    time.sleep(0.3)
    assert newest(models) == 1 and states(models) == {1: "AVAILABLE"}


def test_policies() -> None:
    assert Policy().choose([1, 3, 2]) == ([3, 2, 1], 1)
    assert Policy(latest=2).choose([1, 3, 2]) == ([3, 2, 1], 2)
    assert Policy(latest=None).choose([1, 3, 2]) == ([3, 2, 1], 3)
    assert Policy(specific=frozenset({1, 2, 9})).choose([1, 3, 2]) == ([2, 1], 2)


@pytest.mark.slow
def test_labels_answer_while_a_new_policy_is_brought_about(
    put, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(2)
    models.configure({NAME: Policy(latest=2, labels={"stable": 1})})
    look, seen = models._look, []
    monkeypatch.setattr(
        models, "_look", lambda: (seen.append(models.labelled(NAME, "stable")), look())
    )
    models.configure({NAME: Policy(latest=2, labels={"stable": 2})})
    assert set(seen) == {1} and models.labelled(NAME, "stable") == 2


@pytest.mark.slow
def test_no_request_fails_while_versions_come_and_go(put, tmp_path: Path) -> None:
    stop, failures = threading.Event(), []
    answered: collections.Counter[int] = collections.Counter()

    def by_grpc() -> None:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = NAME
        request.inputs["images"].CopyFrom(tf.make_tensor_proto(IMAGES))
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            while not stop.is_set():
                try:
                    answered[stub.Predict(request, timeout=60).model_spec.version.value] += 1
                except grpc.RpcError as error:
                    failures.append(str(error))

    def by_rest() -> None:
        with Client(f"http://127.0.0.1:{server.rest_port}", model=NAME) as client:
            while not stop.is_set():
                try:
                    answered[0] += len(client.predict(IMAGES).class_name)
                except ServerError as error:
                    failures.append(str(error))

    settings = Settings(port=0, rest_port=0, poll_seconds=0.05, queue=64)
    with Server(tmp_path, settings) as server:
        models = server.engine.models
        asking = [threading.Thread(target=by_grpc) for _ in range(4)]
        asking += [threading.Thread(target=by_rest) for _ in range(2)]

        def answers(number: int) -> None:
            """Waits until clients are answered by a version, and by REST (0) meanwhile."""
            wait(lambda: newest(models) == number)
            before = answered[number], answered[0]
            wait(lambda: answered[number] > before[0] and answered[0] > before[1])

        for thread in asking:
            thread.start()
        try:
            for _ in range(5):
                newer = put(2)  # a swap
                answers(2)
                shutil.rmtree(newer)  # a rollback
                answers(1)
                newer.mkdir()  # a version that fails, and is repaired
                (newer / "saved_model.pb").write_bytes(b"garbage")
                wait(lambda: bool(models.status(NAME)[2][1]))
                shutil.rmtree(newer)
                put(2)
                answers(2)
                put(3)
                answers(3)
                for number in (3, 2):
                    shutil.rmtree(tmp_path / NAME / str(number))
                answers(1)
        finally:
            stop.set()
            for thread in asking:
                thread.join()
    assert not failures
    assert set(answered) == {0, 1, 2, 3}


CANARY = """model_config_list { config {
    name: "tiny" %s
    model_version_policy { specific { versions: 1 versions: 2 } }
    version_labels { key: "stable" value: 1 }
    version_labels { key: "canary" value: %d }
} }"""


def test_labels_and_policies_are_set_by_a_request(put, tmp_path: Path) -> None:
    put(2)
    with (
        Server(tmp_path, Settings(port=0, rest_port=None, poll_seconds=0.05)) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):

        def reload(text: str) -> tuple[int, str]:
            request = model_management_pb2.ReloadConfigRequest()
            text_format.Parse(text, request.config)
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            told = stub.HandleReloadConfigRequest(request, timeout=60).status
            return told.error_code, told.error_message

        def answers(label: str) -> int | str:
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.version_label = NAME, label
            request.inputs["images"].CopyFrom(tf.make_tensor_proto(IMAGES))
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            try:
                return stub.Predict(request, timeout=60).model_spec.version.value
            except grpc.RpcError as error:
                return error.code().name

        assert reload("") == (0, "") and answers("stable") == "INVALID_ARGUMENT"
        assert reload(CANARY % ("", 2)) == (0, "")
        assert (answers("stable"), answers("canary"), answers("")) == (1, 2, 2)
        code, words = reload(CANARY % ("", 7))
        assert code == 9 and "assign label to version 7 of model tiny" in words
        assert (answers("stable"), answers("canary")) == (1, 2)
        for text, said in (
            (CANARY % ('base_path: "/etc"', 2), "as base_path, got /etc"),
            ('model_config_list { config { name: "../x" } }', "expected a model of"),
            (
                'model_config_list { config { name: "tiny" } config { name: "tiny" } }',
                "multiple times",
            ),
            ('model_config_list { config { name: "tiny" model_platform: "x" } }', "platform"),
            ("custom_model_config { }", "model_config_list"),
        ):
            code, words = reload(text)
            assert code == 3 and said in words
        assert reload('model_config_list { config { name: "tiny" } }') == (0, "")
        assert answers("stable") == "INVALID_ARGUMENT"
