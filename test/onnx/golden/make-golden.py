"""Makes typed.onnx and external.onnx (+ external.onnx_data) with the Python package onnx.

Usage: python make-golden.py   (made with onnx 1.23.2, numpy 2.4.6)
"""
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

here = Path(__file__).parent


def save(model: onnx.ModelProto, name: str, **options) -> None:
    onnx.checker.check_model(model)
    onnx.save_model(model, str(here / name), **options)


def model_of(graph: onnx.GraphProto, **options) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, producer_name="golden", opset_imports=opsets, ir_version=10, **options)


info = helper.make_tensor_value_info
tensors = [
    helper.make_tensor("float32", TensorProto.FLOAT, [2], [0.5, -1.5]),
    helper.make_tensor("float64", TensorProto.DOUBLE, [1], [0.1]),
    helper.make_tensor("float16", TensorProto.FLOAT16, [2], [1.0, -2.0]),
    helper.make_tensor("bfloat16", TensorProto.BFLOAT16, [1], [1.0]),
    helper.make_tensor("int4", TensorProto.INT4, [3], [1, -1, 7]),
    helper.make_tensor("uint4", TensorProto.UINT4, [3], [1, 2, 15]),
    helper.make_tensor("int8", TensorProto.INT8, [2], [-128, 127]),
    helper.make_tensor("uint8", TensorProto.UINT8, [1], [255]),
    helper.make_tensor("int16", TensorProto.INT16, [1], [-3]),
    helper.make_tensor("uint16", TensorProto.UINT16, [1], [65535]),
    helper.make_tensor("int32", TensorProto.INT32, [1], [-5]),
    helper.make_tensor("uint32", TensorProto.UINT32, [1], [2**32 - 1]),
    helper.make_tensor("int64", TensorProto.INT64, [2], [-(2**63), 2**63 - 1]),
    helper.make_tensor("uint64", TensorProto.UINT64, [1], [2**64 - 1]),
    helper.make_tensor("bool", TensorProto.BOOL, [2], [True, False]),
    helper.make_tensor("string", TensorProto.STRING, [2], ["a", "ß"]),
    helper.make_tensor("scalar", TensorProto.FLOAT, [], [7.0]),
    numpy_helper.from_array(np.array([[1, 2], [3, 4]], np.int64), "raw"),
]
nodes = [
    helper.make_node("LeakyRelu", ["x"], ["h"], alpha=0.25, doc_string="left out"),
    helper.make_node("Transpose", ["h"], ["y"], perm=[1, 0], name="last"),
]
inputs = [info("x", TensorProto.FLOAT, ["n", None])]
graph = helper.make_graph(nodes, "typed", inputs, [info("y", TensorProto.FLOAT, [None, "n"])], tensors)
typed = model_of(graph)
helper.set_model_props(typed, {"b": "1", "a": "2"})
save(typed, "typed.onnx")

weights = [numpy_helper.from_array(np.arange(400, dtype=np.float32).reshape(20, 20), "w")]
weights.append(numpy_helper.from_array(np.arange(20, dtype=np.float32), "b"))
nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"])]
border = [info("x", TensorProto.FLOAT, [1, 20])], [info("y", TensorProto.FLOAT, [1, 20])]
external = model_of(helper.make_graph(nodes, "external", *border, weights))
location = "external.onnx_data"
save(external, "external.onnx", save_as_external_data=True, location=location, size_threshold=1024)
