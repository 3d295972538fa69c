"""What is done to an ONNX graph after its conversion: loops, and the layout of weights."""

import numpy as np
import onnxruntime
from onnx import GraphProto, TensorProto, checker, helper, numpy_helper

from tfrobust.exporting import onnx_loops, onnx_weights

FLOAT, BOOL, INT = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64
WEIGHT = np.float32([[1, 2, 3], [4, 5, 6]])


def tensor(name: str, kind: int = FLOAT, shape: tuple[int, ...] | None = (2, 3)):
    return helper.make_tensor_value_info(name, kind, shape)


def run(graph: GraphProto) -> list[np.ndarray]:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    running = onnxruntime.InferenceSession(model.SerializeToString())
    return running.run(None, {"x": np.ones((2, 3), np.float32)})


def rounds(body_nodes: list, given: list[str], outside: list[str], kept: list[str]) -> list:
    """A loop of three rounds, whose body takes `given` for the values `outside` at first."""
    body = helper.make_graph(
        [helper.make_node("Identity", [f"{given[0]}_on"], [f"{given[0]}_still"]), *body_nodes],
        f"body of {given[0]}",
        [
            tensor(f"{given[0]}_round", INT, ()),
            tensor(f"{given[0]}_on", BOOL, ()),
            *map(tensor, given),
        ],
        [tensor(f"{given[0]}_still", BOOL, ()), *map(tensor, kept)],
    )
    outputs = [f"{name}_end" for name in given]
    return [helper.make_node("Loop", ["three", "yes", *outside], outputs, body=body)]


def test_a_loop_hands_on_what_changes_only() -> None:
    """The outer loop adds up what an inner one computes of a weight that both hand on."""
    inner = rounds(
        [helper.make_node("Add", ["b", "v"], ["b_next"])], ["b", "v"], ["a", "w"], ["b_next", "v"]
    )
    outer = rounds(inner, ["a", "w", "u"], ["x", "weight", "x"], ["b_end", "w", "u"])
    graph = helper.make_graph(
        [*outer, helper.make_node("Identity", ["u_end"], ["same"])],
        "sums",
        [tensor("x")],
        [tensor("a_end"), tensor("same")],
        [
            numpy_helper.from_array(WEIGHT, "weight"),
            numpy_helper.from_array(np.int64(3), "three"),
            numpy_helper.from_array(np.bool_(True), "yes"),
        ],
    )
    expected = [1 + 9 * WEIGHT, np.ones((2, 3))]
    for found, wanted in zip(run(graph), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    onnx_loops.read_from_around(graph)
    for found, wanted in zip(run(graph), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    # `u` is unchanged, and read behind the loop.
    assert list(graph.node[0].input) == ["three", "yes", "x", "x"]
    assert list(graph.node[0].output) == ["a_end", "u_end"]
    (body,) = onnx_loops.bodies(graph.node[0])
    assert list(body.node[1].input) == ["three", "yes", "a"]
    (innermost,) = onnx_loops.bodies(body.node[1])
    assert list(innermost.node[1].input) == ["b", "weight"]


def test_what_is_read_elsewhere_is_still_handed_on() -> None:
    """By a branch behind the loop, and by another output of the same body."""
    body = [helper.make_node("Add", ["a", "w"], ["a_next"])]
    outside, kept = ["x", "weight", "x", "weight"], ["a_next", "w", "w", "u"]
    loop = rounds(body, ["a", "w", "v", "u"], outside, kept)
    branches = {
        name: helper.make_graph(
            [helper.make_node("Identity", ["u_end"], [name])], name, [], [tensor(name)]
        )
        for name in ("then_branch", "else_branch")
    }
    graph = helper.make_graph(
        [*loop, helper.make_node("If", ["yes"], ["branched"], **branches)],
        "read elsewhere",
        [tensor("x")],
        [tensor("a_end"), tensor("v_end"), tensor("branched")],
        [
            numpy_helper.from_array(WEIGHT, "weight"),
            numpy_helper.from_array(np.int64(3), "three"),
            numpy_helper.from_array(np.bool_(True), "yes"),
        ],
    )
    expected = [1 + 3 * WEIGHT, WEIGHT, WEIGHT]
    for _ in range(2):
        for found, wanted in zip(run(graph), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
        onnx_loops.read_from_around(graph)


def test_weights_are_laid_out_as_they_are_read() -> None:
    nodes = [
        helper.make_node("Transpose", ["once"], ["turned"], perm=[1, 0]),
        helper.make_node("Unsqueeze", ["turned", "axis"], ["flat"]),
        helper.make_node("Squeeze", ["flat", "axis"], ["back"]),
        helper.make_node("MatMul", ["x", "back"], ["first"]),
        helper.make_node("Transpose", ["often"], ["other"], perm=[1, 0]),
        helper.make_node("MatMul", ["first", "often"], ["second"]),
        helper.make_node("MatMul", ["second", "other"], ["third"]),
    ]
    constants = {"once": WEIGHT, "often": WEIGHT, "axis": np.int64([0])}
    graph = helper.make_graph(
        nodes,
        "products",
        [tensor("x")],
        [tensor("third", shape=(2, 2))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    expected = np.ones((2, 3)) @ WEIGHT.T @ WEIGHT @ WEIGHT.T
    np.testing.assert_allclose(run(graph)[0], expected)
    onnx_weights.arrange_constants(graph)
    np.testing.assert_allclose(run(graph)[0], expected)
    assert [node.op_type for node in graph.node] == ["MatMul", "Transpose", "MatMul", "MatMul"]
    kept = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    np.testing.assert_array_equal(kept["back"], WEIGHT.T)
    np.testing.assert_array_equal(kept["often"], WEIGHT)
    assert len(kept) == 2


def test_inputs_that_have_a_value_become_constants_where_they_are_read() -> None:
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "weight"], ["sum"])],
        "sum",
        [tensor("x"), tensor("weight"), tensor("unread")],
        [tensor("sum")],
    )
    onnx_weights.keep_constant(graph, {"weight": WEIGHT, "unread": WEIGHT})
    assert [each.name for each in graph.input] == ["x"]
    np.testing.assert_array_equal(run(graph)[0], 1 + WEIGHT)
