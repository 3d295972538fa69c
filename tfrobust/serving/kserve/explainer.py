"""An explainer of KServe: it asks the predictor beside it, which is the model itself."""

from typing import Any

import httpx
import kserve
from kserve.errors import InvalidInput

from tfrobust.serving.kserve.explain_rows import completed
from tfrobust.serving.kserve.unavailable import Unavailable


class PredictorExplainer(kserve.Model):
    """Answers V1 `:explain` by the signature `explain` of a predictor.

    The predictor speaks TF Serving's REST. The gradients are computed where the model is, and
    nothing here. `:predict` is passed on as it is. The predictor's address is KServe's own
    `--predictor_host`, the time that it may take `--predictor_request_timeout_seconds`.

    Args:
        name: the model's name, which is also its name on the predictor.
        most_images: the most images of one request.
    """

    def __init__(self, name: str, most_images: int) -> None:
        super().__init__(name)
        self._most_images = most_images
        self.ready = True

    async def explain(self, payload: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Explains images.

        Args:
            payload: the body of the request, as `completed` takes it.
            headers: of the request. KServe passes on who asks.

        Returns:
            {"explanations": rows}, each with the outputs of the signature `explain`.

        Raises:
            InvalidInput: the body is not as expected, or the predictor refuses it.
            Unavailable: the predictor does not answer, or fails.
        """
        asked = completed(payload)
        if len(asked["instances"]) > self._most_images:
            raise InvalidInput(
                f"expected at most {self._most_images} images, got {len(asked['instances'])}"
            )
        return {"explanations": (await self._asked(asked, headers))["predictions"]}

    async def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
        """Passes a request of V1 on to the predictor.

        Args:
            payload: the body of the request.
            headers: of the request.

        Returns:
            What the predictor answers.

        Raises:
            InvalidInput: it is no request of V1, or the predictor refuses it.
            Unavailable: the predictor does not answer, or fails.
        """
        if not isinstance(payload, dict):
            raise InvalidInput("the explainer takes requests of V1; ask the predictor for others")
        return await self._asked(payload, headers)

    async def _asked(self, body: dict[str, Any], headers: dict[str, str] | None) -> dict[str, Any]:
        try:
            return await self._http_predict(body, headers)
        except httpx.HTTPStatusError as error:
            if error.response.is_client_error:
                raise InvalidInput(_reason(error.response)) from None
            raise Unavailable(self.name, f"The predictor: {_reason(error.response)}") from None
        except httpx.HTTPError as error:
            raise Unavailable(self.name, f"The predictor does not answer: {error}") from None


def _reason(response: httpx.Response) -> str:
    """What the predictor says is wrong."""
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} {response.reason_phrase}"
