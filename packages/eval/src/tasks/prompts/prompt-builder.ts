import { itemsOf, numberOf, type ChatMessage, type PythonValue, type RowValues } from '@qdylora/data';
import type { TaskDefinition } from '../definition/task-definition.ts';
import type { TaskDocuments } from '../documents/task-documents.ts';
import { endsWithSpace, joinDelimited, startsWithSpace } from '../python/text-rules.ts';
import { badField, isInteger, type DocumentFields, type TaskRow } from './document-fields.ts';
import { createSampler } from './example-sampler.ts';

/** Options of the prompts of a task: the number of examples, and how the prompts are written as messages. */
export interface PromptOptions {
  /** Examples in each prompt. */
  readonly numFewshot: number;
  /** Writes messages as the chat template does; null, the default: plain text. */
  readonly chatTemplate?: ((messages: readonly ChatMessage[], addGenerationPrompt: boolean) => string) | null;
  /** Examples are turns of a conversation; else they are part of one user message. Default: false. */
  readonly isMultiturn?: boolean;
  /** Precedes the description of the task. Default: none. */
  readonly systemInstruction?: string | null;
}

/** Writes the prompts of a task. */
export interface PromptBuilder {
  /** The prompt of a document. Call it for the documents in their order: it draws examples. */
  promptOf(row: RowValues): string;
  /** The beginning of the answer, which ends the prompt; empty for most tasks. */
  prefixOf(row: RowValues): string;
}

interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
  /** Follows the content in plain text only. */
  readonly delimiter: string;
}

/**
 * The prompts of lm-evaluation-harness 0.4.13: the description, the examples with their answers, and the
 * document without its answer.
 */
export function createPromptBuilder(
  task: TaskDefinition,
  { examples }: TaskDocuments,
  fields: DocumentFields,
  { numFewshot, chatTemplate = null, isMultiturn = false, systemInstruction = null }: PromptOptions,
): PromptBuilder {
  const { fewshot } = task;
  const sampler = createSampler(fewshot.sampler, examples, task.name);
  // The harness compares two names that may both be missing.
  const mayDrawJudged = fewshot.split === task.splits.test;

  const prefixOf = (row: RowValues): string => fields.resolved(row, task.genPrefix, 'gen_prefix');

  function exampleTurn(row: RowValues): Message[] {
    const choices = fewshot.choice === undefined ? null : fields.choices(row, fewshot.choice);
    const answer = answerText({ task, row }, fields.target(row, fewshot.target), choices);
    return turnOf({
      question: fields.text(row, fewshot.text),
      answer,
      prefix: fields.resolved(row, fewshot.genPrefix, 'gen_prefix'),
      targetDelimiter: fewshot.targetDelimiter,
      closing: fewshot.fewshotDelimiter,
    });
  }

  return {
    prefixOf,
    promptOf(row) {
      const description = fields.resolved(row, task.description, 'description');
      const system = joinDelimited(systemInstruction ?? '', description, task.fewshotDelimiter);
      const drawn = numFewshot > 0 ? sampler.sample(numFewshot, mayDrawJudged ? row : null) : [];
      const prefix = prefixOf(row);
      const question = fields.text(row);
      const messages: Message[] = [
        ...(system === '' ? [] : [{ role: 'system' as const, content: system, delimiter: '' }]),
        ...drawn.flatMap(exampleTurn),
        ...turnOf({ question, answer: null, prefix, targetDelimiter: task.targetDelimiter, closing: '' }),
      ];
      if (!chatTemplate) return messages.map(({ content, delimiter }) => content + delimiter).join('');
      const turns = isMultiturn ? messages : inOneTurn(messages);
      return chatTemplate(
        turns.map(({ role, content }) => ({ role, content })),
        prefix === '',
      );
    },
  };
}

interface Turn {
  readonly question: string;
  /** Null or empty: the document to answer. */
  readonly answer: string | null;
  readonly prefix: string;
  readonly targetDelimiter: string;
  readonly closing: string;
}

function turnOf({ question, answer, prefix, targetDelimiter, closing }: Turn): Message[] {
  const hasAnswer = answer !== null && answer !== '';
  const isDelimited =
    (hasAnswer && prefix === '') || (prefix !== '' && question !== '' && !meetAtSpace(question, prefix));
  const user: Message = { role: 'user', content: question, delimiter: isDelimited ? targetDelimiter : '' };
  if (hasAnswer)
    return [user, { role: 'assistant', content: joinDelimited(prefix, answer, ' '), delimiter: closing }];
  return prefix === '' ? [user] : [user, { role: 'assistant', content: prefix, delimiter: '' }];
}

const meetAtSpace = (left: string, right: string): boolean => endsWithSpace(left) || startsWithSpace(right);

/** The answer of an example: the choice of its index, the first of several answers, or the text. */
function answerText(where: TaskRow, target: PythonValue, choices: readonly string[] | null): string {
  const value =
    choices && isInteger(target) ? choices.at(numberOf(target)!) : (itemsOf(target)?.[0] ?? target);
  if (typeof value === 'string') return value;
  throw badField(where, 'doc_to_target', 'must give a text as the answer of an example');
}

/** All turns as one message of the user, between the system's message and the beginning of the answer. */
function inOneTurn(messages: readonly Message[]): Message[] {
  const system = messages[0].role === 'system' ? [messages[0]] : [];
  const turns = messages.slice(system.length);
  const opening = turns.at(-1)!.role === 'assistant' ? [turns.at(-1)!] : [];
  const asked = opening.length > 0 ? turns.slice(0, -1) : turns;
  const content = asked
    .map((message, i) => message.content + (i === asked.length - 1 ? '' : message.delimiter))
    .join('');
  return [...system, { role: 'user', content, delimiter: '' }, ...opening];
}
