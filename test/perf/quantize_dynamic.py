"""A float model as onnxruntime's own dynamic int8: plain, and after its recommended pre-processing.

  python quantize_dynamic.py FLOAT.onnx PLAIN.onnx PREPROCESSED.onnx
"""
import os
import sys
import tempfile

from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

source, plain, preprocessed = sys.argv[1:]
# What transformers.js publishes as q8 for encoders.
options = dict(
    per_channel=True,
    reduce_range=True,
    weight_type=QuantType.QInt8,
    extra_options={"MatMulConstBOnly": True},
)
quantize_dynamic(source, plain, **options)
with tempfile.TemporaryDirectory() as folder:
    prepared = os.path.join(folder, "prepared.onnx")
    quant_pre_process(source, prepared, auto_merge=True)
    quantize_dynamic(prepared, preprocessed, **options)
