import { PythonFloat, type PythonValue } from '@qdylora/data';
import { goldIndices, type JudgedDocument } from '../requests/build-requests.ts';
import type { LogLikelihood } from '../requests/model-request.ts';

/**
 * Index of the greatest value; the first among equals, and the first that is not a number, as numpy's argmax.
 */
export function argmax(values: readonly number[]): number {
  const nan = values.findIndex(Number.isNaN);
  if (nan >= 0) return nan;
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
}

/**
 * The metrics of a document of multiple choice.
 *
 * `acc`: the likeliest choice is right. `acc_norm` and `acc_bytes` divide log p by the choice's characters
 * (code points) and UTF-8 bytes; `acc_mutual_info` subtracts log p of the choice without context.
 * `exact_match`: greedy decoding writes a right choice. There a negative label −k counts the k-th response
 * from the end, as Python's index in the harness; `acc` never matches it.
 */
export function scoreChoices(
  { target, choices }: JudgedDocument,
  responses: readonly LogLikelihood[],
): ReadonlyMap<string, PythonValue> {
  const all = responses.map(({ logLikelihood }) => logLikelihood);
  const scores = all.slice(0, choices!.length);
  const gold = goldIndices(target, choices!);
  const isRight = (values: readonly number[]): PythonFloat =>
    new PythonFloat(gold.includes(argmax(values)) ? 1 : 0);
  const characters = choices!.map((choice) => [...choice].length);
  const bytes = choices!.map((choice) => Buffer.byteLength(choice, 'utf8'));
  const isGreedy = gold.some((index) => index !== null && responses.at(index)?.isGreedy);
  const mutual = scores.map((score, i) => score - all[scores.length + i]);
  return new Map<string, PythonValue>([
    ['acc', isRight(scores)],
    ['acc_norm', isRight(scores.map((score, i) => score / characters[i]))],
    ['acc_bytes', isRight(scores.map((score, i) => score / bytes[i]))],
    ['exact_match', isGreedy ? 1 : 0],
    ['acc_mutual_info', isRight(mutual)],
  ]);
}
