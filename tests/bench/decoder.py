#!/usr/bin/env python3
"""Writes a language model with random 4-bit weights, in the form of ONNX Runtime GenAI's builder (Llama, int4, f32 activations).

    decoder.py OUT.onnx [--layers 32] [--hidden 4096] [--heads 32] [--kv-heads 8] [--ffn 11008] [--vocab 32000] [--positions 4096]

`OUT.onnx.data` holds the weights: codes and f32 scales of blocks of 32 (MatMulNBits), 0.625 bytes a parameter, and an f32 table
of embeddings; `OUT.npz` a prompt of 64 tokens as `input_ids`. Compile and run it as docs/state.md says. The same sizes give the same bytes on any number
of cores. What is measured with it is speed and memory: its text means nothing. Exit codes: 0 done, 1 failed, 2 wrong usage.
"""
import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ALIGN = 4096
BLOCK = 32
CHUNK = 1 << 24  # bytes drawn by one task
TYPES = {TensorProto.FLOAT: np.float32, TensorProto.UINT8: np.uint8}


class Model:
    """Nodes and weights as they come; weights are drawn into the data file at the end."""

    def __init__(self, path):
        self.path, self.nodes, self.initializers, self.drawn, self.size = path, [], [], [], 0

    def constant(self, name, array):
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, name, shape, kind, deviation=1.0):
        tensor = TensorProto(name=name, data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL)
        length = int(np.prod(shape)) * TYPES[kind]().itemsize
        for key, value in (("location", self.path.name + ".data"), ("offset", self.size), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        self.initializers.append(tensor)
        self.drawn.append((self.size, length, kind, deviation))
        self.size += -(-length // ALIGN) * ALIGN
        return name

    def node(self, kind, inputs, outputs, **attributes):
        domain = "" if kind in STANDARD else "com.microsoft"
        name = "/" + outputs[0].split("/output")[0].strip("/")
        self.nodes.append(helper.make_node(kind, inputs, outputs, name, domain=domain, **attributes))
        return outputs[0]

    def product(self, x, name, k, n):
        """x [.., k] by 4-bit weights [k, n]."""
        codes = self.weight(f"{name}.weight_Q4", [n, k // BLOCK, BLOCK // 2], TensorProto.UINT8)
        # Codes are uniform about 8, with a deviation of 4.6.
        scales = self.weight(f"{name}.weight_scales", [n, k // BLOCK], TensorProto.FLOAT, 1 / (4.6 * k**0.5))
        output = "logits" if name == "lm_head" else f"/{name}/output_0"
        return self.node("MatMulNBits", [x, codes, scales], [output], K=k, N=n, bits=4, block_size=BLOCK)

    def draw(self):
        pieces = [
            (offset + start, min(CHUNK, length - start), kind, deviation, index, start)
            for index, (offset, length, kind, deviation) in enumerate(self.drawn)
            for start in range(0, length, CHUNK)
        ]
        with open(f"{self.path}.data", "wb") as file:
            file.truncate(self.size)
        data = np.memmap(f"{self.path}.data", np.uint8, "r+")

        def one(piece):
            offset, length, kind, deviation, index, start = piece
            random = np.random.default_rng([index, start])
            if kind == TensorProto.UINT8:
                data[offset : offset + length] = random.integers(0, 256, length, np.uint8)
            else:
                drawn = random.standard_normal(length // 4, np.float32) * np.float32(deviation)
                data[offset : offset + length] = drawn.view(np.uint8)

        with ThreadPoolExecutor() as pool:
            list(pool.map(one, pieces))
        data.flush()


STANDARD = {"Cast", "Constant", "Gather", "Mul", "ReduceSum", "Shape", "Sigmoid", "SimplifiedLayerNormalization", "Sub"}


def build(path, a):
    model = Model(path)
    head = a.hidden // a.heads
    node, constant = model.node, model.constant
    ones = lambda name: constant(name, np.ones(a.hidden, np.float32))
    one, axis = constant("one", np.int64(1)), constant("axis", np.array([1], np.int64))
    count = node("ReduceSum", ["attention_mask", axis], ["/mask/sum/output_0"], keepdims=0)
    before = node("Sub", [count, axis], ["/mask/before/output_0"])
    seqlens = node("Cast", [before], ["/mask/seqlens/output_0"], to=TensorProto.INT32)
    sizes = node("Shape", ["attention_mask"], ["/mask/shape/output_0"])
    total = node("Gather", [sizes, one], ["/mask/total/output_0"])
    total = node("Cast", [total], ["/mask/total32/output_0"], to=TensorProto.INT32)
    angle = np.arange(a.positions)[:, None] / 10000 ** (np.arange(0, head, 2) / head)
    cos, sin = constant("cos_cache", np.cos(angle).astype(np.float32)), constant("sin_cache", np.sin(angle).astype(np.float32))

    table = model.weight("embed_tokens.weight", [a.vocab, a.hidden], TensorProto.FLOAT)
    residual = node("Gather", [table, "input_ids"], ["/embed_tokens/output_0"])
    x = node("SimplifiedLayerNormalization", [residual, ones("norm")], ["/norm/output_0"], axis=-1, epsilon=1e-6, stash_type=1)
    states = []
    for layer in range(a.layers):
        at = f"layers.{layer}"
        past = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
        present = [f"present.{layer}.{kind}" for kind in ("key", "value")]
        states.append((past, present))
        qkv = model.product(x, f"{at}.qkv_proj", a.hidden, (a.heads + 2 * a.kv_heads) * head)
        inputs = [qkv, "", "", *past, seqlens, total, cos, sin]
        outputs = [f"/{at}/attention/output_0", *present]
        y = node("GroupQueryAttention", inputs, outputs, num_heads=a.heads, kv_num_heads=a.kv_heads, do_rotary=1)
        y = model.product(y, f"{at}.o_proj", a.hidden, a.hidden)
        outputs = [f"/{at}/post_norm/output_0", "", "", f"/{at}/post_norm/output_3"]
        x = node("SkipSimplifiedLayerNormalization", [residual, y, ones(f"{at}.post_norm")], outputs, epsilon=1e-6)
        residual = outputs[3]
        gate, up = (model.product(x, f"{at}.{name}_proj", a.hidden, a.ffn) for name in ("gate", "up"))
        y = node("Mul", [gate, node("Sigmoid", [gate], [f"/{at}/sigmoid/output_0"])], [f"/{at}/act/output_0"])
        y = node("Mul", [y, up], [f"/{at}/mul/output_0"])
        y = model.product(y, f"{at}.down_proj", a.ffn, a.hidden)
        outputs = [f"/{at}/next_norm/output_0", "", "", f"/{at}/next_norm/output_3"]
        outputs = outputs if layer + 1 < a.layers else outputs[:1]
        x = node("SkipSimplifiedLayerNormalization", [residual, y, ones(f"{at}.next_norm")], outputs, epsilon=1e-6)
        residual = outputs[-1]
    model.product(x, "lm_head", a.hidden, a.vocab)

    port = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
    cache = lambda names, length: [
        port(name, TensorProto.FLOAT, ["batch_size", a.kv_heads, length, head]) for name in names
    ]
    inputs = [
        port("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"]),
        port("attention_mask", TensorProto.INT64, ["batch_size", "total_sequence_length"]),
    ]
    outputs = [port("logits", TensorProto.FLOAT, ["batch_size", "sequence_length", a.vocab])]
    for past, present in states:
        inputs += cache(past, "past_sequence_length")
        outputs += cache(present, "total_sequence_length")
    graph = helper.make_graph(model.nodes, "decoder", inputs, outputs, model.initializers)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    model.draw()
    prompt = np.random.default_rng(1).integers(0, a.vocab, (1, 64))
    np.savez(path.with_suffix(".npz"), input_ids=prompt)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("model", type=Path, metavar="OUT.onnx")
    sizes = {"layers": 32, "hidden": 4096, "heads": 32, "kv-heads": 8, "ffn": 11008, "vocab": 32000, "positions": 4096}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"[default: {default}]")
    arguments = parser.parse_args()
    if arguments.hidden % (BLOCK * arguments.heads) or arguments.ffn % BLOCK or arguments.heads % arguments.kv_heads:
        parser.error("hidden must be a multiple of 32 x heads, ffn of 32, heads of kv-heads")
    build(arguments.model, arguments)


if __name__ == "__main__":
    main()
