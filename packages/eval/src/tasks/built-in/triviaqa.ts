import type { BuiltInTask } from './built-in-task.ts';

/** lm_eval/tasks/triviaqa/default.yaml of lm-evaluation-harness 0.4.13 (MIT). */
export const TRIVIAQA: BuiltInTask = {
  yaml: String.raw`task: triviaqa
dataset_path: mandarjoshi/trivia_qa
dataset_name: rc.nocontext
output_type: generate_until
training_split: train
validation_split: validation
doc_to_text: "Question: {{question}}?\nAnswer:"
doc_to_target: "{{answer.aliases}}"
should_decontaminate: true
doc_to_decontamination_query: question
generation_kwargs:
  until:
    - "\n"
    - "."
    - ","
  do_sample: false
  temperature: 0.0
filter_list:
  - name: remove_whitespace
    filter:
      - function: remove_whitespace
      - function: take_first
target_delimiter: " "
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    ignore_case: true
    ignore_punctuation: true
metadata:
  version: 3.0
`,
};
