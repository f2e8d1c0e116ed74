#!/usr/bin/env bash
# gguf 0.19.0, GGUFWriter: add_string with an empty string and add_array with an empty list write no key at all, without an error, though add_uint32
# writes a 0 and add_bool a False. GGUF's text (docs/gguf.md, gguf_string_t and metadata values) has strings of any length and arrays of `len`
# elements; the same keys by add_key_value are written and read. Seen on 2026-11-29:
#   keys read back: a.bool, a.zero; by add_key_value also the empty string
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install gguf==0.19.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import tempfile

from gguf import GGUFReader, GGUFValueType, GGUFWriter


def read_back(*calls):
    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        writer = GGUFWriter(file.name, "llama")
        for method, *arguments in calls:
            getattr(writer, method)(*arguments)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        fields = GGUFReader(file.name).fields
        found = {key: field.contents() for key, field in fields.items() if key.startswith("a.")}
    print([call[0] for call in calls], "read back:", found)
    return found


assert read_back(("add_bool", "a.bool", False), ("add_uint32", "a.zero", 0)) == {"a.bool": False, "a.zero": 0}, "other nothings are kept"
assert read_back(("add_string", "a.string", "x"), ("add_array", "a.array", [1])) == {"a.string": "x", "a.array": [1]}, "with contents both are"
kept = read_back(("add_key_value", "a.string", "", GGUFValueType.STRING))
assert kept == {"a.string": ""}, "the format and the reader have empty strings"
assert read_back(("add_string", "a.string", ""), ("add_array", "a.array", [])) == {}, "the behaviour changed"
PYTHON
