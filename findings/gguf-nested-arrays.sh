#!/usr/bin/env bash
# gguf 0.19.0, GGUFReader: contents() of an array of arrays is one flat list, so that [[1, 2], [3]] and [[1], [2, 3]] read the same. GGUF's text
# (docs/gguf.md, GGUF_METADATA_VALUE_TYPE_ARRAY): "The value is an array of other values, with the length and type prepended. Arrays can be nested".
# GGUFWriter writes them as it says; twenty lines by the text read them. Seen on 2026-11-29:
#   written [[1, 2], [3]], in the file [[1, 2], [3]], read [1, 2, 3]
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install gguf==0.19.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import struct
import tempfile

from gguf import GGUFReader, GGUFWriter

INT32, ARRAY = 5, 9


def value(data, offset, kind):
    """The value at the offset by GGUF's text, and the offset behind it: of 32-bit integers and arrays."""
    if kind == INT32:
        return struct.unpack_from("<i", data, offset)[0], offset + 4
    assert kind == ARRAY
    inner, count = struct.unpack_from("<IQ", data, offset)
    items, offset = [], offset + 12
    for _ in range(count):
        item, offset = value(data, offset, inner)
        items.append(item)
    return items, offset


def read(written):
    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        writer = GGUFWriter(file.name, "llama")
        writer.add_array("a.key", written)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        data = open(file.name, "rb").read()
        place = data.index(b"a.key") + len(b"a.key")
        in_file = value(data, place + 4, struct.unpack_from("<I", data, place)[0])[0]
        found = GGUFReader(file.name).fields["a.key"].contents()
    print(f"written {written}, in the file {in_file}, read {found}")
    assert in_file == written, "the file is right"
    return found


assert read([1, 2, 3]) == [1, 2, 3], "flat arrays are read"
assert read([[1, 2], [3]]) == [1, 2, 3] == read([[1], [2, 3]]), "the behaviour changed"
PYTHON
