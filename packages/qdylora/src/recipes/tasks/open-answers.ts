import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';
import { createFolder } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { requestKey, type AnswerCache, type ModelResponse } from '@qdylora/eval';

/** A line of the file: a text, a likelihood, or the likelihood of a whole text (without `is_greedy`). */
interface AnswerLine {
  readonly request: string;
  readonly text?: string;
  readonly log_likelihood?: number | string;
  readonly is_greedy?: boolean;
}

/**
 * Answers in memory and in a JSONL file, which grows as they are given: an evaluation that was interrupted
 * continues where it was. A line that was cut off by the end of a process is removed. `path` null: in memory
 * only.
 *
 * @throws QdyloraError BAD_FILE for a line that is no answer; WRITE_FAILED
 */
export function openAnswers(path: string | null): AnswerCache {
  const answers = new Map<string, ModelResponse>();
  for (const { request, ...answer } of path === null ? [] : readLines(path))
    answers.set(request, responseOf(answer));
  return {
    find: (request) => answers.get(requestKey(request)),
    add(request, response) {
      const key = requestKey(request);
      if (answers.has(key)) return; // a repeated request
      answers.set(key, response);
      if (path !== null) append(path, `${JSON.stringify({ request: key, ...answerOf(response) })}\n`);
    },
  };
}

function readLines(path: string): AnswerLine[] {
  if (!existsSync(path)) return [];
  const text = readFileSync(path, 'utf8');
  const end = text.lastIndexOf('\n') + 1;
  if (end < text.length) truncateSync(path, Buffer.byteLength(text.slice(0, end)));
  const lines = text.slice(0, end).split('\n').slice(0, -1);
  return lines.map((line, i) => {
    const answer = answerIn(line);
    if (answer) return answer;
    throw new QdyloraError('BAD_FILE', {
      where: `${path}:${i + 1}`,
      problem: 'This line is not a stored answer',
      nextStep: 'Delete the file: its requests will be answered again.',
    });
  });
}

/** Null where the line is no answer. */
function answerIn(line: string): AnswerLine | null {
  try {
    const answer = JSON.parse(line) as AnswerLine;
    const isAnswer = typeof answer.request === 'string' && ('text' in answer || 'log_likelihood' in answer);
    return isAnswer ? answer : null;
  } catch {
    return null; // it is no JSON
  }
}

/** JSON has no infinities, no NaN and no −0: they are texts. */
const numberJson = (value: number): number | string =>
  Number.isFinite(value) && !Object.is(value, -0) ? value : Object.is(value, -0) ? '-0' : String(value);

function answerOf(response: ModelResponse): Omit<AnswerLine, 'request'> {
  if (typeof response === 'string') return { text: response };
  if (typeof response === 'number') return { log_likelihood: numberJson(response) };
  return { log_likelihood: numberJson(response.logLikelihood), is_greedy: response.isGreedy };
}

function responseOf({
  text,
  log_likelihood: logLikelihood,
  is_greedy: isGreedy,
}: Omit<AnswerLine, 'request'>): ModelResponse {
  if (text !== undefined) return text;
  const value = Number(logLikelihood);
  return isGreedy === undefined ? value : { logLikelihood: value, isGreedy };
}

function append(path: string, line: string): void {
  try {
    createFolder(dirname(path));
    appendFileSync(path, line);
  } catch (cause) {
    throw new QdyloraError('WRITE_FAILED', {
      where: path,
      problem: `The answers cannot be saved: ${(cause as Error).message}`,
      nextStep: 'Choose another --output-dir or --cache-requests.',
      cause,
    });
  }
}
