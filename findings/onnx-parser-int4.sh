#!/usr/bin/env bash
# onnx 1.23.2's parser makes other numbers of tensors of 4-bit and 2-bit integers in a text: it puts one into each element of int32_data, where ONNX
# packs two or four (onnx.proto, TensorProto.int32_data: "int4 and uint4 values must be packed to 4bitx2"). The checker takes the model, and
# numpy_helper reads [1, 0, 0, 0, 1] of {1, 0, 1, 1, 0}; ONNX Runtime 1.32.0 refuses it. Helper.make_tensor packs them. Seen on 2026-11-29:
#   int4, uint4 {1, 0, 1, 1, 0}: 1, 0, 0, 0, 1; int2: 1, 0, 0, 0, 0; int8: as written
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import onnx
import onnxruntime
from onnx import helper, numpy_helper, parser

onnxruntime.set_default_logger_severity(4)
written = [1, 0, 1, 1, 0]


def parsed(kind, opset):
    model = parser.parse_model(f"""<ir_version: {11 if opset < 25 else 13}, opset_import: ["" : {opset}]>
        g () => ({kind}[5] y) {{
            y = Constant <value = {kind}[5] {{{", ".join(str(number) for number in written)}}}> ()
        }}""")
    onnx.checker.check_model(model, full_check=True)
    tensor = model.graph.node[0].attribute[0].t
    packed = helper.make_tensor("t", tensor.data_type, [5], written)
    found = [[int(number) for number in numpy_helper.to_array(one)] for one in (tensor, packed)]
    print(f"{kind}: written {written}, parsed {found[0]} of {list(tensor.int32_data)}, by make_tensor {found[1]} of {list(packed.int32_data)}")
    assert found[1] == written, "make_tensor packs"
    return model, found[0]


assert parsed("int8", 21)[1] == written, "whole bytes are right"
for kind in ("int4", "uint4"):
    model, numbers = parsed(kind, 21)
    assert numbers == [1, 0, 0, 0, 1], "the behaviour changed"
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        raise SystemExit("the runtime changed")
    except Exception as error:
        print(str(error)[-100:])
        assert "size" in str(error), "another error"
for kind in ("int2", "uint2"):
    assert parsed(kind, 25)[1] == [1, 0, 0, 0, 0], "the behaviour changed"
PYTHON
