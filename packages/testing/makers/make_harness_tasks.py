"""What lm-evaluation-harness 0.4.13 makes of made documents: requests, hashes, scores, standard errors, per task.

    python make_harness_tasks.py --out DIR

The model is a table of fixed answers, so that everything can be compared exactly. Runs offline.
"""

import argparse
import gzip
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", DISABLE_MULTIPROC="1", TQDM_DISABLE="1", LMEVAL_LOG_LEVEL="ERROR")

import datasets
import evaluate
import yaml
from harness_documents import all_documents
from manifest_files import versions, write_sums


class NoExecution:
    """In place of the metric `code_eval`, which the harness loads from the network and which executes code."""

    def compute(self, references, predictions, k):
        return {f"pass@{n}": 0.0 for n in k}, {}


evaluate.load = lambda name: NoExecution()

import lm_eval
from lm_eval.api.model import LM
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

ANSWERS = [
    "So 3 + 4 = 7.\n#### 7", " The answer is 18. Then 20", "#### 1,024.", "no number at all", "", "It costs $40", "#### -3\n#### 9", "The answer is 2.5.",
    " red ", "Blue.", "東京", "it's \"QUOTED\"", "12", "stone bread", "The answer is (B)", "ωmega!", "1) 0red 2) $", "A: river, stone",
]


def drawn(*parts):
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:6], "big")


class FixedAnswers(LM):
    def loglikelihood(self, requests, disable_tqdm=False):
        return [(-(drawn(*r.args) % 1_000_003) / 30_011, drawn("greedy", *r.args) % 3 == 0) for r in requests]

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        return [-(drawn(*r.args) % 1_000_003) / 1_009 for r in requests]

    def generate_until(self, requests, disable_tqdm=False):
        counts, answers = {}, []
        for r in requests:
            counts[r.args[0]] = counts.get(r.args[0], 0) + 1
            answers.append(ANSWERS[drawn(r.args[0], str(counts[r.args[0]])) % len(ANSWERS)])
        return answers

    @property
    def tokenizer_name(self):
        return "none"

    def apply_chat_template(self, chat_history, add_generation_prompt=True):
        return "".join(f"<{m['role']}>{m['content']}</>" for m in chat_history) + ("<assistant>" if add_generation_prompt else "")


OWN_TASKS = {
    "own_choice": """
task: own_choice
dataset_path: quiz
training_split: train
test_split: test
output_type: multiple_choice
description: "About {{topic}}:"
doc_to_text: "{{q|upper}} {{'%' ~ score}}"
doc_to_target: gold
doc_to_choice: options
target_delimiter: ""
fewshot_delimiter: "\\n--\\n"
metric_list:
  - metric: acc
  - metric: acc_norm
  - metric: acc_bytes
  - metric: acc_mutual_info
    aggregation: mean
    higher_is_better: true
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
metadata: {version: 0.1}
""",
    "own_any": """
task: own_any
dataset_path: quiz
test_split: test
fewshot_split: test
output_type: multiple_choice
doc_to_text: q
doc_to_target: golds
doc_to_choice: "{{[options[0], options[1] ~ '!', 'none']}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
""",
    "own_letters": """
task: own_letters
dataset_path: quiz
test_split: test
fewshot_split: train
output_type: multiple_choice
doc_to_text: "{{q}}\\n{% for o in options %}{{loop.index}}. {{o}}\\n{% endfor %}Reply:"
doc_to_target: "{{gold}}"
doc_to_choice: {a: one, b: two, c: three}
fewshot_config:
  doc_to_text: "Q {{q}} of {{id}}"
  doc_to_choice: options
  doc_to_target: gold
  fewshot_delimiter: "\\n\\n\\n"
  target_delimiter: " => "
gen_prefix: "{{hint}}"
""",
    "own_likelihood": """
task: own_likelihood
dataset_path: quiz
training_split: train
test_split: test
output_type: loglikelihood
doc_to_text: "{{q}}"
doc_to_target: " {{reply}}"
metric_list:
  - metric: perplexity
  - metric: acc
metadata: {version: 1}
""",
    "own_text": """
task: own_text
dataset_path: quiz
validation_split: test
output_type: generate_until
description: "Answer. "
doc_to_text: "{{q}}\\n"
doc_to_target: reply
gen_prefix: hint
generation_kwargs: {max_gen_toks: 12, temperature: 1}
metric_list:
  - metric: bleu
    aggregation: bleu
    higher_is_better: true
  - metric: exact_match
    aggregation: nanmean
    higher_is_better: true
    ignore_case: true
    ignore_punctuation: true
    ignore_numbers: true
""",
    "own_filters": r"""
task: own_filters
dataset_path: quiz
test_split: test
training_split: train
output_type: generate_until
repeats: 3
doc_to_text: "{{q|regex_replace('[aeiou]', '_')}}"
doc_to_target: "{{replies}}"
generation_kwargs:
  until: "\n"
filter_list:
  - name: vote
    filter:
      - function: remove_whitespace
      - function: lowercase
      - function: take_first_k
        k: 2
      - function: majority_vote
      - function: take_first
  - name: pair
    filter:
      - function: regex
        regex_pattern: '(?i)(?P<word>[a-z]+)\s+(\w*)'
        group_select: -1
        fallback: nothing
      - function: uppercase
      - function: take_first
  - name: mapped
    filter:
      - function: regex
        regex_pattern: '\b(\d)\b'
      - function: map
        mapping_dict: {"7": seven, "9": nine}
        default_value: other
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    regexes_to_ignore: ['\s+$', "[?.]"]
    ignore_case: true
""",
    "own_samples": """
task: own_samples
dataset_path: quiz
test_split: test
output_type: generate_until
doc_to_text: "{{q}} ="
doc_to_target: "{{reply}}"
target_delimiter: "\\n"
num_fewshot: 2
fewshot_config:
  sampler: first_n
  samples:
    - {q: one plus one, reply: two}
    - {q: two plus two, reply: four}
    - {q: unused, reply: unused}
metric_list:
  - metric: exact_match
""",
}


def tell_data(documents):
    def load_dataset(path, name=None, **ignored):
        return datasets.DatasetDict({split: datasets.Dataset.from_list(docs) for split, docs in documents[path, name].items()})

    lm_eval.api.task.datasets.load_dataset = load_dataset


def run(manager, name, tasks, num_fewshot, limit=None, **settings):
    out = Path(tempfile.mkdtemp())
    tracker = EvaluationTracker(output_path=str(out))
    results = lm_eval.simple_evaluate(
        model=FixedAnswers(), tasks=tasks, num_fewshot=num_fewshot, limit=limit, task_manager=manager, evaluation_tracker=tracker,
        confirm_run_unsafe_code=True, bootstrap_iters=1000, **settings)
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task in results["configs"]:
        tracker.save_results_samples(task_name=task, samples=samples[task])
    lines = {}
    for task in results["configs"]:
        [file] = out.rglob(f"samples_{task}_2*.jsonl")
        lines[task] = file.read_text(encoding="utf-8")
    [file] = out.rglob("results_*.json")
    saved = json.loads(file.read_text(encoding="utf-8"))
    keep = ["results", "groups", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "task_hashes"]
    shutil.rmtree(out)
    return {"name": name, "tasks": tasks, "num_fewshot": num_fewshot, "limit": limit, **settings,
            "expected": {key: saved[key] for key in keep if key in saved}, "samples": lines}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    home = Path(lm_eval.__file__).parent / "tasks"
    subjects = sorted(p.stem.removeprefix("mmlu_") for p in (home / "mmlu/default").glob("mmlu_*.yaml"))
    documents = all_documents(subjects)
    tell_data(documents)
    own = Path(tempfile.mkdtemp())
    for name, body in OWN_TASKS.items():
        (own / f"{name}.yaml").write_text(body)
    manager = TaskManager(include_path=str(own))
    cases = [
        run(manager, "gsm8k", ["gsm8k"], None),
        run(manager, "gsm8k at 0", ["gsm8k"], 0, 3),
        run(manager, "gsm8k at 8, as a conversation", ["gsm8k"], 8, 4, apply_chat_template=True, fewshot_as_multiturn=True, system_instruction="Be brief."),
        run(manager, "gsm8k_cot", ["gsm8k_cot"], None, 4),
        run(manager, "hellaswag", ["hellaswag"], None),
        run(manager, "hellaswag at 2", ["hellaswag"], 2, 4),
        run(manager, "arc", ["arc_easy", "arc_challenge"], None),
        run(manager, "arc at 6", ["arc_easy", "arc_challenge"], 6, 3),
        run(manager, "arc in one turn", ["arc_easy"], 1, 2, apply_chat_template=True, fewshot_as_multiturn=False),
        run(manager, "mmlu", ["mmlu"], None),
        run(manager, "mmlu at 5", ["mmlu"], 5, 1),
        run(manager, "triviaqa", ["triviaqa"], None),
        run(manager, "triviaqa at 3", ["triviaqa"], 3, 4),
        run(manager, "wikitext", ["wikitext"], None),
        run(manager, "humaneval", ["humaneval"], None),
        *(run(manager, f"{name} at {shots}", [name], shots) for name in OWN_TASKS for shots in {"own_samples": [None], "own_any": [0]}.get(name, [0, 3])),
        run(manager, "half of own_choice", ["own_choice"], 1, 0.5),
        run(manager, "own_letters as a conversation", ["own_letters"], 1, 2, apply_chat_template=True, fewshot_as_multiturn=True),
    ]
    out.mkdir(parents=True, exist_ok=True)
    data = [{"path": path, "name": name, "splits": {split: "".join(json.dumps(doc, ensure_ascii=False) + "\n" for doc in docs) for split, docs in splits.items()}}
            for (path, name), splits in documents.items()]
    head = {"maker": "makers/make_harness_tasks.py", "versions": versions("lm_eval", "datasets", "sacrebleu", "numpy"),
            "documents": data, "own_tasks": OWN_TASKS, "cases": cases}
    packed = gzip.compress(json.dumps(head, ensure_ascii=False).encode(), mtime=0)
    (out / "tasks.expected.json.gz").write_bytes(packed)
    print(len(cases), "cases", len(packed), "bytes", write_sums(out))


if __name__ == "__main__":
    main()
