"""Traces a torch module to ONNX and tidies the graph, without ever holding the weights twice.

`trace` runs the legacy TorchScript exporter and gives a ModelProto whose large initializers only
refer to torch's own tensors. `clean` folds constants, removes nodes that do nothing, writes Reshape
targets and Slice bounds out and names weights after their torch parameters. `save` writes the
file, with an external data file for large models. Afterwards all shapes are static and
initializers lie in first-use order.

Deliberately not here: fusion, layout changes or anything else a compiler should do. Written against
torch 2.8.0: it hooks torch.onnx.utils._model_to_graph, which other versions may move.
"""
import io
import math
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
EXTERNAL_ABOVE = int(1.8e9)  # bytes of weights
ALIGN = 4096  # of each tensor in the external data file
SMALL = 1024  # bytes; smaller tensors always stay inside the .onnx file


def trace(m, args, inputs, outputs, ref):
    """(ModelProto without weight data, {key: torch tensor}).

    The legacy exporter would put all weights into one protobuf, several times over. Here it writes
    none; initializers refer to torch's own tensors (often transposed views) until `save`.
    """
    from torch.onnx import utils

    weights, inner = {}, utils._model_to_graph

    def spy(*a, **k):
        graph, params, out = inner(*a, **k)
        weights.update(params)
        return graph, params, out

    utils._model_to_graph = spy
    try:
        f = io.BytesIO()
        torch.onnx.export(m, args, f, input_names=inputs, output_names=outputs, opset_version=OPSET,
                          do_constant_folding=True, export_params=False, dynamo=False)
    finally:
        utils._model_to_graph = inner
    model = onnx.load_from_string(f.getvalue())
    g = model.graph
    for v, r in zip(g.output, ref):  # some come out with symbolic sizes
        v.CopyFrom(helper.make_tensor_value_info(v.name, v.type.tensor_type.elem_type, r.shape))
    real = [v for v in g.input if v.name in inputs]
    for v in g.input:
        if v.name in inputs:
            continue
        w = weights[v.name].detach()
        t = g.initializer.add(name=v.name, dims=w.shape, data_type=v.type.tensor_type.elem_type)
        if w.nbytes <= SMALL:
            t.raw_data = w.contiguous().numpy().tobytes()
        else:
            t.data_location = TensorProto.EXTERNAL
            t.external_data.add(key="location", value=v.name)
    del g.input[:]
    g.input.extend(real)
    return model, weights


def raw_bytes(t, weights):
    if t.data_location == TensorProto.EXTERNAL:
        return weights[t.external_data[0].value].detach().contiguous().numpy().tobytes()
    return t.raw_data if t.HasField("raw_data") else numpy_helper.to_array(t).tobytes()


def inline(t, weights):
    return onnx.TensorProto(name=t.name, dims=t.dims, data_type=t.data_type, raw_data=raw_bytes(t, weights))


def nbytes(t):
    return math.prod(t.dims) * np.dtype(helper.tensor_dtype_to_np_dtype(t.data_type)).itemsize


def shapes_of(model):
    """{value name: (elem_type, dims)} for everything with a fully known shape."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    light.graph.CopyFrom(onnx.GraphProto(name="g", node=model.graph.node, input=model.graph.input, output=model.graph.output))
    for t in model.graph.initializer:  # big tensors: shape only
        if t.data_location != TensorProto.EXTERNAL and nbytes(t) <= 4096:
            light.graph.initializer.append(t)
        else:
            light.graph.input.append(helper.make_tensor_value_info(t.name, t.data_type, t.dims))
    g = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    out = {}
    for v in [*g.value_info, *g.input, *g.output]:
        tt = v.type.tensor_type
        if tt.HasField("shape") and all(d.HasField("dim_value") for d in tt.shape.dim):
            out[v.name] = (tt.elem_type, tuple(d.dim_value for d in tt.shape.dim))
    for t in g.initializer:
        out[t.name] = (t.data_type, tuple(t.dims))
    return out


def fold_constants(model, weights, limit=1 << 26):
    """Evaluate, with onnxruntime, every node that does not depend on a graph input."""
    import onnxruntime as ort

    g = model.graph
    shapes = shapes_of(model)
    init = {t.name: t for t in g.initializer}
    const, fold, extra = {n for n, t in init.items() if nbytes(t) <= limit}, [], []
    for n in g.node:
        if n.op_type == "Shape" and not n.attribute and n.input[0] in shapes:
            extra.append(numpy_helper.from_array(np.array(shapes[n.input[0]][1], np.int64), n.output[0]))
            const.add(n.output[0])
        elif all(i in const for i in n.input if i) and not any(a.HasField("g") for a in n.attribute):
            fold.append(n)
            const.update(n.output)
    gone = {o for n in fold for o in n.output} | {t.name for t in extra}
    if not gone:
        return
    if fold:
        need = {i for n in fold for i in n.input}
        keep = {i for n in g.node if not set(n.output) <= gone for i in n.input} | {o.name for o in g.output}
        outs = [o for n in fold for o in n.output if o in keep]
        sub = helper.make_graph(fold, "fold", [], [onnx.ValueInfoProto(name=o) for o in outs],
                                [inline(t, weights) for t in [*init.values(), *extra] if t.name in need])
        so = ort.SessionOptions()
        so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        so.log_severity_level = 3
        m = helper.make_model(sub, opset_imports=model.opset_import, ir_version=model.ir_version)
        vals = ort.InferenceSession(m.SerializeToString(), so, providers=["CPUExecutionProvider"]).run(outs, {}) if outs else []
        extra += [numpy_helper.from_array(np.asarray(v), o) for o, v in zip(outs, vals)]
    nodes = [n for n in g.node if not set(n.output) <= gone]
    del g.node[:]
    g.node.extend(nodes)
    g.initializer.extend(extra)


def drop_noops(model):
    """Remove nodes whose output is their input: Identity, full Slice, zero Pad, same-type Cast, x * 1, ..."""
    g = model.graph
    shapes = shapes_of(model)
    init = {t.name: t for t in g.initializer}
    outputs = {o.name for o in g.output}
    inputs = {i.name for i in g.input}
    sub, nodes = {}, []

    def scalar(name, value):
        t = init.get(name)
        return t is not None and math.prod(t.dims) == 1 and t.data_location != TensorProto.EXTERNAL and \
            float(numpy_helper.to_array(t).reshape(-1)[0]) == value

    for n in g.node:
        for k, i in enumerate(n.input):
            while n.input[k] in sub:
                n.input[k] = sub[n.input[k]]
        x, y = n.input[0] if n.input else None, n.output[0]
        same = x in shapes and y in shapes and shapes[x] == shapes[y]
        noop = n.op_type in ("Identity", "Dropout") \
            or (same and n.op_type in ("Reshape", "Expand", "Slice", "Pad", "Cast", "Squeeze", "Unsqueeze", "Flatten", "Tile")) \
            or (same and n.op_type in ("Mul", "Div") and scalar(n.input[1], 1.0)) \
            or (same and n.op_type in ("Add", "Sub") and scalar(n.input[1], 0.0))
        if noop and not (y in outputs and (x in inputs or x in outputs)):
            if y in outputs:  # keep the public name: rename the producer's output instead
                for p in nodes:
                    for lst in (p.input, p.output):
                        for k, v in enumerate(lst):
                            if v == x:
                                lst[k] = y
                sub[x] = y
            else:
                sub[y] = x
        else:
            nodes.append(n)
    del g.node[:]
    g.node.extend(nodes)


def canonicalise(model):
    """Explicit Reshape targets and Slice bounds, constants second, no back-to-back Transposes."""
    g = model.graph
    shapes = shapes_of(model)
    init = {t.name: t for t in g.initializer}
    prod = {o: n for n in g.node for o in n.output}

    def const(values, name):
        if name not in init:
            init[name] = numpy_helper.from_array(np.array(values, np.int64), name)
            g.initializer.append(init[name])
        return name

    for n in g.node:
        out = n.output[0]
        if n.op_type == "Reshape" and out in shapes:
            n.input[1] = const(shapes[out][1], f"{out}_shape")
        elif n.op_type == "Slice" and n.input[0] in shapes and all(i in init for i in n.input[1:]):
            dims = shapes[n.input[0]][1]
            starts, ends, *more = (numpy_helper.to_array(init[i]).tolist() for i in n.input[1:])
            axes = more[0] if more else range(len(starts))
            steps = more[1] if len(more) > 1 else [1] * len(starts)
            if min(steps) > 0:
                axes = [k % len(dims) for k in axes]
                fix = lambda v, d: min(max(v + d if v < 0 else v, 0), d)
                n.input[1:] = [const([fix(v, dims[k]) for v, k in zip(starts, axes)], f"{out}_starts"),
                               const([fix(v, dims[k]) for v, k in zip(ends, axes)], f"{out}_ends"),
                               const(axes, f"{out}_axes"), const(steps, f"{out}_steps")]
        elif n.op_type in ("Add", "Mul") and n.input[0] in init and n.input[1] not in init:
            n.input[0], n.input[1] = n.input[1], n.input[0]
        elif n.op_type == "Transpose" and n.input[0] in prod and prod[n.input[0]].op_type == "Transpose":
            p = prod[n.input[0]]
            inner, outer = p.attribute[0].ints, n.attribute[0].ints
            n.attribute[0].ints[:] = [inner[k] for k in outer]
            n.input[0] = p.input[0]


def gemm_to_matmul(model, weights):
    """Gemm(x, W, b, transB=1) -> Add(MatMul(x, W_T), b). tract 0.23 mistypes half-precision Gemm."""
    g = model.graph
    init = {t.name: t for t in g.initializer}
    nodes = []
    for n in g.node:
        attrs = {a.name: helper.get_attribute_value(a) for a in n.attribute}
        if n.op_type == "Gemm" and attrs.get("transB") and n.input[1] in init and attrs.get("alpha", 1) == attrs.get("beta", 1) == 1:
            t = numpy_helper.from_array(np.ascontiguousarray(numpy_helper.to_array(inline(init[n.input[1]], weights)).T), n.input[1] + "_T")
            g.initializer.append(t)
            stem = n.name.removesuffix("Gemm")
            nodes.append(helper.make_node("MatMul", [n.input[0], t.name], [f"{stem}MatMul_output_0"], name=f"{stem}MatMul"))
            nodes.append(helper.make_node("Add", [f"{stem}MatMul_output_0", n.input[2]], list(n.output), name=f"{stem}Add"))
        else:
            nodes.append(n)
    del g.node[:]
    g.node.extend(nodes)


def prune(model):
    """Drop dead nodes and initializers; sort initializers by first use; merge equal small ones."""
    g = model.graph
    live, nodes = {o.name for o in g.output}, []
    for n in reversed(g.node):
        if live & set(n.output):
            nodes.append(n)
            live.update(i for i in n.input if i)
    nodes.reverse()
    init = {t.name: t for t in g.initializer if t.name in live}
    same, alias = {}, {}
    for name, t in init.items():
        if t.data_location != TensorProto.EXTERNAL and nbytes(t) <= 1 << 20:
            key = (t.data_type, tuple(t.dims), raw_bytes(t, None))
            alias[name] = same.setdefault(key, name)
    order = {}
    for n in nodes:
        for k, i in enumerate(n.input):
            n.input[k] = i = alias.get(i, i)
            if i in init:
                order.setdefault(i, None)
    kept = [init[i] for i in order]
    del g.node[:], g.initializer[:], g.value_info[:]
    g.node.extend(nodes)
    g.initializer.extend(kept)


def rename_initializers(model, params):
    """Name weights after their torch parameter (`_T`: stored transposed)."""
    g = model.graph
    dims = {t.name: tuple(t.dims) for t in g.initializer}
    taken = set(dims) | {v for n in g.node for v in [*n.input, *n.output]}
    ren = {}

    def find(base, shape, op, k):
        core = tuple(d for d in shape if d != 1)
        for leaf in ("weight", "bias"):
            p = params.get(f"{base}.{leaf}")
            if p == shape and not (op == "MatMul" and len(shape) == 2):  # a Linear's weight is always transposed
                return f"{base}.{leaf}"
            if p == shape[::-1]:
                return f"{base}.{leaf}_T"
        if op in ("Mul", "Add") and params.get(f"{base}.weight") == core:  # GroupNorm scale and shift
            return f"{base}.{'weight' if op == 'Mul' else 'bias'}"
        if op == "Conv":  # BatchNorm folded in
            return f"{base}.{'weight' if k == 1 else 'bias'}"
        return f"{base}.weight_T" if op == "MatMul" else f"{base}.{op.lower()}_{k}"

    for n in g.node:
        path = []
        for part in n.name.strip("/").split("/")[:-1]:
            if path and part.startswith(path[-1] + "."):  # Sequential children repeat their parent
                path.pop()
            path.append(part)
        for k, i in enumerate(n.input):
            if not i.startswith("onnx::") or i in ren or i not in dims:
                continue
            stem = name = find(".".join(path), dims[i], n.op_type, k)
            c = 1
            while name in taken:
                name, c = f"{stem}_{c}", c + 1
            taken.add(name)
            ren[i] = name
    for n in g.node:
        for k, i in enumerate(n.input):
            n.input[k] = ren.get(i, i)
    for t in g.initializer:
        t.name = ren.get(t.name, t.name)


def clean(model, weights, params, fp16):
    g = model.graph
    consts = [n for n in g.node if n.op_type == "Constant"]
    rest = [n for n in g.node if n.op_type != "Constant"]
    for n in consts:  # Constant nodes -> initializers
        t = n.attribute[0].t
        t.name = n.output[0]
        g.initializer.append(t)
    del g.node[:]
    g.node.extend(rest)
    before = None
    while before != len(g.node):
        before = len(g.node)
        fold_constants(model, weights)
        prune(model)
        drop_noops(model)
        canonicalise(model)
    if fp16:
        gemm_to_matmul(model, weights)
    prune(model)
    rename_initializers(model, params)
    names = {t.name for t in g.initializer} | {v.name for v in [*g.input, *g.output]}
    shapes = shapes_of(model)
    assert all(o in shapes for n in g.node for o in n.output), "some shape is not static"
    g.value_info.extend(helper.make_tensor_value_info(k, *v) for k, v in shapes.items() if k not in names)


def save(model, out, weights, force):
    """Write OUT.onnx, and OUT.onnx.data when the weights are large; consumes `weights`."""
    g = model.graph
    total = sum(nbytes(t) for t in g.initializer)
    data = Path(f"{out}.data")
    data.unlink(missing_ok=True)
    uses = Counter(t.external_data[0].value for t in g.initializer if t.external_data)
    for k in set(weights) - set(uses):
        del weights[k]
    f = open(data, "wb") if force or total > EXTERNAL_ABOVE else None
    for t in g.initializer:
        external = f and nbytes(t) >= SMALL
        if not (external or t.external_data):
            continue
        key = t.external_data[0].value if t.external_data else None
        buf = raw_bytes(t, weights)
        for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "external_data", "data_location"):
            t.ClearField(field)
        if external:
            f.seek(-f.tell() % ALIGN, 1)
            t.data_location = TensorProto.EXTERNAL
            for k, v in (("location", data.name), ("offset", f.tell()), ("length", len(buf))):
                t.external_data.add(key=k, value=str(v))
            f.write(buf)
        else:
            t.raw_data = buf
        if key:
            uses[key] -= 1
            if not uses[key]:
                del weights[key]
    if f:
        f.close()
    out.write_bytes(model.SerializeToString())
    return total
