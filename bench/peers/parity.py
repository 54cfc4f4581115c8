"""Mean next-token loss of a model over a text, by transformers in f32, dense or with bitsandbytes NF4.

    python parity.py --model DIR --text FILE [--limit-tokens 8192] [--window 512] [--quantization none|nf4] [--threads 1]

The text is tokenized whole, without special tokens, and cut into consecutive windows; the first token of a window is not predicted.
Prints JSON: {"quantization", "loss", "predictedTokens", "perplexity"}.
"""
import argparse
import json
import math
import pathlib

import torch
import torch.nn.functional as F
from transformers import AutoTokenizer

from peer_model import load_base

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", required=True, help="Hugging Face folder")
parser.add_argument("--text", required=True, type=pathlib.Path)
parser.add_argument("--limit-tokens", type=int, default=8192)
parser.add_argument("--window", type=int, default=512)
parser.add_argument("--quantization", choices=["none", "nf4"], default="none")
parser.add_argument("--threads", type=int, default=1)
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
tokenizer = AutoTokenizer.from_pretrained(arguments.model)
text = arguments.text.read_text(encoding="utf-8")
token_ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"][: arguments.limit_tokens]
model = load_base(arguments.model, arguments.quantization)

total_loss, predicted_tokens = 0.0, 0
with torch.no_grad():
    for start in range(0, len(token_ids) - 1, arguments.window):
        window = torch.tensor(token_ids[start : start + arguments.window])  # [tokens]
        if len(window) < 2:
            break
        logits = model(input_ids=window[None]).logits[0, :-1]  # [tokens - 1, vocab]
        total_loss += F.cross_entropy(logits.float(), window[1:], reduction="none").double().sum().item()
        predicted_tokens += len(window) - 1

loss = total_loss / predicted_tokens
print(json.dumps({
    "quantization": arguments.quantization,
    "loss": round(loss, 6),
    "predictedTokens": predicted_tokens,
    "perplexity": round(math.exp(loss), 4),
}))
