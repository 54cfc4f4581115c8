"""The rows of a task as Hugging Face's `datasets` hands them to lm-evaluation-harness, from JSON lines.

    python make_harness_rows.py --out DIR
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TQDM_DISABLE="1")

import datasets
from manifest_files import versions, write_json

SPLITS = {
    "fields that some rows lack": [{"q": "a"}, {"q": "b", "hint": "h"}, {"hint": None, "q": "c", "n": 1}],
    "whole numbers and floats": [{"n": 1, "m": 1}, {"n": 2.5, "m": 2}, {"n": None, "m": 3}],
    "numbers in lists": [{"n": [1, 2]}, {"n": []}, {"n": [0.5, None]}, {"n": None}],
    "numbers and texts": [{"n": 1}, {"n": "two"}, {"n": 3}],
    "numbers and truth": [{"n": True}, {"n": 1}, {"n": 0}],
    "mappings with the same keys": [{"m": {"b": 1, "a": "s"}}, {"m": {"a": "t", "b": 2.5}}, {"m": None}],
    "mappings with other keys": [{"m": {"b": 1, "a": "s"}}, {"m": {"a": "t"}}, {"m": {"c": 2.5, "a": "u", "b": 1}}],
    "mappings in lists": [{"m": [{"b": 1, "a": {"d": 1, "c": 2}}]}, {"m": [{"a": {"c": 0.5, "d": 2}, "b": 2}, None]}],
    "mappings of mappings": [{"m": {"a": {"x": 1}}}, {"m": {"a": {"y": 1}}}, {"m": {"a": {"x": 0.5, "y": 1}}}],
    "lists and numbers": [{"m": [1]}, {"m": 2}, {"m": [2.5]}],
    "lists of lists": [{"m": [[1, 2], [0.5]]}, {"m": [[], None, [3]]}],
    "nothing but None": [{"m": None, "n": []}, {"m": None, "n": []}],
}


def read(rows):
    """The rows after `datasets` has read them from a file, one JSON text each."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "test.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        read_rows = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=folder)
        return [json.dumps(row, ensure_ascii=False) for row in read_rows]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    write_json(out / "rows.expected.json", {
        "maker": "makers/make_harness_rows.py",
        "versions": versions("datasets", "pyarrow"),
        "splits": [{"name": name, "written": [json.dumps(row) for row in rows], "read": read(rows)} for name, rows in SPLITS.items()],
    })


if __name__ == "__main__":
    main()
