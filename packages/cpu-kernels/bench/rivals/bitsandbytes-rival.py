"""bitsandbytes' Linear4bit under torch, as a rival for bench-kernels.ts: a process that times itself and is asked line by line.

The protocol is that of library-rivals.cpp: `methods`, `prepare METHOD forward|backward TOKENS COLS ROWS,ROWS FOLDER`, `time SLOT SAMPLES CALLS`, `clear`.
bf16 activations and compute type, scales without double quantization: what it does best. `bitsandbytes` is a layer in training mode (forward), and autograd's
backward alone; `bitsandbytes-inference` is eval mode without gradients, which packs the weight for its fused kernel (forward only).
"""
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")
import bitsandbytes as bnb  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from bitsandbytes.functional import QuantState, get_4bit_type  # noqa: E402

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
slots = []


def make_layer(codes, absmax, rows, cols):
    """A Linear4bit over given codes [rows · cols / 2] and scales [rows · cols / 64]."""
    layer = bnb.nn.Linear4bit(cols, rows, bias=False, compute_dtype=torch.bfloat16, compress_statistics=False, quant_type="nf4", device="meta")
    state = QuantState(absmax=absmax.clone(), shape=torch.Size([rows, cols]), code=get_4bit_type("nf4", device="cpu"), blocksize=64, quant_type="nf4", dtype=torch.bfloat16)
    layer.weight = bnb.nn.Params4bit(codes.clone().reshape(-1, 1), requires_grad=False, quant_state=state, blocksize=64, compress_statistics=False, quant_type="nf4", bnb_quantized=True, module=layer)
    layer.quant_state = state
    return layer


def read(path, dtype):
    return torch.from_numpy(np.fromfile(path, dtype=dtype))


def prepare(method, direction, tokens, cols, rows_list, folder):
    """Checks nothing itself: writes METHOD.f32, which the asker checks."""
    tokens, cols, rows_list = int(tokens), int(cols), [int(rows) for rows in rows_list.split(",")]
    total, forward = sum(rows_list), direction == "forward"
    codes, absmax = read(f"{folder}/codes.u8", np.uint8), read(f"{folder}/absmax.f32", np.float32)
    given = read(f"{folder}/in.f32", np.float32).reshape(tokens, cols if forward else total).to(torch.bfloat16)
    starts = [sum(rows_list[:i]) for i in range(len(rows_list))]
    layers = [make_layer(codes[at * cols // 2:(at + rows) * cols // 2], absmax[at * cols // 64:(at + rows) * cols // 64], rows, cols) for at, rows in zip(starts, rows_list)]
    if method == "bitsandbytes-inference":
        if not forward:
            raise ValueError("inference has no backward")
        for layer in layers:
            layer.eval()

        def call():
            with torch.inference_mode():
                return [layer(given) for layer in layers]
    elif forward:
        x = given.requires_grad_(True)

        def call():
            return [layer.train()(x) for layer in layers]
    else:
        x = torch.zeros(tokens, cols, dtype=torch.bfloat16, requires_grad=True)
        outputs = [layer(x) for layer in layers]
        gradients = [given[:, at:at + rows].contiguous() for at, rows in zip(starts, rows_list)]

        def call():
            return torch.autograd.grad(outputs, x, gradients, retain_graph=True)
    torch.cat([part.detach() for part in call()], 1).float().numpy().tofile(f"{folder}/{method}.f32")
    slots.append(call)
    return f"ready {len(slots) - 1}"


def measure(slot, samples, calls):
    call, seconds = slots[int(slot)], []
    call()
    for _ in range(int(samples)):
        started = time.perf_counter()
        for _ in range(int(calls)):
            call()
        seconds.append((time.perf_counter() - started) / int(calls))
    return " ".join(f"{second:.9g}" for second in seconds)


def answer(command, *words):
    if command == "methods":
        return "bitsandbytes bitsandbytes-inference"
    if command == "prepare":
        try:
            return prepare(*words)
        except Exception as error:  # what fails is told to the asker, not lost with this process
            return f"failed {error}".replace("\n", " ")
    if command == "time":
        return measure(*words)
    slots.clear()
    return ""


for line in sys.stdin:
    print(answer(*line.split()), flush=True)
