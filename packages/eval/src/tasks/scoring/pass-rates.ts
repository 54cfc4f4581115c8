import { assertArgument } from '@qdylora/contract';
import { itemsOf, PythonFloat, type PythonValue } from '@qdylora/data';
import { AGGREGATIONS, standardError } from '../metrics/aggregate.ts';
import type { MetricDefinition } from '../metrics/metric-definition.ts';
import { strOf } from '../python/text-rules.ts';
import type { MetricResult, Sample, TaskScores } from './score-task.ts';

/** The harness's `pass_at_k` with k = 1. */
const PASS_AT_1: MetricDefinition = {
  name: 'pass@1',
  aggregation: 'mean',
  higherIsBetter: true,
  exactMatch: { ignoreCase: false, ignorePunctuation: false, ignoreNumbers: false, regexesToIgnore: [] },
};

/**
 * The programs of a task whose answers are code (`humaneval`), each with its tests: [documents][repeats].
 * Null for other tasks.
 */
export function programsOf({
  requests: { task },
  samples,
}: TaskScores): readonly (readonly string[])[] | null {
  if (!task.functions.prediction) return null;
  return samples.map(({ filtered, document }) =>
    answersOf(filtered[0]).map((program) => `${program}\n${strOf(document.target)}`),
  );
}

const answersOf = (filtered: PythonValue): readonly string[] => (itemsOf(filtered) ?? [filtered]).map(strOf);

/**
 * Adds the metric `pass@1`: the share of a document's programs that pass their tests.
 *
 * @param passed by program, as `programsOf` has them: [documents][repeats]
 * @throws QdyloraError BAD_ARGUMENT unless every document has an outcome
 */
export function withPassRates(scores: TaskScores, passed: readonly (readonly boolean[])[]): TaskScores {
  assertArgument(
    passed.length === scores.samples.length && passed.every(({ length }) => length > 0),
    'pass-rates',
    `There must be at least one outcome for each document (got ${passed.length} lists for ` +
      `${scores.samples.length} documents)`,
  );
  const { name: metric, aggregation } = PASS_AT_1;
  const items = passed.map((each) => new PythonFloat(each.filter(Boolean).length / each.length));
  const mean = AGGREGATIONS.get(aggregation)!;
  const result: MetricResult = {
    metric,
    filter: scores.samples[0].filter,
    value: mean.aggregate(items),
    standardError: standardError(mean, items, 1),
    items,
  };
  const { requests, samples } = scores;
  return {
    requests: { ...requests, task: { ...requests.task, metrics: [PASS_AT_1] } },
    samples: samples.map((sample, d): Sample => ({ ...sample, metrics: new Map([[metric, items[d]]]) })),
    metrics: [result],
  };
}
