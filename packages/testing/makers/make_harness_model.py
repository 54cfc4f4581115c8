"""What lm-evaluation-harness 0.4.13 computes with the embedded base on transformers: tokens, likelihoods, generated texts.

    python make_harness_model.py --model packages/embedded-base/model --out DIR
"""

import argparse
import os
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TQDM_DISABLE="1", LMEVAL_LOG_LEVEL="ERROR")

import torch
from lm_eval import utils
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from manifest_files import versions, write_json, write_sums

torch.set_num_threads(1)
MAX_LENGTH = 64

STORY = ("Once upon a time there was a little girl named Lily. She had a red ball and a small dog. One day the dog took the ball and ran away. "
         "Lily was sad, but her mother said that the dog would come back. They waited near the door until the sun went down. ")
PAIRS = [
    ("Once upon a time", " there was"), ("Once upon a time ", "there was"), ("Once upon a time\n\n", "A"), ("Question: Who?\nAnswer:", " Lily"),
    ("Question: Who?\nAnswer:", " the dog"), ("Question: Who?\nAnswer:", " A"), ("Question: Who?\nAnswer:", " B"), ("", "Once upon"), ("", "<|endoftext|>Once"),
    ("<|endoftext|>Once upon", " a time"), ("caf", "é 東京 😀"), (STORY, "She was happy."), (STORY * 3, " The end"), (STORY * 3 + "x  ", "\ty"),
]
TEXTS = ["Once upon a time", STORY, STORY * 2, "", "<|endoftext|>The end", "東京 😀"]
PROMPTS = [
    (STORY, {"until": ["."], "do_sample": False, "max_gen_toks": 24}), ("Once upon a time", {"until": ["\n", " was"], "max_gen_toks": 16}),
    ("The dog", {"until": [], "max_new_tokens": 12, "temperature": 0.0}), (STORY * 2, {"until": "zzz", "max_gen_toks": 20}),
    ("Lily said", {"until": ["\"", ",", "."], "max_gen_toks": 20}), ("<|endoftext|>One day", {"until": ["the"], "max_gen_toks": 20}), ("One day", {"until": ["e d", "and "], "max_gen_toks": 30}),
]


def instance(kind, arguments):
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    lm = HFLM(pretrained=str(options.model), dtype="float32", device="cpu", batch_size=1, max_length=MAX_LENGTH)
    likely = lm.loglikelihood([instance("loglikelihood", pair) for pair in PAIRS])
    rolling = lm.loglikelihood_rolling([instance("loglikelihood_rolling", (text,)) for text in TEXTS])
    written = lm.generate_until([instance("generate_until", (prompt, dict(settings))) for prompt, settings in PROMPTS])
    windows = [[list(map(list, w)) for w in map(utils.make_disjoint_window, utils.get_rolling_token_windows(
        token_list=lm.tok_encode(text), prefix_token=lm.prefix_token_id, max_seq_len=MAX_LENGTH, context_len=1))] for text in TEXTS]
    write_json(options.out / "model.expected.json", {
        "maker": "makers/make_harness_model.py", "versions": versions("lm_eval", "transformers", "torch"), "max_length": MAX_LENGTH,
        "pairs": [{"context": c, "continuation": k, "tokens": [list(t) for t in lm._encode_pair(c, k)] if c else None, "log_likelihood": p, "is_greedy": g}
                  for (c, k), (p, g) in zip(PAIRS, likely)],
        "texts": [{"text": t, "windows": w, "log_likelihood": p} for t, w, p in zip(TEXTS, windows, rolling)],
        "prompts": [{"prompt": p, "settings": s, "text": t} for (p, s), t in zip(PROMPTS, written)],
    })
    print(write_sums(options.out))


if __name__ == "__main__":
    main()
