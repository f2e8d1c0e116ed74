"""Small networks of the usual kinds with random weights, written down operator by operator.

Every function gives an `onnx.ModelProto` and its inputs. Layers have the operators that exporters write for them; sizes are tiny, and
the same seed gives the same bytes. Deliberately not here: trained weights, and networks whose exact configuration matters
(../models/export.py exports those).
"""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

SEED = 20261128


class Net:
    """A graph under construction; values are named by their nodes."""

    def __init__(self, name):
        self.name, self.rng = name, np.random.default_rng([SEED, *name.encode()])
        self.nodes, self.inits, self.inputs, self.feeds = [], [], [], {}

    def constant(self, values, name=None):
        name = name or f"c{len(self.inits)}"
        self.inits.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weight(self, *shape, fan=None):
        fan = fan or int(np.prod(shape[1:]))
        return self.constant((self.rng.standard_normal(shape) / np.sqrt(fan)).astype(np.float32))

    def op(self, op, *inputs, outputs=1, **attributes):
        name = f"{op.lower()}_{len(self.nodes)}"
        names = [name] if outputs == 1 else [f"{name}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=name, **attributes))
        return names[0] if outputs == 1 else names

    def input(self, name, values):
        data_type = helper.np_dtype_to_tensor_dtype(values.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, data_type, values.shape))
        self.feeds[name] = values
        return name

    def linear(self, x, k, n, bias=True):
        y = self.op("MatMul", x, self.weight(k, n, fan=k))
        return self.op("Add", y, self.weight(n, fan=4)) if bias else y

    def norm(self, x, size):
        scale, shift = self.constant(np.ones(size, np.float32)), self.constant(np.zeros(size, np.float32))
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-5)

    def heads(self, x, length, heads, size, perm=(0, 2, 1, 3)):
        x = self.op("Reshape", x, self.constant(np.array([1, length, heads, size], np.int64)))
        return self.op("Transpose", x, perm=list(perm))

    def attention(self, x, length, width, heads, causal=False):
        size = width // heads
        q, k, v = (self.linear(x, width, width) for _ in range(3))
        q, v = self.heads(q, length, heads, size), self.heads(v, length, heads, size)
        k = self.heads(k, length, heads, size, (0, 2, 3, 1))
        scores = self.op("Mul", self.op("MatMul", q, k), self.constant(np.float32(size**-0.5)))
        if causal:
            mask = np.triu(np.full((length, length), -1e9, np.float32), 1)
            scores = self.op("Add", scores, self.constant(mask))
        y = self.op("MatMul", self.op("Softmax", scores, axis=-1), v)
        y = self.op("Reshape", self.op("Transpose", y, perm=[0, 2, 1, 3]), self.constant(np.array([1, length, width], np.int64)))
        return self.linear(y, width, width)

    def gelu(self, x):
        half = self.op("Mul", x, self.constant(np.float32(0.5)))
        erf = self.op("Erf", self.op("Div", x, self.constant(np.float32(np.sqrt(2)))))
        return self.op("Mul", half, self.op("Add", erf, self.constant(np.float32(1))))

    def block(self, x, length, width, heads, causal=False, before=True):
        """A transformer's block, with norms in front of its parts or behind."""
        a = self.attention(self.norm(x, width) if before else x, length, width, heads, causal)
        x = self.op("Add", x, a)
        x = x if before else self.norm(x, width)
        h = self.norm(x, width) if before else x
        h = self.linear(self.gelu(self.linear(h, width, 4 * width)), 4 * width, width)
        x = self.op("Add", x, h)
        return x if before else self.norm(x, width)

    def conv(self, x, inputs, outputs, kernel, stride=1, groups=1, act=None):
        w = self.weight(outputs, inputs // groups, kernel, kernel)
        b = self.constant((self.rng.standard_normal(outputs) * 0.1).astype(np.float32))
        y = self.op("Conv", x, w, b, kernel_shape=[kernel, kernel], pads=[kernel // 2] * 4, strides=[stride] * 2, group=groups)
        return self.op(act, y) if act else y

    def model(self, y):
        out = helper.make_tensor_value_info(y, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, self.name, self.inputs, [out], self.inits)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), self.feeds


def bert():
    net, length, width = Net("bert"), 24, 96
    ids = net.input("input_ids", net.rng.integers(0, 200, (1, length)))
    x = net.op("Gather", net.weight(200, width), ids)
    x = net.norm(net.op("Add", x, net.weight(1, length, width)), width)
    for _ in range(2):
        x = net.block(x, length, width, 4, before=False)
    return net.model(net.linear(x, width, 200))


def gpt2():
    net, length, width = Net("gpt2"), 16, 96
    ids = net.input("input_ids", net.rng.integers(0, 200, (1, length)))
    table = net.weight(200, width)
    x = net.op("Add", net.op("Gather", table, ids), net.weight(1, length, width))
    for _ in range(2):
        x = net.block(x, length, width, 4, causal=True)
    return net.model(net.op("MatMul", net.norm(x, width), net.op("Transpose", table, perm=[1, 0])))


def llama():
    net, length, width, heads, kv, size = Net("llama"), 16, 96, 6, 2, 16
    ids = net.input("input_ids", net.rng.integers(0, 200, (1, length)))

    def norm(x):
        squares = net.op("ReduceMean", net.op("Pow", x, net.constant(np.float32(2))), net.constant(np.array([-1], np.int64)), keepdims=1)
        root = net.op("Sqrt", net.op("Add", squares, net.constant(np.float32(1e-5))))
        return net.op("Mul", net.op("Div", x, root), net.constant(np.ones(width, np.float32)))

    angles = np.arange(length)[:, None] * 10000.0 ** (-np.arange(0, size, 2) / size)
    cos, sin = (net.constant(np.concatenate([f(angles)] * 2, -1)[None, None].astype(np.float32)) for f in (np.cos, np.sin))
    bounds = [net.constant(np.array([v], np.int64)) for v in (0, size // 2, size, 3)]

    def turned(x):
        left = net.op("Slice", x, bounds[0], bounds[1], bounds[3])
        right = net.op("Slice", x, bounds[1], bounds[2], bounds[3])
        other = net.op("Concat", net.op("Neg", right), left, axis=-1)
        return net.op("Add", net.op("Mul", x, cos), net.op("Mul", other, sin))

    x = net.op("Gather", net.weight(200, width), ids)
    for _ in range(2):
        h = norm(x)
        q = turned(net.heads(net.linear(h, width, heads * size, bias=False), length, heads, size))
        k = turned(net.heads(net.linear(h, width, kv * size, bias=False), length, kv, size))
        v = net.heads(net.linear(h, width, kv * size, bias=False), length, kv, size)
        wide = net.constant(np.array([1, kv, heads // kv, length, size], np.int64))
        whole = net.constant(np.array([1, heads, length, size], np.int64))
        axis = net.constant(np.array([2], np.int64))
        k, v = (net.op("Reshape", net.op("Expand", net.op("Unsqueeze", t, axis), wide), whole) for t in (k, v))
        scores = net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = net.op("Mul", scores, net.constant(np.float32(size**-0.5)))
        scores = net.op("Add", scores, net.constant(np.triu(np.full((length, length), -1e9, np.float32), 1)))
        a = net.op("MatMul", net.op("Softmax", scores, axis=-1), v)
        a = net.op("Reshape", net.op("Transpose", a, perm=[0, 2, 1, 3]), net.constant(np.array([1, length, width], np.int64)))
        x = net.op("Add", x, net.linear(a, width, width, bias=False))
        h = norm(x)
        gate = net.linear(h, width, 256, bias=False)
        gate = net.op("Mul", gate, net.op("Sigmoid", gate))
        x = net.op("Add", x, net.linear(net.op("Mul", gate, net.linear(h, width, 256, bias=False)), 256, width, bias=False))
    return net.model(net.linear(norm(x), width, 200, bias=False))


def vit():
    net, width, patches = Net("vit"), 96, 16
    image = net.input("pixel_values", net.rng.standard_normal((1, 3, 32, 32)).astype(np.float32))
    x = net.op("Conv", image, net.weight(width, 3, 8, 8), net.weight(width, fan=4), kernel_shape=[8, 8], strides=[8, 8])
    x = net.op("Transpose", net.op("Reshape", x, net.constant(np.array([1, width, patches], np.int64))), perm=[0, 2, 1])
    x = net.op("Concat", net.weight(1, 1, width), x, axis=1)
    x = net.op("Add", x, net.weight(1, patches + 1, width))
    for _ in range(2):
        x = net.block(x, patches + 1, width, 4)
    first = net.op("Gather", net.norm(x, width), net.constant(np.int64(0)), axis=1)
    return net.model(net.op("Gemm", first, net.weight(10, width), net.weight(10, fan=4), transB=1))


def whisper_encoder():
    net, width, length = Net("whisper-encoder"), 96, 20
    x = net.input("input_features", net.rng.standard_normal((1, 40, 2 * length)).astype(np.float32))
    for inputs, stride in ((40, 1), (width, 2)):
        w, b = net.weight(width, inputs, 3), net.weight(width, fan=4)
        x = net.gelu(net.op("Conv", x, w, b, kernel_shape=[3], pads=[1, 1], strides=[stride]))
    x = net.op("Add", net.op("Transpose", x, perm=[0, 2, 1]), net.weight(1, length, width))
    for _ in range(2):
        x = net.block(x, length, width, 4)
    return net.model(net.norm(x, width))


def resnet18():
    net = Net("resnet18")
    x = net.input("image", net.rng.standard_normal((1, 3, 32, 32)).astype(np.float32))
    x = net.conv(x, 3, 16, 7, 2, act="Relu")
    x = net.op("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    width = 16
    for stage, wide in enumerate((16, 32, 48, 64)):
        for part in range(2):
            stride = 2 if stage > 0 and part == 0 else 1
            y = net.conv(net.conv(x, width, wide, 3, stride, act="Relu"), wide, wide, 3)
            same = x if (stride, width) == (1, wide) else net.conv(x, width, wide, 1, stride)
            x, width = net.op("Relu", net.op("Add", y, same)), wide
    x = net.op("Flatten", net.op("GlobalAveragePool", x), axis=1)
    return net.model(net.op("Gemm", x, net.weight(10, width), net.weight(10, fan=4), transB=1))


def mobilenet_v3():
    net = Net("mobilenet-v3")
    x = net.input("image", net.rng.standard_normal((1, 3, 32, 32)).astype(np.float32))
    x, width = net.conv(x, 3, 16, 3, 2, act="HardSwish"), 16
    for expand, wide, kernel, stride in ((16, 16, 3, 2), (48, 24, 3, 1), (72, 24, 5, 1), (96, 40, 5, 2)):
        y = net.conv(x, width, expand, 1, act="HardSwish")
        y = net.conv(y, expand, expand, kernel, stride, groups=expand, act="HardSwish")
        s = net.conv(net.op("GlobalAveragePool", y), expand, expand // 4, 1, act="Relu")
        s = net.op("HardSigmoid", net.conv(s, expand // 4, expand, 1), alpha=1 / 6, beta=0.5)
        y = net.conv(net.op("Mul", y, s), expand, wide, 1)
        x, width = (net.op("Add", x, y) if (stride, width) == (1, wide) else y), wide
    x = net.op("Flatten", net.op("GlobalAveragePool", net.conv(x, width, 96, 1, act="HardSwish")), axis=1)
    return net.model(net.op("Gemm", x, net.weight(10, 96), net.weight(10, fan=4), transB=1))


ALL = [bert, gpt2, llama, vit, resnet18, mobilenet_v3, whisper_encoder]
