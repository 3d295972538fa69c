"""The signatures of an exported model as models of KServe's server."""

import asyncio
import concurrent.futures
import functools
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kserve
import orjson
import tensorflow as tf
from kserve.errors import InvalidInput

from tfrobust.errors import InputError
from tfrobust.serving import rest_json
from tfrobust.serving.engine import DEFAULT_SIGNATURE, Announced, Engine
from tfrobust.serving.kserve import explain_rows, tensors
from tfrobust.serving.kserve.unavailable import Unavailable
from tfrobust.serving.models import Models
from tfrobust.serving.refused import Refused
from tfrobust.serving.settings import Settings
from tfrobust.serving.version import SAVED_MODEL, Version


class Served:
    """One model, its newest version loaded, with the local server's bounds on what is asked.

    New versions in the folder are taken up while it serves.

    Args:
        name: the model's name.
        folder: holds <version>/saved_model.pb, as `tfrobust.export` writes it and TF Serving wants
            it. It is where KServe puts what `storageUri` names.
        settings: how much to take on. Its addresses are not used: KServe's server has its own.

    Raises:
        InputError: the folder holds no version that can be loaded.
    """

    def __init__(self, name: str, folder: Path, settings: Settings) -> None:
        # KServe mounts a model's folder by a name of its own, such as /mnt/models.
        self._root = tempfile.TemporaryDirectory()
        (Path(self._root.name) / "model").symlink_to(folder.resolve())
        self.name = name
        try:
            self._models = Models(Path(self._root.name), poll_seconds=settings.poll_seconds)
        except InputError:
            self._root.cleanup()
            raise InputError(
                f"expected a folder of versions at {folder}, as <number>/{SAVED_MODEL}; there is "
                "none that can be loaded. Name the folder above the version's"
            ) from None
        self._engine = Engine(self._models, settings)
        # As many as may be computed or wait, so that predictions never wait for explanations.
        self._threads = concurrent.futures.ThreadPoolExecutor(settings.threads)
        # Parsed JSON takes many times its bytes, so only one body is read at a time.
        self._parsing = threading.Lock()

    @property
    def version(self) -> Version:
        """The newest version that is loaded."""
        return self._engine.find("model")

    def close(self) -> None:
        """Stops looking for new versions, and drops what is still computed."""
        self._engine.drop_all()
        self._models.close()
        self._threads.shutdown(wait=False)
        self._root.cleanup()

    async def answer(self, version: Version, signature: str, inputs: dict[str, Announced]) -> Any:
        """Calls a signature in a thread; the work is dropped if the request is.

        Args:
            version: the version to ask.
            signature: the signature's name.
            inputs: an array for each input, perhaps not unpacked yet.

        Returns:
            An array for each output.

        Raises:
            InvalidInput: the inputs do not fit the signature.
            Unavailable: too many requests wait.
        """
        return await self._in_thread(
            functools.partial(self._engine.answer, version, signature, inputs)
        )

    async def answer_json(self, body: Any) -> dict[str, Any]:
        """Answers a body of V1, which is TF Serving's JSON.

        Args:
            body: what was parsed already.

        Returns:
            The body of the answer.

        Raises:
            InvalidInput: the body fits no signature.
            Unavailable: too many requests wait.
        """
        return await self._in_thread(functools.partial(self._answered, self.version, body))

    def _answered(self, version: Version, body: Any, left: threading.Event) -> dict[str, Any]:
        with self._parsing:
            asked = rest_json.read(orjson.dumps(body), version)
        inputs = {name: Announced.of(array) for name, array in asked.inputs.items()}
        found = self._engine.answer(version, asked.signature, inputs, left)
        return rest_json.write(found, by_row=asked.by_row)

    async def _in_thread(self, work: Callable[[threading.Event], Any]) -> Any:
        left = threading.Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, left)
        except Refused as refused:
            if refused.code in ("INVALID_ARGUMENT", "FAILED_PRECONDITION"):
                raise InvalidInput(str(refused)) from None
            raise Unavailable(self.name, str(refused)) from None
        finally:
            left.set()


class SignatureModel(kserve.Model):
    """One signature of a model, under a name of its own.

    V1 has `:predict` and `:explain`. The Open Inference Protocol has neither signatures nor
    explanations, so each signature is a model with metadata of its own.

    Args:
        name: the name to ask for.
        served: the model.
        signature: the signature that answers.
    """

    def __init__(self, name: str, served: Served, signature: str) -> None:
        super().__init__(name)
        self._served, self._signature = served, signature
        self.ready = True

    async def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
        """Answers `:predict` of V1 and `infer` of the Open Inference Protocol.

        Args:
            payload: a request of either protocol.
            headers: of the request; they say nothing.

        Returns:
            The answer in the same protocol.

        Raises:
            InvalidInput: the request does not fit the signature.
            Unavailable: too many requests wait.
        """
        if isinstance(payload, kserve.InferRequest):
            return await self._inferred(payload)
        body = _json_object(payload)
        body.setdefault("signature_name", self._signature)
        if body["signature_name"] == explain_rows.SIGNATURE and "instances" in body:
            body = explain_rows.completed(body)
        return await self._served.answer_json(body)

    async def explain(self, payload: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Answers `:explain` of V1.

        Args:
            payload: what `explain_rows.completed` takes.
            headers: of the request; they say nothing.

        Returns:
            {"explanations": rows}, each with the outputs of the signature `explain`.

        Raises:
            InvalidInput: the request does not fit the signature, or the model has none.
            Unavailable: too many requests wait.
        """
        answered = await self._served.answer_json(explain_rows.completed(_json_object(payload)))
        return {"explanations": answered["predictions"]}

    def get_input_types(self) -> list[dict[str, object]]:
        """The inputs, for metadata."""
        return tensors.described(self._served.version.inputs[self._signature])

    def get_output_types(self) -> list[dict[str, object]]:
        """The outputs, for metadata."""
        definition = self._served.version.signatures[self._signature]
        return tensors.described(
            {
                name: tf.TensorSpec(one.tensor_shape, tf.dtypes.as_dtype(one.dtype))
                for name, one in definition.outputs.items()
            }
        )

    async def _inferred(self, request: kserve.InferRequest) -> kserve.InferResponse:
        version = self._served.version
        wanted = [one.name for one in request.request_outputs or ()]
        known = version.signatures[self._signature].outputs
        if unknown := sorted(set(wanted) - set(known)):
            raise InvalidInput(
                f"output(s) {', '.join(unknown)} not in the signature, which gives "
                f"{', '.join(sorted(known))}"
            )
        inputs = tensors.announced(request, self._signature)
        found = await self._served.answer(version, self._signature, inputs)
        return kserve.InferResponse(
            response_id=request.id,
            model_name=self.name,
            model_version=str(version.number),
            infer_outputs=tensors.outputs({name: found[name] for name in wanted or found}),
            use_binary_outputs=request.use_binary_outputs,
            requested_outputs=request.request_outputs,
        )


def signature_models(served: Served) -> list[SignatureModel]:
    """The models of one server: NAME, and NAME-SIGNATURE for each further signature.

    Args:
        served: the model.

    Returns:
        Such as cifar10, cifar10-explain, cifar10-robustness and cifar10-predict_bytes.
    """
    return [
        SignatureModel(
            served.name if signature == DEFAULT_SIGNATURE else f"{served.name}-{signature}",
            served,
            signature,
        )
        for signature in sorted(served.version.signatures)
    ]


def _json_object(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise InvalidInput("expected a JSON object, with 'instances' or 'inputs'")
    return dict(payload)
