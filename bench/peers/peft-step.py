"""Speed and peak memory of a training step by PEFT: LoRA r = 64 on all linear layers, over NF4 weights with double quantization
(bitsandbytes) or over plain ones.

    python peft-step.py --model DIR [--gradient-checkpointing] [--steps 3] [--micro-batch 4] [--seq 512] [--threads 2] [--compute bf16|f32]
        [--quantization nf4|none]

Data are random token ids; torch AdamW over the adapter. One more step runs first and is not counted.
`prepare_model_for_kbit_training` is left out on purpose: it casts embedding, head and norms to f32, which costs time and memory.
Prints JSON: {"tokensPerSecond" (median over steps), "stepSeconds" (each), "peakGb" (VmHWM), "peakAfterLoadGb", ...settings}.
"""
import argparse
import json
import statistics
import time

import torch

from peer_model import attach_lora, load_base, peak_memory_gb

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", required=True, help="Hugging Face folder")
parser.add_argument("--gradient-checkpointing", action="store_true")
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--micro-batch", type=int, default=4)
parser.add_argument("--seq", type=int, default=512)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--quantization", choices=["nf4", "none"], default="nf4")
parser.add_argument("--compute", choices=["bf16", "f32"], default="bf16")
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
torch.manual_seed(0)
base = load_base(arguments.model, arguments.quantization, {"bf16": torch.bfloat16, "f32": torch.float32}[arguments.compute])
if arguments.gradient_checkpointing:
    base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
model = attach_lora(base).train()
trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trainable, lr=1e-4, weight_decay=0.0)
peak_after_load = peak_memory_gb()


def train_one_step():
    """Seconds of one forward, backward and update over fresh random rows."""
    input_ids = torch.randint(model.config.vocab_size, (arguments.micro_batch, arguments.seq))
    started = time.perf_counter()
    model(input_ids=input_ids, labels=input_ids, use_cache=False).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - started


train_one_step()
step_seconds = [train_one_step() for _ in range(arguments.steps)]
print(json.dumps({
    "tokensPerSecond": round(arguments.micro_batch * arguments.seq / statistics.median(step_seconds), 1),
    "stepSeconds": [round(seconds, 2) for seconds in step_seconds],
    "peakGb": round(peak_memory_gb(), 3),
    "peakAfterLoadGb": round(peak_after_load, 3),
    "gradientCheckpointing": arguments.gradient_checkpointing,
    "compute": arguments.compute,
    "quantization": arguments.quantization,
    "microBatch": arguments.micro_batch,
    "seq": arguments.seq,
    "threads": arguments.threads,
    "trainableParameters": sum(parameter.numel() for parameter in trainable),
}))
