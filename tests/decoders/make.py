"""Tiny decoders with random weights, written by ONNX Runtime GenAI's own model builder and by Optimum, and what ONNX Runtime says
to them.

    python make.py FOLDER [--only NAME ...] [--answers]

For every decoder FOLDER gets `NAME.onnx`, whose weights are inside, and `NAME.npz`: the prompt (`prompt`), the tokens that greedy
decoding appends (`tokens`), and the logits of every step (`logits`), computed by ONNX Runtime with a cache that grows. The same
seed gives the same weights. With `--answers` the graphs that are there stay, and only ONNX Runtime is needed. `window.onnx` remembers otherwise: a vector, and the last rows that it was given. Deliberately not
here: trained weights, tokenizers.
"""
import argparse
import importlib
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

SEED = 20261128
PROMPT, TOKENS = 5, 64
SIZES = dict(
    vocab_size=80,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
)
# Angles change when the text gets longer than `original_max_position_embeddings`.
LONG_ROPE = dict(type="longrope", short_factor=[1 + 0.1 * i for i in range(8)], long_factor=[2 + 0.2 * i for i in range(8)])
KINDS = {
    "llama": ("LlamaConfig", {}),
    "qwen2": ("Qwen2Config", {}),
    "qwen3": ("Qwen3Config", dict(head_dim=16)),
    "gemma": ("GemmaConfig", dict(head_dim=32, num_key_value_heads=1)),
    "gemma2": ("Gemma2Config", dict(head_dim=16, sliding_window=8, query_pre_attn_scalar=24)),
    "phi3": ("Phi3Config", dict(sliding_window=9, original_max_position_embeddings=128)),
    "phi3long": (
        "Phi3Config",
        dict(hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
             sliding_window=None, original_max_position_embeddings=32, rope_scaling=LONG_ROPE),
    ),
}
# Precision and execution provider, which says what the builder fuses.
FORMS = {"fp32": ("fp32", "cpu"), "fp16": ("fp16", "webgpu"), "int4": ("int4", "cpu")}
DECODERS = [
    *[(kind, form) for kind in KINDS if kind != "phi3long" for form in ("fp32", "int4")],
    ("phi3long", "fp32"),
    ("llama", "fp16"),
    ("llama", "optimum"),
]


def export(kind, form, folder):
    """The graph of one decoder, weights inside."""
    import torch
    import transformers

    make, more = KINDS[kind]
    config = getattr(transformers, make)(**{**SIZES, **more})
    torch.manual_seed(SEED)
    network = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, parameter.shape[-1] ** -0.5)
    if form == "optimum":
        from optimum.exporters.onnx import onnx_export_from_model

        onnx_export_from_model(network.eval(), folder, task="text-generation-with-past", do_validation=False)
        return onnx.load(Path(folder, "model.onnx"))
    config.architectures = [type(network).__name__]
    source, written = Path(folder, "source"), Path(folder, "written")
    network.save_pretrained(source)
    # The builder's own modules import one another from its folder.
    sys.path.append(str(Path(importlib.util.find_spec("onnxruntime_genai.models").origin).parent))
    builder = importlib.import_module("builder")
    # There is no tokenizer whose files could be copied beside the graph.
    for name in ("save_processing", "make_genai_config"):
        setattr(builder.Model, name, lambda *_: None)
    precision, provider = FORMS[form]
    paths = [str(source), str(written)]
    builder.create_model(kind, *paths, precision, provider, str(Path(folder, "cache")), int4_block_size=32, int4_accuracy_level=1)
    return onnx.load(written / "model.onnx")


def made(kind, form):
    """As `export`, in a folder of its own."""
    folder = tempfile.mkdtemp()
    try:
        return export(kind, form, folder)
    finally:
        shutil.rmtree(folder)


def greedy(model, rng):
    """Prompt, tokens and logits of greedy decoding by ONNX Runtime, the cache growing as GenAI lets it grow."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = {i.name: i for i in session.get_inputs()}
    names = [o.name for o in session.get_outputs()]
    kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
    state = {
        name: np.zeros((1, i.shape[1], 0, i.shape[3]), kinds[i.type]) for name, i in inputs.items() if name.startswith("past_")
    }
    prompt = rng.integers(3, SIZES["vocab_size"], (1, PROMPT))
    ids, length, tokens, logits = prompt, 0, [], []
    while len(tokens) < TOKENS:
        length += ids.shape[1]
        feeds = dict(input_ids=ids, attention_mask=np.ones((1, length), np.int64), **state)
        if "position_ids" in inputs:
            feeds["position_ids"] = np.arange(length - ids.shape[1], length)[None]
        results = dict(zip(names, session.run(None, feeds)))
        state = {name: results[name.replace("past_key_values", "present")] for name in state}
        logits.append(results["logits"][0, -1].astype(np.float32))
        tokens.append(int(logits[-1].argmax()))
        ids = np.array([[tokens[-1]]])
    return dict(prompt=prompt, tokens=np.array(tokens), logits=np.stack(logits))


def window(size=64, rows=3):
    """next = tanh(x W + h R); present = past and x; y = next + the sum of present's rows."""
    rng = np.random.default_rng([SEED, *b"window"])
    weights = [numpy_helper.from_array(rng.standard_normal((size, size)).astype(np.float32) / 8, name) for name in "WR"]
    axes = [numpy_helper.from_array(np.array([1]), "axis")]
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["xw"]),
        helper.make_node("MatMul", ["h", "R"], ["hr"]),
        helper.make_node("Add", ["xw", "hr"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["next"]),
        helper.make_node("Unsqueeze", ["x", "axis"], ["row"]),
        helper.make_node("Concat", ["past", "row"], ["present"], axis=1),
        helper.make_node("ReduceSum", ["present", "axis"], ["total"], keepdims=0),
        helper.make_node("Add", ["next", "total"], ["y"]),
    ]
    info = lambda name, *shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    inputs = [info("h", 1, size), info("past", 1, rows, size), info("x", 1, size)]
    outputs = [info("next", 1, size), info("y", 1, size), info("present", 1, rows + 1, size)]
    graph = helper.make_graph(nodes, "window", inputs, outputs, weights + axes)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--answers", action="store_true")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    onnx.save(window(), arguments.folder / "window.onnx")
    for kind, form in DECODERS:
        name = f"{kind}-{form}"
        if arguments.only and name not in arguments.only:
            continue
        if arguments.answers:
            model = onnx.load(arguments.folder / f"{name}.onnx")
        else:
            model = made(kind, form)
            onnx.save(model, arguments.folder / f"{name}.onnx")
        np.savez(arguments.folder / f"{name}.npz", **greedy(model, np.random.default_rng([SEED, *name.encode()])))
        print(name, len(model.graph.node), "nodes")


if __name__ == "__main__":
    main()
