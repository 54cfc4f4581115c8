import { QdyloraError } from '@qdylora/contract';
import { itemsOf, numberOf, PythonFloat, Tuple, type PythonValue } from '@qdylora/data';
import type { MetricDefinition } from '../metrics/metric-definition.ts';
import { isExactMatch } from '../metrics/exact-match.ts';
import { rouge, ROUGE_NAMES } from '../metrics/rouge.ts';
import type { TaskDefinition } from '../definition/task-definition.ts';
import { strOf } from '../python/text-rules.ts';
import type { JudgedDocument } from '../requests/build-requests.ts';

/**
 * The metrics of a generated text. Where there are several right answers, one of them must match.
 *
 * @throws QdyloraError BAD_CONFIG for a response that the filter `map` has left without a value
 */
export function scoreText(
  { name, metrics }: TaskDefinition,
  { target, choices }: JudgedDocument,
  response: PythonValue,
  hasManyTargets: boolean,
): ReadonlyMap<string, PythonValue> {
  // The harness makes the right answer the same kind of value as the response, and None has no such kind.
  if (response === null && target !== null && !choices && !hasManyTargets) throw notMapped(name);
  const prediction = strOf(response);
  const references = referencesOf(target, choices, hasManyTargets);
  return new Map(metrics.map((metric) => [metric.name, valueOf(metric, references, prediction)] as const));
}

const notMapped = (task: string): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where: task,
    problem: 'The filter map has no entry for a response, and no `default_value`',
    nextStep: 'Give it a `default_value`.',
  });

function referencesOf(
  target: PythonValue,
  choices: readonly string[] | null,
  hasManyTargets: boolean,
): readonly string[] {
  if (choices) return [choices.at(numberOf(target)!)!];
  return hasManyTargets ? (itemsOf(target) ?? [target]).map(strOf) : [strOf(target)];
}

function valueOf(
  { name, exactMatch }: MetricDefinition,
  references: readonly string[],
  prediction: string,
): PythonValue {
  if (name === 'exact_match')
    return new PythonFloat(
      references.some((reference) => isExactMatch(prediction, reference, exactMatch)) ? 1 : 0,
    );
  const rougeName = ROUGE_NAMES.find((known) => known === name);
  if (rougeName)
    return new PythonFloat(Math.max(...references.map((each) => rouge(rougeName, each, prediction))));
  return new Tuple([references[0], prediction]); // of a corpus metric
}
