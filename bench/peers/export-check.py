"""Does PEFT compute our logits from an adapter that we exported? Exit status 1 where it does not.

    python export-check.py --model DIR --adapter PEFT_DIR --logits FILE.safetensors [--dequantized-base FILE.safetensors]

FILE.safetensors holds `input_ids` ([tokens], I32 or I64) and our `logits` ([tokens, vocab], F32). The base is loaded in f32;
`--dequantized-base` first replaces base weights by name (`model.layers.0.self_attn.q_proj.weight`, ...), say by decoded NF4.
Prints JSON: {"maxAbsDifference", "tolerance", "tokens", "worst": {"token", "vocab", "ours", "peft"}, "replacedWeights"}.
"""
import argparse
import json
import sys

import torch
from peft import PeftModel
from safetensors.torch import load_file

from peer_model import load_base

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", required=True, help="Hugging Face folder of the base")
parser.add_argument("--adapter", required=True, help="PEFT folder")
parser.add_argument("--logits", required=True, help="safetensors file with input_ids and logits")
parser.add_argument("--dequantized-base", help="safetensors file of base weights to put in place of the folder's")
parser.add_argument("--tolerance", type=float, default=1e-4)
parser.add_argument("--threads", type=int, default=1)
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
ours = load_file(arguments.logits)
base = load_base(arguments.model)

replacements = load_file(arguments.dequantized_base) if arguments.dequantized_base else {}
with torch.no_grad():
    base_weights = dict(base.named_parameters())
    for name, weight in replacements.items():
        if name not in base_weights or base_weights[name].shape != weight.shape:
            sys.exit(f"[export-check] expected a base weight for {name} {list(weight.shape)}, got none of that name and shape.")
        base_weights[name].copy_(weight)

model = PeftModel.from_pretrained(base, arguments.adapter).eval()
with torch.no_grad():
    peft_logits = model(input_ids=ours["input_ids"].long()[None]).logits[0].float()  # [tokens, vocab]
if ours["logits"].shape != peft_logits.shape:
    sys.exit(f"[export-check] expected logits of shape {list(peft_logits.shape)}, got {list(ours['logits'].shape)}.")

difference = (ours["logits"] - peft_logits).abs()
token, vocab = divmod(difference.argmax().item(), difference.shape[1])
largest = difference[token, vocab].item()
print(json.dumps({
    "maxAbsDifference": largest,
    "tolerance": arguments.tolerance,
    "tokens": len(peft_logits),
    "worst": {"token": token, "vocab": vocab, "ours": ours["logits"][token, vocab].item(), "peft": peft_logits[token, vocab].item()},
    "replacedWeights": len(replacements),
}))
sys.exit(0 if largest <= arguments.tolerance else 1)  # NaN fails too
