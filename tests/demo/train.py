#!/usr/bin/env python3
"""Trains the demo: a small residual network that reads handwritten digits, with real accuracy.

    train.py

Data: scikit-learn's `load_digits`, 1,797 grey images of 8x8 pixels, shipped inside the package; a
quarter of them, chosen by a fixed seed, is held out and never trained on. Written beside this script:

    digits.onnx  input `image` f32[1, 1, 8, 8] (0 to 1), output `logits` f32[1, 10]; BatchNorm folded
    digits.npz   `images` f32[N, 1, 8, 8], `labels` i64[N], `logits` f32[N, 10] (ONNX Runtime):
                 the first N held-out images

Ends with an error below 97 % of all held-out images, or when ONNX Runtime and torch disagree. One
thread and fixed seeds: the same versions (../models/requirements.txt) and machine give the same
bytes. Deliberately not here: a search for the best network, and augmentation.
"""
import os
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

FOLDER = Path(__file__).resolve().parent
SEED = 20260217
OPSET = 17
EPOCHS = 40
BATCH = 64
LEARNING_RATE = 3e-3
LEAST_ACCURACY = 0.97
LARGEST_SHARE = 0.3  # of the weight bytes in one tensor: streaming must have something to stream
STORED_IMAGES = 100


class ConvNorm(nn.Module):
    """3x3 convolution and BatchNorm; `fold` turns the pair into one convolution."""

    def __init__(self, channels_in, channels_out, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x):
        return self.norm(self.conv(x))

    def fold(self):
        self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class Block(nn.Module):
    """relu(x + conv(relu(conv(x))))"""

    def __init__(self, channels):
        super().__init__()
        self.first, self.second = ConvNorm(channels, channels), ConvNorm(channels, channels)

    def forward(self, x):
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class Digits(nn.Module):
    """8x8 at 32 and 48 channels, 4x4 at 64 channels, mean over pixels, linear head."""

    def __init__(self):
        super().__init__()
        self.stem = ConvNorm(1, 32)
        self.widen = ConvNorm(32, 48)
        self.fine = Block(48)
        self.down = ConvNorm(48, 64, stride=2)
        self.coarse = Block(64)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = torch.relu(self.widen(torch.relu(self.stem(x))))
        x = self.coarse(torch.relu(self.down(self.fine(x))))
        return self.head(x.mean((2, 3)))


def load():
    """(training images, training labels, held-out images, held-out labels)"""
    digits = load_digits()
    images = (digits.images[:, None] / 16.0).astype(np.float32)
    split = train_test_split(images, digits.target.astype(np.int64), test_size=0.25, random_state=SEED, stratify=digits.target)
    train_images, test_images, train_labels, test_labels = split
    return train_images, train_labels, test_images, test_labels


def train(model, images, labels):
    order = torch.Generator().manual_seed(SEED)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    model.train()
    for _ in range(EPOCHS):
        shuffled = torch.randperm(len(images), generator=order)
        for k in range(len(images) // BATCH):
            pick = shuffled[k * BATCH : (k + 1) * BATCH]
            optimiser.zero_grad()
            loss_of(model(images[pick]), labels[pick]).backward()
            optimiser.step()
            schedule.step()


def fold(model):
    for m in model.modules():
        if isinstance(m, ConvNorm):
            m.fold()
    return model.eval()


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    train_images, train_labels, test_images, test_labels = load()
    model = Digits()
    train(model, torch.from_numpy(train_images), torch.from_numpy(train_labels))
    with torch.no_grad():
        model.eval()
        unfolded = model(torch.from_numpy(test_images)).numpy()
        path = FOLDER / "digits.onnx"
        torch.onnx.export(fold(model), (torch.from_numpy(test_images[:1]),), str(path), opset_version=OPSET,
                          input_names=["image"], output_names=["logits"], dynamo=False)
    onnx.checker.check_model(str(path), full_check=True)

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    logits = np.concatenate([session.run(["logits"], {"image": image[None]})[0] for image in test_images])
    distance = np.abs(logits - unfolded).max()
    if distance > 1e-4 * np.abs(unfolded).max():
        raise SystemExit(f"ONNX Runtime and torch are {distance} apart")
    accuracy = (logits.argmax(1) == test_labels).mean()
    if accuracy < LEAST_ACCURACY:
        raise SystemExit(f"held-out accuracy {accuracy:.4f}")
    n = STORED_IMAGES
    np.savez(FOLDER / "digits.npz", images=test_images[:n], labels=test_labels[:n], logits=logits[:n])

    sizes = [numpy_helper.to_array(t).nbytes for t in onnx.load(str(path)).graph.initializer]
    if max(sizes) > LARGEST_SHARE * sum(sizes):
        raise SystemExit(f"one tensor holds {max(sizes)} of {sum(sizes)} bytes")
    print(f"held-out accuracy {(logits.argmax(1) == test_labels).sum()}/{len(test_labels)} = {accuracy:.4f}; "
          f"{(logits[:n].argmax(1) == test_labels[:n]).sum()}/{n} of the stored images; "
          f"{sum(sizes)} bytes of weights, largest tensor {max(sizes)}; torch distance {distance:.1e}")


if __name__ == "__main__":
    main()
