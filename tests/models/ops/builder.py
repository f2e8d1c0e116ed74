"""Builds one small ONNX model, runs it with ONNX Runtime and writes NAME.onnx and NAME.npz.

A `Model` is a graph written down operator by operator; `single` makes the common one-node model.
Random values depend on SEED and the model's name only, so adding a case changes no other. The npz
holds inputs and outputs, keyed by their ONNX names (`x0`, `x1`, ...; `y0`, `y1`, ...); arrays are
stored uncompressed.

Deliberately not here: any judgement about which operators FlashMem supports, and tolerances.
"""
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SEED = 20260217
IR_VERSION = 8
OPSET = 17



def normal(rng, shape):
    return rng.standard_normal(shape, dtype=np.float32)


def uniform(low, high):
    return lambda rng, shape: rng.uniform(low, high, shape).astype(np.float32)


def distinct(rng, shape):
    """Evenly spaced values over [-2, 2] in random order: no ties for maxima, gaps survive float16."""
    n = int(np.prod(shape))
    return (rng.permutation(n) * (4.0 / n) - 2.0).astype(np.float32).reshape(shape)


def eighths(rng, shape):
    """Multiples of 1/8 in [-4, 4]: exact in float16, with whole numbers and halves among them."""
    return (rng.integers(-32, 33, shape) / 8).astype(np.float32)


def integers(low, high, dtype=np.int64):
    """Whole numbers, low <= value < high."""
    return lambda rng, shape: rng.integers(low, high, shape).astype(dtype)


def booleans(rng, shape):
    return rng.integers(0, 2, shape).astype(bool)


def half(rng, shape):
    return rng.standard_normal(shape).astype(np.float16)


def scaled(rng, shape):
    """Weights with variance 1 / (size of the last axes): keeps activations near 1 in a convolution."""
    return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def rows(rng, shape):
    """Weights of shape (..., in, out) with variance 1 / in, for MatMul."""
    return (rng.standard_normal(shape) / np.sqrt(shape[-2])).astype(np.float32)


@dataclass
class Arg:
    """An operand still to be drawn: a runtime input or a constant."""

    runtime: bool
    shape: tuple
    draw: Callable


def x(*shape, draw=normal):
    """A runtime input."""
    return Arg(True, shape, draw)


def w(*shape, draw=scaled):
    """A constant with random values."""
    return Arg(False, shape, draw)


def const(values, dtype=np.int64):
    """A constant with the values given."""
    array = np.array(values, dtype)
    return Arg(False, array.shape, lambda *_: array)



class Model:
    """A graph under construction. Values are named by strings, as in ONNX; "" is an absent operand."""

    def __init__(self, name, opset=OPSET):
        self.name, self.opset = name, opset
        self.rng = np.random.default_rng(SEED ^ zlib.crc32(name.encode()))
        self.evaluate, self.standard, self.finite = self.run, True, True
        self.nodes, self.constants, self.feeds, self.declared, self.outputs = [], [], {}, [], []

    def add(self, arg):
        """Draws an Arg and gives its name; names pass through."""
        if isinstance(arg, str):
            return arg
        array = arg.draw(self.rng, arg.shape)
        if arg.runtime:
            name = f"x{len(self.feeds)}"
            self.feeds[name] = array
            self.declared.append((name, array.dtype, list(array.shape)))
        else:
            name = f"w{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, name))
        return name

    def symbolic(self, name, dims):
        """Declares a runtime input with these dimensions (strings are symbols) instead of its own."""
        self.declared = [(n, t, dims if n == name else d) for n, t, d in self.declared]

    def op(self, op_type, *args, outputs=1, **attrs):
        """Appends a node; gives the name of its output, or a list of names."""
        inputs = [self.add(a) for a in args]
        stem = f"{op_type.lower()}_{len(self.nodes)}"
        names = [stem] if outputs == 1 else [f"{stem}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op_type, inputs, names, name=f"/{stem}", **attrs))
        return names[0] if outputs == 1 else names

    def result(self, *values):
        """Makes the values the graph's outputs; gives the model, so that a case ends with it."""
        for value in values:
            public = f"y{len(self.outputs)}"
            self.outputs.append(public)
            for node in self.nodes:
                for names in (node.input, node.output):
                    names[:] = [public if n == value else n for n in names]
        return self

    def proto(self, outputs):
        graph = helper.make_graph(
            self.nodes, self.name,
            [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(t), d) for n, t, d in self.declared],
            outputs, self.constants)
        version = IR_VERSION if self.opset < 20 else 9 if self.opset < 24 else 12
        own = {n.domain for n in self.nodes} - {""}
        sets = [helper.make_opsetid("", self.opset)] + [helper.make_opsetid(domain, 1) for domain in sorted(own)]
        return helper.make_model(graph, ir_version=version, opset_imports=sets, producer_name="make_ops")

    def run(self, proto):
        """{output name: array}, with no graph optimisation: each node means what ONNX says."""
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return dict(zip(self.outputs, session.run(self.outputs, self.feeds)))

    def by_reference(self):
        """Results are those of ONNX's reference evaluator, for what ONNX Runtime does not have; gives the model."""
        self.evaluate = lambda proto: dict(zip(self.outputs, ReferenceEvaluator(proto).run(self.outputs, self.feeds)))
        return self

    def invalid(self, *shapes):
        """A model that ONNX calls an error, so that nothing computes it: zeros of these shapes stand for results; gives the model."""
        zeros = [np.zeros(shape, np.float32) for shape in shapes]
        self.evaluate = lambda proto: dict(zip(self.outputs, zeros))
        return self

    def by_formula(self, formula):
        """Results are what `formula` gives for the inputs in double precision, as f32: for values at which ONNX Runtime's own
        precision fails. Integers stay. Gives the model."""
        def evaluate(proto):
            results = formula(*(v.astype(np.float64) if v.dtype.kind == "f" else v for v in self.feeds.values()))
            with np.errstate(over="ignore"):
                rounded = [r.astype(np.float32) if r.dtype.kind == "f" else r for r in map(np.asarray, results)]
            return dict(zip(self.outputs, rounded))
        self.evaluate = evaluate
        return self

    def not_standard(self):
        """What the pinned ONNX's checker rejects: ONNX Runtime's own operators in the standard domain, and forms that newer
        versions allow. Gives the model."""
        self.standard = False
        return self

    def not_finite(self):
        """Results may hold NaN and infinities, which are then what the case is about; gives the model."""
        self.finite = False
        return self

    def write(self, folder):
        """Writes both files; gives their total size in bytes."""
        results = self.evaluate(self.proto([onnx.ValueInfoProto(name=o) for o in self.outputs]))
        for name, array in results.items():
            if self.finite and array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{self.name}: output {name} is not finite")
        symbolic = any(isinstance(d, str) for _, _, dims in self.declared for d in dims)
        proto = self.proto([
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype),
                                          [None] * a.ndim if symbolic else list(a.shape)) for n, a in results.items()])
        if self.standard:
            onnx.checker.check_model(proto, full_check=True)
        model_path, data_path = folder / f"{self.name}.onnx", folder / f"{self.name}.npz"
        model_path.write_bytes(proto.SerializeToString(deterministic=True))
        np.savez(data_path, **self.feeds, **results)
        return model_path.stat().st_size + data_path.stat().st_size


def single(name, op_type, *args, outputs=1, opset=OPSET, **attrs):
    """A model of one node, all of whose outputs are graph outputs."""
    m = Model(name, opset)
    made = m.op(op_type, *args, outputs=outputs, **attrs)
    return m.result(*([made] if outputs == 1 else made))
