import type { BuiltInTask } from './built-in-task.ts';

/** lm_eval/tasks/humaneval/humaneval.yaml of lm-evaluation-harness 0.4.13 (MIT). */
const YAML = String.raw`task: humaneval
dataset_path: openai/openai_humaneval
unsafe_code: true
output_type: generate_until
test_split: test
doc_to_text: "{{prompt}}"
doc_to_target: "{{test}}\ncheck({{entry_point}})"
metric_list:
  - metric: !function utils.pass_at_k
    aggregation: mean
    higher_is_better: true
    k: [1]
generation_kwargs:
  until:
    - "\nclass"
    - "\ndef"
    - "\n#"
    - "\nif"
    - "\nprint"
  max_gen_toks: 1024
  do_sample: false
repeats: 1
num_fewshot: 0
filter_list:
  - name: "create_test"
    filter:
      - function: "custom"
        filter_fn: !function utils.build_predictions
metadata:
  version: 1.0
`;

/**
 * The answers are written as programs and not judged: that would execute code that a model wrote. The samples
 * hold the whole programs.
 */
export const HUMANEVAL: BuiltInTask = {
  yaml: YAML,
  functions: { prediction: (document, response) => `${String(document.get('prompt'))}${response}` },
};
