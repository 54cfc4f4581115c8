"""Golden file for TensorBoard event files: bytes as TensorBoard's own record writer and protocol buffers make them.

    python make_tensorboard.py --out ../../trainer/fixtures/tensorboard

Writes events.bin (the file) and events.json (what stands in it). No seed: nothing is drawn.
"""

import argparse
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

WALL = 1_700_000_000.25
EVENTS = [
    {"wall_seconds": WALL, "step": 0, "version": "brain.Event:2"},
    {"wall_seconds": WALL, "step": 1, "start": True},
    {"wall_seconds": WALL + 0.5, "step": 1, "scalars": {"train/loss": 2.5, "train/learning_rate": 0.0002}},
    {"wall_seconds": WALL + 1, "step": 128, "scalars": {"train/loss": -0.1, "Verlust α": 1e-30}},
    {"wall_seconds": WALL + 2, "step": 2**40 + 3, "scalars": {"x" * 200: 3.4e38}},
    {"wall_seconds": WALL + 3, "step": 5, "scalars": {}},
]


def proto(event):
    message = event_pb2.Event(wall_time=event["wall_seconds"], step=event["step"])
    if "version" in event:
        message.file_version = event["version"]
    elif "start" in event:
        message.session_log.status = event_pb2.SessionLog.START
    else:
        values = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in event["scalars"].items()]
        message.summary.CopyFrom(summary_pb2.Summary(value=values))
    return message.SerializeToString(deterministic=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "events.bin", "wb") as file:
        writer = RecordWriter(file)
        for event in EVENTS:
            writer.write(proto(event))
        writer.flush()
    manifest = {"maker": "makers/make_tensorboard.py", "versions": {p: version(p) for p in ("tensorboard", "protobuf")}, "sha256": hashlib.sha256((out / "events.bin").read_bytes()).hexdigest(), "events": EVENTS}
    (out / "events.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
