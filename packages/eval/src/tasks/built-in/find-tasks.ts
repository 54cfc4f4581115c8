import { nearestName, QdyloraError } from '@qdylora/contract';
import { defineTask } from '../definition/define-task.ts';
import { readTaskYaml } from '../definition/read-task-yaml.ts';
import type { GroupDefinition, TaskDefinition } from '../definition/task-definition.ts';
import { ARC_CHALLENGE, ARC_EASY } from './arc.ts';
import type { BuiltInTask } from './built-in-task.ts';
import { GSM8K } from './gsm8k.ts';
import { GSM8K_COT } from './gsm8k-cot.ts';
import { HELLASWAG } from './hellaswag.ts';
import { HUMANEVAL } from './humaneval.ts';
import { MMLU_GROUPS, MMLU_TASKS } from './mmlu.ts';
import { TRIVIAQA } from './triviaqa.ts';
import { WEBGLM_QA } from './webglm-qa.ts';
import { WIKITEXT } from './wikitext.ts';

const TASKS: ReadonlyMap<string, BuiltInTask> = new Map([
  ['arc_challenge', ARC_CHALLENGE],
  ['arc_easy', ARC_EASY],
  ['gsm8k', GSM8K],
  ['gsm8k_cot', GSM8K_COT],
  ['hellaswag', HELLASWAG],
  ['humaneval', HUMANEVAL],
  ['triviaqa', TRIVIAQA],
  ['webglm_qa', WEBGLM_QA],
  ['wikitext', WIKITEXT],
  ...MMLU_TASKS,
]);
const GROUPS: ReadonlyMap<string, GroupDefinition> = new Map(MMLU_GROUPS.map((group) => [group.name, group]));

/** The names of the tasks and groups that are part of the package. */
export const TASK_NAMES: readonly string[] = [...GROUPS.keys(), ...TASKS.keys()];

/** Tasks and the groups that they belong to. */
export interface ChosenTasks {
  readonly tasks: readonly TaskDefinition[];
  /** Includes nested groups; a group comes after its members. */
  readonly groups: readonly GroupDefinition[];
}

/**
 * Tasks and groups by their names, each once.
 *
 * @param ownTasks further tasks, which win over those of the same name
 * @throws QdyloraError BAD_CONFIG for an unknown name, with the nearest one
 * @example
 * findTasks(['gsm8k', 'mmlu']).tasks.length; // 58
 */
export function findTasks(names: readonly string[], ownTasks: readonly TaskDefinition[] = []): ChosenTasks {
  const own = new Map(ownTasks.map((task) => [task.name, task]));
  const tasks = new Map<string, TaskDefinition>();
  const groups = new Map<string, GroupDefinition>();
  const add = (name: string): void => {
    const group = own.has(name) ? undefined : GROUPS.get(name);
    if (group) {
      group.members.forEach(add);
      groups.set(name, group);
      return;
    }
    if (!tasks.has(name)) tasks.set(name, own.get(name) ?? builtInTask(name, own.keys()));
  };
  names.forEach(add);
  return { tasks: [...tasks.values()], groups: [...groups.values()] };
}

function builtInTask(name: string, ownNames: Iterable<string>): TaskDefinition {
  const known = TASKS.get(name);
  if (known) return defineTask(readTaskYaml(known.yaml, name), name, known.functions);
  const names = [...ownNames, ...TASK_NAMES];
  const nearest = nearestName(name, names);
  throw new QdyloraError('BAD_CONFIG', {
    where: 'tasks',
    problem: `Unknown task: ${name}`,
    nextStep: nearest
      ? `Did you mean ${nearest}?`
      : `The tasks are: ${names.filter((each) => !MMLU_TASKS.has(each)).join(', ')}; or name a YAML file.`,
    details: { name, names },
  });
}
