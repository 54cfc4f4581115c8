"""Golden file of Parquet rows with numbers that JavaScript would write otherwise: as pyarrow writes and reads them, and as Python prints them.

    python make_parquet_rows.py --out ../../data/fixtures

Writes parquet-rows.parquet, parquet-rows.expected.json (what `json.dumps` and `str` make of each row's arguments) and parquet-lz4.parquet (a column of nulls with LZ4). No seed: nothing is drawn.
"""

import argparse
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ARGUMENTS = pa.struct([
    ("share", pa.float64()), ("small", pa.float32()), ("half", pa.float16()), ("count", pa.int32()), ("id", pa.int64()), ("hash", pa.uint64()),
    ("list", pa.list_(pa.float64())), ("grid", pa.list_(pa.list_(pa.float32()))), ("where", pa.struct([("x", pa.float64()), ("n", pa.int64())])), ("many", pa.list_(pa.struct([("y", pa.float64())]))),
    ("by_name", pa.map_(pa.string(), pa.float64())), ("whole_by_name", pa.map_(pa.string(), pa.int64())), ("text", pa.string()), ("yes", pa.bool_()),
])
VALUES = [
    {"share": 1.0, "small": 2.0, "half": 3.0, "count": 4, "id": 5, "hash": 6, "list": [7.0, 8.5, None], "grid": [[9.0], [], None], "where": {"x": 10.0, "n": 11}, "many": [{"y": 12.0}, {"y": None}],
     "by_name": [("a", 13.0)], "whole_by_name": [("a", 14)], "text": "15", "yes": True},
    {"share": -0.0, "small": 0.1, "half": -0.5, "count": -1, "id": -(2**63), "hash": 2**64 - 1, "list": [1e16, 1e15, 1e22, 1e-7, 123456789.0], "grid": None, "where": {"x": None, "n": 2**53 + 1}, "many": [],
     "by_name": [], "whole_by_name": None, "text": None, "yes": None},
    {key: None for key in ("share", "small", "half", "count", "id", "hash", "list", "grid", "where", "many", "by_name", "whole_by_name", "text", "yes")},
]


def with_dicts(arguments):
    """pyarrow reads a map as a list of pairs; a template wants a dict."""
    return {key: dict(value) if key.endswith("by_name") and value is not None else value for key, value in arguments.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    call = pa.struct([("function", pa.struct([("name", pa.string()), ("arguments", ARGUMENTS)]))])
    message = pa.struct([("role", pa.string()), ("content", pa.string()), ("tool_calls", pa.list_(call))])
    rows = [{"messages": [{"role": "user", "content": "q", "tool_calls": None}, {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": value}}]}]} for value in VALUES]
    file = out / "parquet-rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema([("messages", pa.list_(message))])), file)
    pq.write_table(pa.table({"text": ["the king", "a queen"], "source": pa.nulls(2, pa.string())}), out / "parquet-lz4.parquet", compression="lz4")
    read = [with_dicts(row["messages"][1]["tool_calls"][0]["function"]["arguments"]) for row in pq.read_table(file).to_pylist()]
    manifest = {"maker": "makers/make_parquet_rows.py", "versions": {"pyarrow": version("pyarrow")}, "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "rows": [{"json": json.dumps(own), "str": str(own)} for own in read]}
    (out / "parquet-rows.expected.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
