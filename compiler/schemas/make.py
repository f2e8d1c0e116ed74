"""Writes schemas.txt: every version of every operator, as the `onnx` package defines it, and ONNX Runtime's own operators.

    python compiler/schemas/make.py          needs onnx and onnxruntime; the same bytes every time

A line is `NAME VERSION INPUTS -> OUTPUTS | ATTRIBUTES`. `?` behind an operand says that it may be left out, `*` that it may be
repeated, with the least number in front. An attribute is `NAME:TYPE`, then `!` where it must be given, or `=` and its default.
Domains other than the standard one stand in front of the name. `deprecated` ends the line of a version that removes its operator.
"""

import json
import pathlib

import onnx
import onnxruntime
from onnx import defs, helper
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

# ONNX Runtime keeps these in the standard domain, where ONNX has no such operators.
BESIDE = {"SimplifiedLayerNormalization"}


def operand(o):
    option = o.option.name if hasattr(o.option, "name") else str(o.option).rsplit(".", 1)[-1]
    name = o.name.replace(" ", "_")
    return name + {"Optional": "?", "Variadic": "*"}.get(option, "")


def operands(list_, least):
    text = [operand(o) for o in list_]
    if text and text[-1].endswith("*"):
        text[-1] += str(least)
    return " ".join(text)


def kind(attribute):
    return attribute.type.name if hasattr(attribute.type, "name") else str(attribute.type).rsplit(".", 1)[-1]


def default(attribute):
    if attribute.required:
        return "!"
    value = getattr(attribute, "default_value", None)
    if value is None:
        # ONNX Runtime gives it as a message.
        value = onnx.AttributeProto.FromString(attribute._default_value) if getattr(attribute, "_default_value", b"") else None
    if value is None or value.type == onnx.AttributeProto.UNDEFINED:
        return ""
    value = helper.get_attribute_value(value)
    text = lambda v: v.decode() if isinstance(v, bytes) else v
    value = [text(v) for v in value] if isinstance(value, (list, tuple)) else text(value)
    return "=" + json.dumps(value, separators=(",", ":"))


def line(schema):
    name = schema.name if schema.domain == "" else f"{schema.domain}.{schema.name}"
    sides = operands(schema.inputs, schema.min_input) + " -> " + operands(schema.outputs, schema.min_output)
    attributes = " ".join(f"{n}:{kind(a)}{default(a)}" for n, a in sorted(schema.attributes.items()))
    mark = " deprecated" if schema.deprecated else ""
    return " ".join(f"{name} {schema.since_version} {sides} | {attributes}".split()) + mark


def wanted(schema):
    return schema.domain == "com.microsoft" or (schema.domain == "" and schema.name in BESIDE)


schemas = [s for s in defs.get_all_schemas_with_history() if s.domain == ""]
schemas += [s for s in get_all_operator_schema() if wanted(s)]
schemas.sort(key=lambda s: (s.domain, s.name, s.since_version))
head = f"# onnx {onnx.__version__}, opset {defs.onnx_opset_version()}; onnxruntime {onnxruntime.__version__}. Made by make.py.\n"
target = pathlib.Path(__file__).parent / "schemas.txt"
target.write_text(head + "".join(line(s) + "\n" for s in schemas))
print(target, len(schemas), "schemas")
