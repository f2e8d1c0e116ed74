"""Packs the node tests of the installed `onnx` package into node-VERSION.tar.gz, the same bytes every time.

    python tests/conformance/pack.py

Equal files become hard links. Nothing is left out.
"""

import gzip
import pathlib
import tarfile

import onnx

here = pathlib.Path(__file__).parent
root = pathlib.Path(onnx.__file__).parent / "backend/test/data/node"
target = here / f"node-{onnx.__version__}.tar.gz"

with open(target, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        first = {}
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            name, data = str(path.relative_to(root)), path.read_bytes()
            entry = tarfile.TarInfo(name)
            if data in first:
                entry.type, entry.linkname = tarfile.LNKTYPE, first[data]
            else:
                first[data], entry.size = name, len(data)
            with open(path, "rb") as file:
                archive.addfile(entry, file if entry.type == tarfile.REGTYPE else None)
print(target, target.stat().st_size, "bytes")
