"""Models with local functions: nested, with attributes that refer to those of the call, with operands left out, and in branches.

Deliberately not here: calls that have no meaning, which the unit tests of the importer have.
"""
import numpy as np
import onnx
from builder import Model, const, w, x
from onnx import TensorProto, helper

DOMAIN = "own"
SETS = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]


def referring(node, **attributes):
    """The node with attributes that refer to the function's: name=(function's name, type)."""
    for name, (to, kind) in attributes.items():
        node.attribute.append(onnx.AttributeProto(name=name, ref_attr_name=to, type=kind))
    return node


def function(name, inputs, outputs, nodes, attributes=(), defaults=()):
    return helper.make_function(DOMAIN, name, inputs, outputs, nodes, SETS, attributes=list(attributes),
                                attribute_protos=[helper.make_attribute(*d) for d in defaults])


def bent():
    """A leaky unit between two steps; its slope has a default, and its axis has none."""
    nodes = [
        helper.make_node("Neg", ["a"], ["t"]),
        referring(helper.make_node("LeakyRelu", ["t"], ["u"]), alpha=("slope", onnx.AttributeProto.FLOAT)),
        referring(helper.make_node("Softmax", ["u"], ["r"]), axis=("axis", onnx.AttributeProto.INT)),
    ]
    return function("bent", ["a"], ["r"], nodes, ["axis"], [("slope", 0.25)])


def limited():
    """Limits that a call may leave out; what is put in comes out as well."""
    nodes = [helper.make_node("Clip", ["a", "low", "high"], ["r"]), helper.make_node("Abs", ["r"], ["size"])]
    return function("limited", ["a", "low", "high"], ["r", "size"], nodes)


def layer():
    """Calls the others; the names inside are those of others, too."""
    nodes = [
        helper.make_node("MatMul", ["a", "weight"], ["t"]),
        referring(helper.make_node("bent", ["t"], ["u"], domain=DOMAIN), slope=("slope", onnx.AttributeProto.FLOAT)),
        helper.make_node("limited", ["u", "", "most"], ["r", ""], domain=DOMAIN),
        helper.make_node("Add", ["r", "a"], ["y"]),
    ]
    return function("layer", ["a", "weight", "most"], ["y"], nodes, ["slope"])


class WithFunctions(Model):
    """A model that calls functions."""

    def __init__(self, name, functions):
        super().__init__(name)
        self.functions = functions

    def proto(self, outputs):
        proto = super().proto(outputs)
        proto.functions.extend(self.functions)
        return proto


def nested():
    m = WithFunctions("functions_nested", [layer(), bent(), limited()])
    a = m.add(x(3, 8))
    for slope in (0.5, None):
        given = {} if slope is None else {"slope": slope}
        a = m.op("layer", a, w(8, 8), const(0.125, np.float32), domain=DOMAIN, **given)
    b = m.op("bent", a, domain=DOMAIN, axis=0)
    _, size = m.op("limited", b, domain=DOMAIN, outputs=2)
    m.nodes[-1].output[0] = ""
    return m.result(a, b, size)


def in_branches():
    """A function with a choice inside, whose branches call another and refer to an attribute."""
    def branch(*nodes):
        return helper.make_graph(list(nodes), "branch", [], [helper.make_tensor_value_info("last", TensorProto.FLOAT, None)])
    then = branch(helper.make_node("Neg", ["a"], ["own"]),
                  referring(helper.make_node("LeakyRelu", ["own"], ["last"]), alpha=("slope", onnx.AttributeProto.FLOAT)))
    other = branch(helper.make_node("limited", ["a"], ["own", "last"], domain=DOMAIN))
    chosen = function("chosen", ["a", "c"], ["r"], [helper.make_node("If", ["c"], ["r"], then_branch=then, else_branch=other)],
                      ["slope"])
    m = WithFunctions("functions_in_branches", [limited(), chosen])
    a = m.add(x(2, 5))
    kept = m.op("chosen", a, const(True, bool), domain=DOMAIN, slope=0.5)
    computed = m.op("Greater", m.op("ReduceSum", a, keepdims=0), const(1e9, np.float32))
    return m.result(kept, m.op("chosen", kept, computed, domain=DOMAIN))


def cases():
    yield nested()
    yield in_branches()
