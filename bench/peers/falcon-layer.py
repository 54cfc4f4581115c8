"""A random checkpoint of one layer of Falcon-40b's true shapes, and what transformers makes of it in float32.

    python falcon-layer.py --config '{…}' --tokens 32 --out FOLDER

Writes FOLDER/config.json and FOLDER/model.safetensors (bfloat16), and FOLDER/expected.json: loss, largest and sampled logits, and of every weight's gradient its norm and samples.
"""
import argparse
import json
import os

import torch
import transformers
from transformers import FalconConfig, FalconForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("--config", required=True)
parser.add_argument("--tokens", type=int, required=True)
parser.add_argument("--out", required=True)
parser.add_argument("--threads", type=int, default=2)
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
torch.manual_seed(20)

SAMPLES = 4096

config = FalconConfig(**json.loads(arguments.config))
model = FalconForCausalLM(config).to(torch.float32)
with torch.no_grad():
    for name, parameter in model.named_parameters():
        parameter.copy_(parameter.normal_(0 if parameter.dim() > 1 else 1, 0.02).to(torch.bfloat16).to(torch.float32))
model.to(torch.bfloat16).save_pretrained(arguments.out)
del model
# Read again, since .to(bfloat16) has rounded the rotary frequencies too.
model = FalconForCausalLM.from_pretrained(arguments.out, dtype=torch.float32, attn_implementation="eager")

ids = torch.tensor([[(t * 31 + 7) % config.vocab_size for t in range(arguments.tokens)]])
output = model(input_ids=ids, labels=ids)
output.loss.backward()


def samples(tensor):
    flat = tensor.detach().flatten()
    step = max(1, flat.numel() // SAMPLES)
    return {"norm": float(flat.double().norm()), "step": step, "values": flat[::step].tolist()}


with open(os.path.join(arguments.out, "expected.json"), "w") as file:
    json.dump({
        "transformers": transformers.__version__, "torch": torch.__version__, "ids": ids[0].tolist(), "loss": float(output.loss.detach()), "logits": samples(output.logits[0]),
        "gradients": {name: samples(parameter.grad) for name, parameter in model.named_parameters()},
    }, file)
