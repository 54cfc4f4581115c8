"""Trains a run that export-run.ts wrote, by PEFT over bitsandbytes' NF4, and measures its held-out rows.

    python peft-run.py --model DIR --run DIR [--steps N] [--compute f32|bf16] [--threads 1]

Each step has the same rows, rate and clipping (gradient norm 1) as ours; the optimizer is torch's AdamW without weight decay.
Losses of steps go to stderr. Prints JSON: {"id", "rank", "loss", "rowSums", "rowCounts", "minutes", "compute"}.
"""
import argparse
import json
import pathlib
import sys
import time

import torch
import torch.nn.functional as F
from peft import PeftModel

sys.path.append(str(pathlib.Path(__file__).parents[1] / "peers"))
from peer_model import load_base

IGNORED = -100
ROWS_PER_PASS = 4
DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", required=True, help="Hugging Face folder")
parser.add_argument("--run", required=True, type=pathlib.Path, help="folder that export-run.ts wrote")
parser.add_argument("--steps", type=int, help="only the first steps")
parser.add_argument("--compute", choices=list(DTYPES), default="f32")
parser.add_argument("--threads", type=int, default=1)
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
run = json.loads((arguments.run / "run.json").read_text())
base = load_base(arguments.model, "nf4", DTYPES[arguments.compute])
model = PeftModel.from_pretrained(base, arguments.run / "adapter", is_trainable=True).train()
trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trainable, lr=1.0, weight_decay=0.0)


def row_losses(rows):
    """Summed loss of each row: [rows]. Padding is on the right, where causal attention never looks at it."""
    longest = max(len(row["ids"]) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    targets = torch.full((len(rows), longest), IGNORED)
    for index, row in enumerate(rows):
        ids[index, : len(row["ids"])] = torch.tensor(row["ids"])
        targets[index, : len(row["targets"])] = torch.tensor(row["targets"])
    logits = model(input_ids=ids, use_cache=False).logits.float()  # [rows, longest, vocab]
    losses = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
    return losses.sum(dim=1)


def counted_tokens(rows):
    return sum(target != IGNORED for row in rows for target in row["targets"])


def in_passes(rows):
    return (rows[start : start + ROWS_PER_PASS] for start in range(0, len(rows), ROWS_PER_PASS))


def train_step(rows, learning_rate):
    """The mean loss over the counted tokens, and the gradient's norm before clipping."""
    tokens = counted_tokens(rows)
    loss = 0.0
    for part in in_passes(rows):
        part_loss = row_losses(part).sum() / tokens
        part_loss.backward()
        loss += part_loss.item()
    norm = torch.nn.utils.clip_grad_norm_(trainable, 1.0)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.step()
    optimizer.zero_grad()
    return loss, norm.item()


started = time.perf_counter()
for index, step in enumerate(run["steps"][: arguments.steps]):
    loss, norm = train_step(step["rows"], step["learningRate"])
    print(json.dumps({"step": index, "loss": loss, "gradNorm": norm}), file=sys.stderr, flush=True)

with torch.no_grad():
    row_sums = [round(total, 3) for part in in_passes(run["heldOut"]) for total in row_losses(part).tolist()]
row_counts = [counted_tokens([row]) for row in run["heldOut"]]
print(json.dumps({
    "id": run["id"],
    "rank": run["rank"],
    "loss": sum(row_sums) / sum(row_counts),
    "rowSums": row_sums,
    "rowCounts": row_counts,
    "minutes": round((time.perf_counter() - started) / 60, 1),
    "compute": arguments.compute,
}))
