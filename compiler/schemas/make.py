"""Writes schemas.txt: every version of every operator, as the `onnx` package defines it, and ONNX Runtime's own operators.

    python compiler/schemas/make.py          needs onnx and onnxruntime; the same bytes every time

A line is `NAME VERSION INPUTS -> OUTPUTS | ATTRIBUTES | TYPES`. `?` behind an operand says that it may be left out, `*` that it may
be repeated, with the least number behind it. Then comes `:` and its element type, or a variable that stands for one; `!` behind that
says that every repetition may have another type. An attribute is `NAME:TYPE`, then `!` where it must be given, or `=` and its default.
TYPES are the variables of types, each with the number of a set of element types; the sets stand at the head of the file, in lines
`=NUMBER TYPES`. Sequences, maps and optional values are left out of them. Domains other than the standard one stand in front of the
name. `deprecated` ends the line of a version that removes its operator.
"""

import json
import pathlib

import onnx
import onnxruntime
from onnx import defs, helper
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

# ONNX Runtime keeps these in the standard domain, where ONNX has no such operators.
BESIDE = {"SimplifiedLayerNormalization"}


def either(o, *names):
    """An attribute of `onnx` or of ONNX Runtime, which spells it otherwise."""
    return next(getattr(o, name) for name in names if hasattr(o, name))


def element(text):
    """The element type of a tensor type; None for what is no tensor."""
    return text[len("tensor(") : -1] if text.startswith("tensor(") else None


def operand(o, least):
    option = o.option.name if hasattr(o.option, "name") else str(o.option).rsplit(".", 1)[-1]
    name = o.name.replace(" ", "_")
    count = {"Optional": "?", "Variadic": f"*{least}"}.get(option, "")
    type_ = either(o, "type_str", "typeStr")
    mark = "" if either(o, "is_homogeneous", "isHomogeneous") else "!"
    # What is no tensor stands for no element type.
    return f"{name}{count}:{element(type_) or type_ if '(' not in type_ or element(type_) else '-'}{mark}"


def operands(list_, least):
    return " ".join(operand(o, least) for o in list_)


SETS = {}


def types(schema):
    """The variables of types, each with the number of its set."""
    found = []
    for constraint in schema.type_constraints:
        allowed = sorted({element(text) for text in constraint.allowed_type_strs} - {None})
        number = SETS.setdefault(" ".join(allowed), len(SETS))
        variable = either(constraint, "type_param_str", "typeParamStr")
        found.append(f"{variable}={number}")
    return " ".join(found)


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
    return " ".join(f"{name} {schema.since_version} {sides} | {attributes} | {types(schema)}".split()) + mark


def wanted(schema):
    return schema.domain == "com.microsoft" or (schema.domain == "" and schema.name in BESIDE)


schemas = [s for s in defs.get_all_schemas_with_history() if s.domain == ""]
schemas += [s for s in get_all_operator_schema() if wanted(s)]
schemas.sort(key=lambda s: (s.domain, s.name, s.since_version))
head = f"# onnx {onnx.__version__}, opset {defs.onnx_opset_version()}; onnxruntime {onnxruntime.__version__}. Made by make.py.\n"
target = pathlib.Path(__file__).parent / "schemas.txt"
lines = [line(s) for s in schemas]
sets = [f"={number} {set_}" for set_, number in SETS.items()]
target.write_text(head + "".join(text.rstrip() + "\n" for text in sets + lines))
print(target, len(schemas), "schemas")
