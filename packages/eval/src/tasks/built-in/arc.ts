import type { BuiltInTask } from './built-in-task.ts';

/** lm_eval/tasks/arc/arc_easy.yaml of lm-evaluation-harness 0.4.13 (MIT). */
const YAML = String.raw`tag:
  - ai2_arc
task: arc_easy
dataset_path: allenai/ai2_arc
dataset_name: ARC-Easy
output_type: multiple_choice
training_split: train
validation_split: validation
test_split: test
doc_to_text: "Question: {{question}}\nAnswer:"
doc_to_target: "{{choices.label.index(answerKey)}}"
doc_to_choice: "{{choices.text}}"
should_decontaminate: true
doc_to_decontamination_query: "Question: {{question}}\nAnswer:"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
`;

export const ARC_EASY: BuiltInTask = { yaml: YAML };

export const ARC_CHALLENGE: BuiltInTask = {
  yaml: YAML.replace('arc_easy', 'arc_challenge').replace('ARC-Easy', 'ARC-Challenge'),
};
