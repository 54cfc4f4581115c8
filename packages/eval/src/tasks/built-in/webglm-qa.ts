import type { BuiltInTask } from './built-in-task.ts';

/**
 * Long answers from references (Liu et al. 2023), judged by BLEU and ROUGE as in QDyLoRA's experiments. The
 * harness has no such task, so the prompt is this project's own.
 *
 * `bleu` is sacrebleu's (0 to 100), `bleu_hf` that of Hugging Face's `evaluate` (0 to 1, without smoothing).
 */
export const WEBGLM_QA: BuiltInTask = {
  yaml: String.raw`task: webglm_qa
dataset_path: THUDM/webglm-qa
output_type: generate_until
training_split: train
validation_split: validation
test_split: test
doc_to_text: "{% for reference in references %}Reference {{loop.index}}: {{reference}}\n\
  {% endfor %}Question: {{question}}\nAnswer:"
doc_to_target: "{{answer}}"
generation_kwargs:
  until:
    - "\n"
  do_sample: false
  max_gen_toks: 256
metric_list:
  - metric: bleu
  - metric: bleu_hf
  - metric: rouge1
  - metric: rouge2
  - metric: rougeL
filter_list:
  - name: none
    filter:
      - function: remove_whitespace
      - function: take_first
metadata:
  version: 1.0
`,
};
