"""Tiny decoders with random weights as Optimum and as torch itself (opset 24) export them, and what ONNX Runtime says to them.

    python exports.py FOLDER [--only NAME ...]

Needs torch 2.15.0, transformers 4.57.6, optimum 2.1.0, optimum-onnx 0.1.0, onnx 1.23.2, onnxscript 0.7.2 and onnxruntime 1.32.0. What is
written, and how it is computed, is as in `make.py`. All of them are told positions, and put past and new entries together; those that count
positions themselves are in `past_length.py`.
"""
import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
import transformers

from make import SEED, SIZES, greedy

GPT2 = dict(vocab_size=80, n_embd=64, n_inner=96, n_layer=2, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=2)
GPT_NEO = dict(vocab_size=80, hidden_size=64, intermediate_size=96, num_layers=2, num_heads=4, max_position_embeddings=128,
               attention_types=[[["global", "local"], 1]], window_size=8, bos_token_id=1, eos_token_id=2)
DECODERS = {
    "qwen3-optimum": ("Qwen3Config", {**SIZES, "head_dim": 16}),
    "mistral-optimum": ("MistralConfig", {**SIZES, "sliding_window": 8}),
    "gpt2-optimum": ("GPT2Config", GPT2),
    "gptneo-optimum": ("GPTNeoConfig", GPT_NEO),
    "llama-torch24": ("LlamaConfig", SIZES),
    "qwen2-torch24": ("Qwen2Config", SIZES),
}


class WithPast(torch.nn.Module):
    """A network whose past and present are tensors, as exporters name them."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, input_ids, attention_mask, position_ids, *past):
        cache = transformers.DynamicCache.from_legacy_cache(tuple(zip(past[::2], past[1::2])))
        given = dict(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, past_key_values=cache)
        found = self.network(**given, use_cache=True)
        return found.logits, *(values for layer in found.past_key_values.to_legacy_cache() for values in layer)


def by_torch(network, config, path):
    """torch's own exporter, all lengths open."""
    heads, size = config.num_key_value_heads, config.hidden_size // config.num_attention_heads
    names = [f"past_key_values.{layer}.{kind}" for layer in range(config.num_hidden_layers) for kind in ("key", "value")]
    past = [torch.zeros(2, heads, 5, size) for _ in names]
    new = torch.arange(3).repeat(2, 1)
    lengths = dict(sequence_length=90, past_sequence_length=90, total_sequence_length=180)
    batch, (sequence, before, total) = torch.export.Dim("batch_size", max=8), (torch.export.Dim(name, max=most) for name, most in lengths.items())
    program = torch.onnx.export(
        WithPast(network).eval(), (new, torch.ones(2, 8, dtype=torch.int64), new + 5, *past), dynamo=True, opset_version=24,
        input_names=["input_ids", "attention_mask", "position_ids", *names],
        output_names=["logits", *(name.replace("past_key_values", "present") for name in names)],
        dynamic_shapes=(
            {0: batch, 1: sequence}, {0: batch, 1: total}, {0: batch, 1: sequence}, tuple({0: batch, 2: before} for _ in past)
        ),
    )
    program.save(path)
    model = onnx.load(path)
    # What it notes at every node is of this machine.
    for node in model.graph.node:
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    return model


def export(name):
    """The graph of one decoder, weights inside."""
    make, sizes = DECODERS[name]
    config = getattr(transformers, make)(**sizes)
    torch.manual_seed(SEED)
    network = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, parameter.shape[-1] ** -0.5)
    folder = tempfile.mkdtemp()
    try:
        if name.endswith("torch24"):
            return by_torch(network, config, Path(folder, "model.onnx"))
        from optimum.exporters.onnx import onnx_export_from_model

        onnx_export_from_model(network, folder, task="text-generation-with-past", do_validation=False)
        return onnx.load(Path(folder, "model.onnx"))
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in DECODERS:
        if arguments.only and name not in arguments.only:
            continue
        model = export(name)
        for node in model.graph.node:
            node.doc_string = ""
        onnx.save(model, arguments.folder / f"{name}.onnx")
        np.savez(arguments.folder / f"{name}.npz", **greedy(model, np.random.default_rng([SEED, *name.encode()])))
        ports = {i.name: [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
        print(name, len(model.graph.node), "nodes", ports)


if __name__ == "__main__":
    main()
