"""QLoRA's scoring of MMLU with the embedded base on transformers: the logits of the tokens A, B, C, D after a prompt.

    python make_qlora_letters.py --model packages/embedded-base/model --out packages/eval/fixtures/qlora
"""

import argparse
from pathlib import Path

import torch
import transformers
from manifest_files import versions, write_json, write_sums

torch.set_num_threads(1)

TOPICS = ["anatomy", "world religions"]
QUESTIONS = [
    ("Where does a dog sleep?", ["in a house", "in a cloud", "under the sea", "nowhere"], "A"),
    ("What did Lily lose?", ["a hat", "the red ball", "a tree", "her name"], "B"),
    ("Who came back?", ["the sun", "no one", "the dog", "a train"], "C"),
    ("What is 2 + 2?", ["1", "2", "3", "4"], "D"),
]


def block(question, choices):
    lines = [f"{letter}. {choice}" for letter, choice in zip("ABCD", choices)]
    return "\n".join([question, *lines, "Answer:"])


def prompt(topic, shots, question, choices):
    head = f"The following are multiple choice questions (with answers) about {topic}.\n\n"
    return head + "".join(f"{block(q, c)} {a}\n\n" for q, c, a in shots) + block(question, choices)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    letters = [tokenizer(letter, add_special_tokens=False).input_ids[0] for letter in "ABCD"]
    cases = []
    for topic in TOPICS:
        for i, (question, choices, _) in enumerate(QUESTIONS):
            text = prompt(topic, QUESTIONS[:i], question, choices)
            ids = tokenizer(text, add_special_tokens=False).input_ids
            if tokenizer.bos_token_id is not None:
                ids = [tokenizer.bos_token_id, *ids]
            with torch.no_grad():
                logits = model(torch.tensor([ids])).logits[0, -1]
            cases.append({"prompt": text, "tokens": len(ids), "letter_logits": logits[letters].tolist(),
                          "choice": int(logits[letters].argmax())})
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_json(arguments.out / "letters.expected.json", {"maker": "makers/make_qlora_letters.py", "versions": versions("transformers", "torch"), "letters": letters, "cases": cases})
    write_sums(arguments.out)


if __name__ == "__main__":
    main()
