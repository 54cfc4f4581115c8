"""Golden file for the preconditioner of adapters: PEFT's Riemannian preconditioner on one pair of factors, in float64.

    python make_riemannian.py --out ../../trainer/fixtures/riemannian

Writes peft.json. lora_A, grad_A: [rank, in]; lora_B, grad_B: [out, rank]. Inputs are exact in float32.
"""

import argparse
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import torch
from peft.optimizers.riemannian import _RiemannianPreconditioner

RANK, IN, OUT = 4, 6, 6
SEED = 1
REG = 1e-2  # the default of create_riemannian_optimizer

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--out", required=True, type=Path)
arguments = parser.parse_args()

generator = torch.Generator().manual_seed(SEED)


def random_matrix(*shape):
    return torch.randn(*shape, generator=generator).double()


lora_a, lora_b = torch.nn.Parameter(random_matrix(RANK, IN)), torch.nn.Parameter(0.1 * random_matrix(OUT, RANK))
lora_b.data = lora_b.data.float().double()
grads = {"grad_A": random_matrix(RANK, IN), "grad_B": random_matrix(OUT, RANK)}
lora_a.grad, lora_b.grad = grads["grad_A"].clone(), grads["grad_B"].clone()
_RiemannianPreconditioner([(lora_a, lora_b)], REG).step()

arguments.out.mkdir(parents=True, exist_ok=True)
content = json.dumps({
    "maker": "makers/make_riemannian.py",
    "seed": SEED,
    "versions": {name: version(name) for name in ("torch", "peft")},
    "reg": REG,
    "lora_A": lora_a.tolist(),
    "lora_B": lora_b.tolist(),
    **{name: grad.tolist() for name, grad in grads.items()},
    "preconditioned_A": lora_a.grad.tolist(),
    "preconditioned_B": lora_b.grad.tolist(),
}, indent=1)
(arguments.out / "peft.json").write_text(content + "\n")
digest = hashlib.sha256((content + "\n").encode()).hexdigest()
(arguments.out / "SHA256SUMS").write_text(f"{digest}  peft.json\n")
