"""Held-out answer loss of plain QLoRA at r = 64 by PEFT + bitsandbytes, on GSM8K: the number that nested training is compared with.

    python qlora-curve.py --model DIR --data GSM8K_DIR [--steps 150] [--rows 8] [--test-rows 128] [--threads 1] [--compute f32|bf16]

GSM8K_DIR holds train.jsonl and test.jsonl of {"question", "answer"}. Each step takes the next `--rows` training rows, each row once;
only answer tokens count. AdamW, learning rate 4e-4 after 8 warm-up steps, cosine to a tenth, no weight decay, gradient norm clipped to 1.
Progress goes to stderr as JSON lines. Prints JSON: {"rank", "loss", "answerTokens", "baseLoss", "minutes", "tokensPerSecond", ...settings}.
"""
import argparse
import itertools
import json
import math
import pathlib
import sys
import time

import torch
import torch.nn.functional as F
from transformers import AutoTokenizer

from peer_model import ADAPTER_RANK, attach_lora, load_base

LONGEST_ROW = 256  # tokens; longer rows are left out
LEARNING_RATE, WARMUP_STEPS, FINAL_FRACTION = 4e-4, 8, 0.1
TEST_BATCH = 16
IGNORED = -100

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", required=True, help="Hugging Face folder")
parser.add_argument("--data", required=True, type=pathlib.Path, help="folder with train.jsonl and test.jsonl")
parser.add_argument("--steps", type=int, default=150)
parser.add_argument("--rows", type=int, default=8, help="training rows a step")
parser.add_argument("--test-rows", type=int, default=128)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--compute", choices=["f32", "bf16"], default="f32")
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
torch.manual_seed(0)
tokenizer = AutoTokenizer.from_pretrained(arguments.model)


def read_rows(file, count):
    """The first `count` rows of at most LONGEST_ROW tokens, as (prompt ids, answer ids)."""
    with open(arguments.data / file, encoding="utf-8") as lines:
        rows = (json.loads(line) for line in lines)
        pairs = ((tokenizer("Question: " + row["question"] + "\nAnswer: ")["input_ids"],
                  tokenizer(row["answer"] + tokenizer.eos_token)["input_ids"]) for row in rows)
        return list(itertools.islice((pair for pair in pairs if row_length(pair) <= LONGEST_ROW), count))


def row_length(pair):
    return len(pair[0]) + len(pair[1])


def collate(pairs):
    """input_ids and labels, [rows, longest]. Padding is on the right, where causal attention never looks at it."""
    longest = max(map(row_length, pairs))
    input_ids = torch.zeros(len(pairs), longest, dtype=torch.long)
    labels = torch.full((len(pairs), longest), IGNORED)
    for index, (prompt, answer) in enumerate(pairs):
        input_ids[index, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        labels[index, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
    return input_ids, labels


def answer_loss(causal, pairs):
    """Summed loss over answer tokens and how many there are. The head runs on those positions only."""
    input_ids, labels = collate(pairs)
    hidden = causal.model(input_ids=input_ids, use_cache=False).last_hidden_state[:, :-1]
    targets = labels[:, 1:]
    counted = targets != IGNORED
    logits = causal.lm_head(hidden[counted]).float()  # [answer tokens, vocab]
    return F.cross_entropy(logits, targets[counted], reduction="sum"), int(counted.sum())


@torch.no_grad()
def held_out_loss(causal, pairs):
    ordered = sorted(pairs, key=row_length)
    sums = [answer_loss(causal, ordered[start : start + TEST_BATCH]) for start in range(0, len(ordered), TEST_BATCH)]
    answer_tokens = sum(count for _, count in sums)
    return sum(loss.item() for loss, _ in sums) / answer_tokens, answer_tokens


def learning_rate_at(step):
    cosine = 0.5 * (1 + math.cos(math.pi * step / arguments.steps))
    return LEARNING_RATE * min(1, (step + 1) / WARMUP_STEPS) * (FINAL_FRACTION + (1 - FINAL_FRACTION) * cosine)


train_rows = read_rows("train.jsonl", arguments.steps * arguments.rows)
test_rows = read_rows("test.jsonl", arguments.test_rows)
base = load_base(arguments.model, "nf4", {"f32": torch.float32, "bf16": torch.bfloat16}[arguments.compute])
model = attach_lora(base).train()
causal = model.get_base_model()  # the same module, adapter included
with model.disable_adapter():
    base_loss, answer_tokens = held_out_loss(causal, test_rows)
print(json.dumps({"baseLoss": round(base_loss, 4), "answerTokens": answer_tokens}), file=sys.stderr, flush=True)

trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trainable, weight_decay=0.0)
started, seen_tokens = time.perf_counter(), 0
for step in range(arguments.steps):
    for group in optimizer.param_groups:
        group["lr"] = learning_rate_at(step)
    pairs = train_rows[step * arguments.rows : (step + 1) * arguments.rows]
    loss_sum, count = answer_loss(causal, pairs)
    (loss_sum / count).backward()
    torch.nn.utils.clip_grad_norm_(trainable, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    seen_tokens += sum(map(row_length, pairs))
    speed = seen_tokens / (time.perf_counter() - started)
    print(json.dumps({"step": step, "loss": round(loss_sum.item() / count, 4), "tokensPerSecond": round(speed, 1)}), file=sys.stderr, flush=True)
train_seconds = time.perf_counter() - started

loss, answer_tokens = held_out_loss(causal, test_rows)
print(json.dumps({
    "rank": ADAPTER_RANK,
    "loss": round(loss, 4),
    "answerTokens": answer_tokens,
    "baseLoss": round(base_loss, 4),
    "minutes": round(train_seconds / 60, 1),
    "tokensPerSecond": round(seen_tokens / train_seconds, 1),
    "steps": arguments.steps,
    "rows": arguments.rows,
    "compute": arguments.compute,
    "threads": arguments.threads,
}))
