import { numberOf, itemsOf, type PythonValue, type RowValues } from '@qdylora/data';
import { assertArgument, QdyloraError } from '@qdylora/contract';
import type { TaskDefinition } from '../definition/task-definition.ts';
import type { TaskDocuments } from '../documents/task-documents.ts';
import { badField, documentFields, isInteger } from '../prompts/document-fields.ts';
import { createPromptBuilder, type PromptOptions } from '../prompts/prompt-builder.ts';
import { endsWithSpace, strOf } from '../python/text-rules.ts';
import type { ModelRequest } from './model-request.ts';

/** Options of `buildRequests`: the number of documents, and how their prompts are written. */
export interface RequestOptions extends PromptOptions {
  /** The first documents only: their number, or below 1 their share. Null: all. */
  readonly limit: number | null;
}

/** A document with its requests. */
export interface JudgedDocument {
  readonly row: RowValues;
  /** Its number in the split. */
  readonly id: number;
  readonly requests: readonly ModelRequest[];
  readonly target: PythonValue;
  readonly choices: readonly string[] | null;
}

/** The requests of a task, and what the scoring needs. */
export interface TaskRequests {
  readonly task: TaskDefinition;
  readonly numFewshot: number;
  readonly documents: readonly JudgedDocument[];
  /** Documents of the split. */
  readonly available: number;
  /** True if the target of the first document is a list with items. The harness decides by it for all. */
  readonly hasManyTargets: boolean;
}

/** The number of examples: that of the caller unless the task fixes 0, else the task's own, else 0. */
export const fewshotCount = ({ numFewshot }: TaskDefinition, chosen: number | null): number =>
  chosen === null || numFewshot === 0 ? (numFewshot ?? 0) : chosen;

/**
 * The requests of a task for its documents, equal to those of lm-evaluation-harness 0.4.13.
 *
 * @throws QdyloraError BAD_DATA with file and line for a document that does not fit the task; BAD_ARGUMENT
 * for a limit that is not greater than 0
 */
export function buildRequests(
  task: TaskDefinition,
  documents: TaskDocuments,
  options: RequestOptions,
): TaskRequests {
  assertArgument(
    options.limit === null || options.limit > 0,
    'tasks',
    `\`limit\` must be greater than 0, or null for all documents (got ${options.limit})`,
  );
  const fields = documentFields(task, documents.fields);
  const prompts = createPromptBuilder(task, documents, fields, options);
  const { judged } = documents;
  const first = judged[0];
  const count = documentCount(judged.length, options.limit);
  return {
    task,
    numFewshot: options.numFewshot,
    available: judged.length,
    hasManyTargets: (itemsOf(fields.target(first)) ?? []).length > 0,
    documents: judged.slice(0, count).map((row, id) => {
      const target = fields.target(row);
      const choices = task.choice === undefined ? null : fields.choices(row);
      assertGold(task, { row, target, choices });
      // The harness looks at the choices of the first document before it asks anything.
      if (id === 0 && choices?.includes(''))
        throw badField({ task, row }, 'doc_to_choice', 'has an empty choice');
      const prompt = prompts.promptOf(row);
      const requests = requestsOf(task, { row, prompt, target, choices }, options);
      return { row, id, requests, target, choices };
    }),
  };
}

function documentCount(available: number, limit: number | null): number {
  if (limit === null) return available;
  return Math.min(available, limit < 1 ? Math.ceil(available * limit) : Math.floor(limit));
}

interface PromptedDocument {
  readonly row: RowValues;
  readonly prompt: string;
  readonly target: PythonValue;
  readonly choices: readonly string[] | null;
}

function requestsOf(
  task: TaskDefinition,
  { row, prompt, target, choices }: PromptedDocument,
  { chatTemplate }: RequestOptions,
): ModelRequest[] {
  switch (task.outputType) {
    case 'loglikelihood':
      return [{ type: 'loglikelihood', context: prompt, continuation: answerTarget(task, row, target) }];
    case 'loglikelihood_rolling':
      return [{ type: 'loglikelihood_rolling', text: textTarget(task, row, target) }];
    case 'generate_until':
      return [{ type: 'generate_until', context: prompt, settings: task.generation! }];
    case 'multiple_choice': {
      if (task.functions.choicesAreTokens)
        return choices!.map((choice) => ({
          type: 'loglikelihood' as const,
          context: prompt,
          continuation: choice,
          isToken: true,
        }));
      const delimiter = choiceDelimiter(task, Boolean(chatTemplate));
      if (choices!.some((choice) => delimiter + choice === ''))
        throw badField({ task, row }, 'doc_to_choice', 'has an empty choice');
      const contexts = task.metrics.some(({ name }) => name === 'acc_mutual_info') ? [prompt, ''] : [prompt];
      return contexts.flatMap((context) =>
        choices!.map((choice) => ({
          type: 'loglikelihood' as const,
          context,
          continuation: delimiter + choice,
        })),
      );
    }
    default:
      throw new QdyloraError('UNSUPPORTED', {
        where: task.name,
        problem: `There is no output type ${String(task.outputType)}`,
      });
  }
}

/** After a chat template the delimiter is left out, unless the answer's beginning needs it. */
function choiceDelimiter({ targetDelimiter, genPrefix }: TaskDefinition, usesTemplate: boolean): string {
  if (!usesTemplate) return targetDelimiter;
  return genPrefix && !endsWithSpace(genPrefix) ? targetDelimiter : '';
}

function textTarget(task: TaskDefinition, row: RowValues, target: PythonValue): string {
  if (typeof target === 'string') return target;
  throw badField({ task, row }, 'doc_to_target', 'must give a text');
}

function answerTarget(task: TaskDefinition, row: RowValues, target: PythonValue): string {
  const answer = textTarget(task, row, target);
  if (answer !== '') return answer;
  throw badField({ task, row }, 'doc_to_target', 'gives an empty text');
}

/**
 * The right answer among choices: an index or a choice, or a list of them. An index or a text that is no
 * choice counts as wrong. A generated text is compared with one choice, which its index must name.
 */
function assertGold(task: TaskDefinition, { row, target, choices }: Omit<PromptedDocument, 'prompt'>): void {
  const isGenerated = task.outputType === 'generate_until';
  if (!choices || (!isGenerated && task.outputType !== 'multiple_choice')) return;
  const isGold = (value: PythonValue): boolean =>
    isGenerated
      ? isInteger(value) && choices.at(numberOf(value)!) !== undefined
      : isInteger(value) || typeof value === 'string';
  const golds = isGenerated ? [target] : (itemsOf(target) ?? [target]);
  const wrong = golds.find((gold) => !isGold(gold));
  if (golds.every(isGold)) return;
  const expected = isGenerated ? `the index of one of ${choices.length} choices` : 'a choice or its index';
  throw badField({ task, row }, 'doc_to_target', `must give ${expected} (got ${strOf(wrong)})`);
}

/**
 * The indices of the right choices, negative ones as they are; null for one that there is not.
 *
 * A target is an index, a choice, or a list of indices.
 */
export function goldIndices(target: PythonValue, choices: readonly string[]): (number | null)[] {
  const indexOf = (value: PythonValue): number | null => {
    if (!isInteger(value)) return choices.includes(value as string) ? choices.indexOf(value as string) : null;
    return numberOf(value)! < choices.length ? numberOf(value) : null;
  };
  return (itemsOf(target) ?? [target]).map(indexOf);
}
