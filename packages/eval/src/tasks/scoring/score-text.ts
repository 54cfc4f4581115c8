import { QdyloraError } from '@qdylora/contract';
import { itemsOf, numberOf, PythonFloat, Tuple, type PythonValue, type RowValues } from '@qdylora/data';
import type { MetricDefinition } from '../metrics/metric-definition.ts';
import { isExactMatch } from '../metrics/exact-match.ts';
import { rouge, ROUGE_NAMES } from '../metrics/rouge.ts';
import type { TaskDefinition } from '../definition/task-definition.ts';
import { strOf } from '../python/text-rules.ts';
import type { JudgedDocument } from '../requests/build-requests.ts';
import type { ModelResponse } from '../requests/model-request.ts';

/** What a model has generated for a document. */
export interface GeneratedText {
  /** One, or several that were drawn. */
  readonly responses: readonly ModelResponse[];
  readonly filtered: PythonValue;
  readonly hasManyTargets: boolean;
}

/**
 * The metrics of a generated text. Where there are several right answers, one of them must match.
 *
 * @throws QdyloraError BAD_CONFIG for a response that the filter `map` has left without a value
 */
export function scoreText(
  { metrics }: TaskDefinition,
  { row, target, choices }: JudgedDocument,
  { responses, filtered, hasManyTargets }: GeneratedText,
): ReadonlyMap<string, PythonValue> {
  // The harness calls `type(response)(target)`, which fails for None.
  if (filtered === null && target !== null && !choices && !hasManyTargets) throw notMapped(row, responses);
  const prediction = strOf(filtered);
  const references = referencesOf(target, choices, hasManyTargets);
  return new Map(metrics.map((metric) => [metric.name, valueOf(metric, references, prediction)] as const));
}

const notMapped = ({ where }: RowValues, responses: readonly ModelResponse[]): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where,
    problem: `The filter map gives None for the response ${responses.map(shown).join(', ')}`,
    nextStep: 'Add it to `mapping_dict`, or give a `default_value` that is not null.',
  });

/** Characters of a response in a message. */
const SHOWN = 100;

const shown = (response: ModelResponse): string => {
  const text = String(response);
  return JSON.stringify(text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);
};

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
