"""What is told of an error: its own words, and nothing of TensorFlow's inside."""

import pytest
import tensorflow as tf

from tfrobust.errors import reason_of

# As TensorFlow 2.21 words them, with its line breaks.
ASSERTION = (
    "Graph execution error:\n\nDetected at node Assert/Assert defined at (most recent call last):\n"
    "{trace}\nassertion failed: [expected a target from -1 to 9, got] [99]\n"
    "\t [[{{{{node Assert/Assert}}}}]] [Op:__inference_signature_wrapper_6333]"
)
TWO_ROOTS = (
    "2 root error(s) found.\n"
    "  (0) INVALID_ARGUMENT:  assertion failed: [expected sizes, got] [[32 32]\n [1 1]]\n"
    "\t [[{{node Assert}}]]\n\t [[foo/_3]]\n"
    "  (1) INVALID_ARGUMENT: assertion failed: [expected sizes, got] [[32 32]\n [1 1]]\n"
    "\t [[{{node Assert}}]]\n0 successful operations."
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ASSERTION.format(trace="<stack traces unavailable>"),
         "expected a target from -1 to 9, got 99"),
        (ASSERTION.format(trace='  File "a.py", line 1, in <module>\n'),
         "expected a target from -1 to 9, got 99"),
        (TWO_ROOTS, "expected sizes, got [32 32] [1 1]"),
        ("{{function_node __wrapped__DecodePng}} Invalid PNG data, size 5 [Op:DecodePng]",
         "Invalid PNG data, size 5"),
        ("Exception encountered when calling Dense.call().\n\n\x1b[1mno such shape\x1b[0m\n\nfor x",
         "no such shape"),
        (ValueError("\nfirst\nsecond"), "first"),
        (KeyError("x"), "'x'"),
        (ValueError(), "ValueError"),
        ("HTTP 404", "HTTP 404"),
    ],
)  # fmt: skip
def test_the_reason_is_the_errors_own_words(error: Exception | str, reason: str) -> None:
    assert reason_of(error) == reason


def test_a_failed_check_in_a_graph_is_told_by_its_words() -> None:
    @tf.function
    def check(value: tf.Tensor) -> tf.Tensor:
        right = tf.debugging.Assert(
            tf.reduce_all(value < 3), ["expected values below 3, got", value]
        )
        with tf.control_dependencies([right]):
            return value + 1

    with pytest.raises(tf.errors.InvalidArgumentError) as failed:
        check(tf.constant([7, 8]))
    assert reason_of(failed.value) == "expected values below 3, got 7 8"
