import type { GroupDefinition } from '../definition/task-definition.ts';
import type { BuiltInTask } from './built-in-task.ts';

/** The subjects of each field, as lm-evaluation-harness 0.4.13 groups them (MIT). */
const SUBJECTS: Readonly<Record<string, readonly string[]>> = {
  stem: [
    'abstract_algebra',
    'anatomy',
    'astronomy',
    'college_biology',
    'college_chemistry',
    'college_computer_science',
    'college_mathematics',
    'college_physics',
    'computer_security',
    'conceptual_physics',
    'electrical_engineering',
    'elementary_mathematics',
    'high_school_biology',
    'high_school_chemistry',
    'high_school_computer_science',
    'high_school_mathematics',
    'high_school_physics',
    'high_school_statistics',
    'machine_learning',
  ],
  other: [
    'business_ethics',
    'clinical_knowledge',
    'college_medicine',
    'global_facts',
    'human_aging',
    'management',
    'marketing',
    'medical_genetics',
    'miscellaneous',
    'nutrition',
    'professional_accounting',
    'professional_medicine',
    'virology',
  ],
  social_sciences: [
    'econometrics',
    'high_school_geography',
    'high_school_government_and_politics',
    'high_school_macroeconomics',
    'high_school_microeconomics',
    'high_school_psychology',
    'human_sexuality',
    'professional_psychology',
    'public_relations',
    'security_studies',
    'sociology',
    'us_foreign_policy',
  ],
  humanities: [
    'formal_logic',
    'high_school_european_history',
    'high_school_us_history',
    'high_school_world_history',
    'international_law',
    'jurisprudence',
    'logical_fallacies',
    'moral_disputes',
    'moral_scenarios',
    'philosophy',
    'prehistory',
    'professional_law',
    'world_religions',
  ],
};
const FIELDS = Object.keys(SUBJECTS);

/** lm_eval/tasks/mmlu/default/_default_template_yaml */
const TEMPLATE = String.raw`dataset_path: cais/mmlu
test_split: test
fewshot_split: dev
fewshot_config:
  sampler: first_n
output_type: multiple_choice
doc_to_text: "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\
  \nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:"
doc_to_choice: ["A", "B", "C", "D"]
doc_to_target: answer
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
`;

/** lm_eval/tasks/mmlu/default/mmlu_<subject>.yaml, without the tag. */
function subjectYaml(subject: string, field: string, prefix = 'mmlu'): string {
  const topic = subject.replaceAll('_', ' ');
  const description = `The following are multiple choice questions (with answers) about ${topic}.\n\n`;
  return (
    TEMPLATE +
    [
      `dataset_name: ${subject}`,
      `description: ${JSON.stringify(description)}`,
      `tag: ${prefix}_${field}_tasks`,
      `task: ${prefix}_${subject}`,
      `task_alias: ${subject}`,
    ].join('\n')
  );
}

/**
 * The 57 subjects of MMLU by name: `mmlu_anatomy`, … as the harness scores them, and `mmlu_qlora_anatomy`, …
 * as QLoRA does (Dettmers et al. 2023): after the same prompt, 5 examples by default, it compares the logits
 * of the four tokens A, B, C, D, each encoded apart from the prompt.
 */
export const MMLU_TASKS: ReadonlyMap<string, BuiltInTask> = new Map(
  FIELDS.flatMap((field) =>
    SUBJECTS[field].flatMap((subject): [string, BuiltInTask][] => [
      [`mmlu_${subject}`, { yaml: subjectYaml(subject, field) }],
      [
        `mmlu_qlora_${subject}`,
        {
          yaml: `${subjectYaml(subject, field, 'mmlu_qlora')}\nnum_fewshot: 5`,
          functions: { choicesAreTokens: true },
        },
      ],
    ]),
  ),
);

const group = (name: string, alias: string, members: readonly string[]): GroupDefinition => ({
  name,
  alias,
  members,
  metrics: [{ metric: 'acc', isWeighted: true, filters: null }],
  version: 2,
});

/**
 * `mmlu` and its four fields: means weighted by the number of questions (micro). `mmlu_qlora`: the mean over
 * its subjects (macro).
 */
export const MMLU_GROUPS: readonly GroupDefinition[] = [
  group(
    'mmlu',
    'mmlu',
    FIELDS.map((field) => `mmlu_${field}`),
  ),
  ...FIELDS.map((field) =>
    group(
      `mmlu_${field}`,
      field.replaceAll('_', ' '),
      SUBJECTS[field].map((subject) => `mmlu_${subject}`),
    ),
  ),
  {
    name: 'mmlu_qlora',
    alias: 'mmlu_qlora',
    members: FIELDS.flatMap((field) => SUBJECTS[field].map((subject) => `mmlu_qlora_${subject}`)),
    metrics: [{ metric: 'acc', isWeighted: false, filters: null }],
    version: 1,
  },
];
