"""Tiny decoders that count positions from the length of their past, written by Optimum, and what ONNX Runtime says to them.

    python past_length.py FOLDER [--only NAME ...]

Needs torch 2.15.0, transformers 4.57.6, optimum 2.1.0, optimum-onnx 0.1.0, onnx 1.23.2 and onnxruntime 1.32.0. For every decoder FOLDER
gets `NAME.onnx`, whose weights are random and inside, and `NAME.npz`: the inputs that stay the same (by their names), a prompt of random
tokens (`prompt`), the tokens that greedy decoding appends (`tokens`), and the logits that each was chosen from (`logits`), one by one over
a past that grows from nothing. Deliberately not here: encoders.
"""
import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from optimum.exporters.onnx import onnx_export_from_model

SEED, PROMPT, TOKENS, ENCODED = 20261129, 12, 64, 7
POSITIONS = 96
VOCAB = 48
IDS = dict(vocab_size=VOCAB, bos_token_id=1, eos_token_id=2, pad_token_id=0)
LAYERS = dict(
    d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=24,
    decoder_ffn_dim=24,
)
GEMMA = dict(
    **IDS, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
    max_position_embeddings=POSITIONS, sliding_window=6, layer_types=["sliding_attention"],
)
WHISPER = dict(**IDS, **LAYERS, decoder_start_token_id=1, max_target_positions=POSITIONS, num_mel_bins=8, suppress_tokens=None,
               begin_suppress_tokens=None)
T5 = dict(vocab_size=VOCAB, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2, decoder_start_token_id=0, pad_token_id=0,
          eos_token_id=2)
BART = dict(**IDS, **LAYERS, max_position_embeddings=POSITIONS, decoder_start_token_id=2)
# Configuration, the class that makes the network, the task, the file, and whether it takes a branch for a past.
DECODERS = {
    "gemma3": (transformers.Gemma3TextConfig(**GEMMA), transformers.AutoModelForCausalLM, "text-generation-with-past", "model", False),
    "whisper": (transformers.WhisperConfig(**WHISPER), transformers.AutoModelForSpeechSeq2Seq, "automatic-speech-recognition-with-past",
                "decoder_with_past_model", False),
    "whisper_merged": (transformers.WhisperConfig(**WHISPER), transformers.AutoModelForSpeechSeq2Seq,
                       "automatic-speech-recognition-with-past", "decoder_model_merged", True),
    "t5": (transformers.T5Config(**T5), transformers.AutoModelForSeq2SeqLM, "text2text-generation-with-past", "decoder_with_past_model",
           False),
    "bart": (transformers.BartConfig(**BART), transformers.AutoModelForSeq2SeqLM, "text2text-generation-with-past",
             "decoder_with_past_model", False),
    "t5_merged": (transformers.T5Config(**T5), transformers.AutoModelForSeq2SeqLM, "text2text-generation-with-past",
                  "decoder_model_merged", True),
    "bart_merged": (transformers.BartConfig(**BART), transformers.AutoModelForSeq2SeqLM, "text2text-generation-with-past",
                    "decoder_model_merged", True),
}


def export(name):
    """The graph of one decoder, weights inside."""
    config, kind, task, file, _ = DECODERS[name]
    torch.manual_seed(SEED)
    network = kind.from_config(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, parameter.shape[-1] ** -0.5)
    folder = tempfile.mkdtemp()
    try:
        onnx_export_from_model(network.eval(), folder, task=task, do_validation=False)
        return onnx.load(Path(folder, f"{file}.onnx"))
    finally:
        shutil.rmtree(folder)


def read(model, rng, branch):
    """Inputs that stay the same, a prompt, and greedy tokens with the logits of each by ONNX Runtime."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names, inputs = [o.name for o in session.get_outputs()], [port.name for port in session.get_inputs()]
    same, state = {}, {}
    for port in session.get_inputs():
        sizes = {"batch_size": 1, "encoder_sequence_length": ENCODED, "encoder_sequence_length / 2": ENCODED}
        shape = [sizes.get(size, 0) if isinstance(size, str) else size for size in port.shape]
        if port.name == "encoder_attention_mask":
            same[port.name] = (np.arange(ENCODED)[None] < ENCODED - 2).astype(np.int64)
        elif "encoder" in port.name:
            same[port.name] = rng.standard_normal(shape, dtype=np.float32)
        elif port.name.startswith("past"):
            state[port.name] = np.zeros(shape, np.float32)
    prompt, tokens, logits = rng.integers(3, VOCAB, PROMPT), [], []
    for length in range(PROMPT + TOKENS - 1):
        token = prompt[length] if length < PROMPT else tokens[-1]
        feeds = dict(input_ids=np.array([[token]]), **same, **state)
        if "attention_mask" in inputs:
            feeds["attention_mask"] = np.ones((1, length + 1), np.int64)
        if branch:
            feeds["use_cache_branch"] = np.array([True])
        results = dict(zip(names, session.run(None, feeds)))
        state = {name: results[name.replace("past_key_values", "present")] for name in state}
        if length + 1 >= PROMPT:
            logits.append(results["logits"][0, -1])
            tokens.append(int(logits[-1].argmax()))
    return dict(prompt=prompt[None], tokens=np.array(tokens), logits=np.stack(logits), **same)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, (*_, branch) in DECODERS.items():
        if arguments.only and name not in arguments.only:
            continue
        model = export(name)
        for value in [model.graph, *(a.g for n in model.graph.node for a in n.attribute if a.HasField("g"))]:
            for node in value.node:
                node.doc_string = ""
        onnx.save(model, arguments.folder / f"{name}.onnx")
        found = read(model, np.random.default_rng([SEED, *name.encode()]), branch)
        np.savez(arguments.folder / f"{name}.npz", **found)
        print(name, len(model.graph.node), "nodes,", len(set(found["tokens"].tolist())), "different tokens")


if __name__ == "__main__":
    main()
