"""Packs the node tests of the installed `onnx` package into node-VERSION.tar.gz, the same bytes every time.

    python tests/conformance/pack.py         needs onnx, its reference package and numpy

The package holds no files of them: it makes models, inputs and expected outputs when asked, from random numbers with a fixed seed.
They are written as its own `backend-test-tools generate-data` would. Equal files become hard links. Nothing is left out.
"""

import gzip
import io
import pathlib
import tarfile
import warnings

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

target = pathlib.Path(__file__).parent / f"node-{onnx.__version__}.tar.gz"

WRITERS = {
    "map_type": numpy_helper.from_dict,
    "sequence_type": numpy_helper.from_list,
    "optional_type": numpy_helper.from_optional,
    "tensor_type": lambda value, name: value if isinstance(value, TensorProto) else numpy_helper.from_array(value, name),
}


def data(value, port):
    return WRITERS[port.type.WhichOneof("value")](value, port.name).SerializeToString(deterministic=True)


def files(case):
    yield "model.onnx", case.model.SerializeToString(deterministic=True)
    for number, (inputs, outputs) in enumerate(case.data_sets):
        for side, values, ports in [("input", inputs, case.model.graph.input), ("output", outputs, case.model.graph.output)]:
            assert len(values) <= len(ports), case.name
            for index, (value, port) in enumerate(zip(values, ports)):
                yield f"test_data_set_{number}/{side}_{index}.pb", data(value, port)


with warnings.catch_warnings():
    # Some expected values are infinite on purpose.
    warnings.simplefilter("ignore", RuntimeWarning)
    np.random.seed(0)
    cases = sorted(collect_testcases(), key=lambda case: case.name)

assert len({case.name for case in cases}) == len(cases)
raw = io.BytesIO()
with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as archive:
    first = {}
    for case in cases:
        for file, content in sorted(files(case)):
            name = f"{case.name}/{file}"
            entry = tarfile.TarInfo(name)
            if content in first:
                entry.type, entry.linkname = tarfile.LNKTYPE, first[content]
            else:
                first[content], entry.size = name, len(content)
            archive.addfile(entry, io.BytesIO(content) if entry.type == tarfile.REGTYPE else None)
with open(target, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
    packed.write(raw.getvalue())
print(target, len(cases), "tests,", target.stat().st_size, "bytes")
