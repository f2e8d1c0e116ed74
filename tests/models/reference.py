"""Reference outputs: runs an exported model on the CPU with ONNX Runtime.

A model with an external data file runs in segments of about 1 GiB of weights, so that even the
float16 ones (ONNX Runtime widens their weights) fit a small machine. Deliberately not here: the
comparison with torch, and any other execution provider.
"""
from pathlib import Path

import onnx
import onnxruntime as ort
from graph_cleanup import nbytes
from onnx import helper


def segments(path, limit=1 << 30):
    """The graph cut, in node order, into models with at most `limit` bytes of weights each."""
    model = onnx.load(str(path), load_external_data=False)
    g = model.graph
    init = {t.name: t for t in g.initializer}
    types = {v.name: v for v in [*g.value_info, *g.input, *g.output]}
    cuts, size = [[]], 0
    for n in g.node:
        w = sum(nbytes(init[i]) for i in n.input if i in init)
        if cuts[-1] and size + w > limit:
            cuts.append([])
            size = 0
        cuts[-1].append(n)
        size += w
    wanted = {o.name for o in g.output}
    out = []
    for nodes in reversed(cuts):  # backwards: what later segments read, this one must return
        made = {o for n in nodes for o in n.output}
        used = dict.fromkeys(i for n in nodes for i in n.input if i)
        ins = [i for i in used if i not in made and i not in init]
        part = helper.make_graph(nodes, g.name, [types[i] for i in ins], [types[o] for o in types if o in made & wanted],
                                 [init[i] for i in used if i in init])
        out.append(helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version))
        wanted = (wanted - made) | set(ins)
    return out[::-1]


def run_ort(path, inputs, outputs):
    """onnxruntime's outputs. A model with external weights runs in segments: for float16 ones the CPU
    provider would otherwise hold float32 copies of all weights at once."""
    so = ort.SessionOptions()
    so.intra_op_num_threads = 2
    so.log_severity_level = 3
    if Path(f"{path}.data").exists():
        so.add_session_config_entry("session.disable_prepacking", "1")
        so.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.resolve().parent))
        so.enable_cpu_mem_arena = False
        so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        models = [m.SerializeToString() for m in segments(path)]
    else:
        models = [str(path)]
    env = dict(inputs)
    for m in models:
        s = ort.InferenceSession(m, so, providers=["CPUExecutionProvider"])
        names = [o.name for o in s.get_outputs()]
        env.update(zip(names, s.run(names, {i.name: env[i.name] for i in s.get_inputs()})))
        del s
    return [env[o] for o in outputs]
