import { PythonFloat, Tuple, type PythonValue } from '@qdylora/data';
import type { TaskDefinition } from '../definition/task-definition.ts';
import { applyPipeline } from '../filters/filter-pipeline.ts';
import { AGGREGATIONS, standardError, type MetricItem } from '../metrics/aggregate.ts';
import type { JudgedDocument, TaskRequests } from '../requests/build-requests.ts';
import type { LogLikelihood, ModelResponse } from '../requests/model-request.ts';
import { textLengths } from './text-lengths.ts';
import { scoreChoices } from './score-choices.ts';
import { scoreText } from './score-text.ts';

/** One document as one filter pipeline judges it. */
export interface Sample {
  readonly document: JudgedDocument;
  /** The name of the pipeline. */
  readonly filter: string;
  /** Responses to each request, once for each repeat: [requests][repeats] */
  readonly responses: readonly (readonly ModelResponse[])[];
  /** [requests] */
  readonly filtered: readonly PythonValue[];
  /** Values by metric. */
  readonly metrics: ReadonlyMap<string, PythonValue>;
}

/** A metric over all documents. */
export interface MetricResult {
  readonly metric: string;
  readonly filter: string;
  readonly value: number;
  /** Null: unknown, or a single document. */
  readonly standardError: number | null;
  /** Value of each document, in their order. */
  readonly items: readonly MetricItem[];
}

/** The judged documents of one task, and its metrics over all of them. */
export interface TaskScores {
  readonly requests: TaskRequests;
  /** Each document once for each filter pipeline, pipeline by pipeline. */
  readonly samples: readonly Sample[];
  readonly metrics: readonly MetricResult[];
}

/** Resamples of a bootstrap, as in the harness. */
export const DEFAULT_RESAMPLES = 100_000;

/**
 * Filters and judges the responses to a task's requests.
 *
 * @param responses those to each request of each document, once for each repeat:
 * [documents][requests][repeats]
 */
export function scoreTask(
  requests: TaskRequests,
  responses: readonly (readonly (readonly ModelResponse[])[])[],
  resamples = DEFAULT_RESAMPLES,
): TaskScores {
  const { task, documents } = requests;
  const samples = task.filters.flatMap((pipeline) =>
    documents.map((document, d): Sample => {
      const filtered = responses[d].map((repeated) =>
        task.functions.prediction
          ? repeated.map((text) => task.functions.prediction!(document.row.value, text as string))
          : applyPipeline(pipeline, repeated.map(asValue)),
      );
      return {
        document,
        filter: pipeline.name,
        responses: responses[d],
        filtered,
        metrics: metricsOf(requests, document, { responses: responses[d], filtered }),
      };
    }),
  );
  return { requests, samples, metrics: aggregated(task, samples, resamples) };
}

/** A response as Python has it: a likelihood is a tuple. */
export function asValue(response: ModelResponse): PythonValue {
  if (typeof response === 'string') return response;
  if (typeof response === 'number') return new PythonFloat(response);
  return new Tuple([new PythonFloat(response.logLikelihood), response.isGreedy]);
}

function metricsOf(
  { task, hasManyTargets }: TaskRequests,
  document: JudgedDocument,
  { responses, filtered }: Pick<Sample, 'responses' | 'filtered'>,
): ReadonlyMap<string, PythonValue> {
  const names = new Set(task.metrics.map(({ name }) => name));
  const firsts = responses.map(([first]) => first);
  const values = ((): ReadonlyMap<string, PythonValue> => {
    switch (task.outputType) {
      case 'multiple_choice':
        return scoreChoices(document, firsts as LogLikelihood[]);
      case 'loglikelihood':
        return likelihoodMetrics(firsts[0] as LogLikelihood);
      case 'loglikelihood_rolling':
        return rollingMetrics(task, document, firsts[0] as number);
      case 'generate_until':
        return scoreText(task, document, { responses: responses[0], filtered: filtered[0], hasManyTargets });
    }
  })();
  return new Map([...values].filter(([name]) => names.has(name)));
}

const likelihoodMetrics = ({ logLikelihood, isGreedy }: LogLikelihood): ReadonlyMap<string, PythonValue> =>
  new Map<string, PythonValue>([
    ['perplexity', new PythonFloat(logLikelihood)],
    ['acc', isGreedy ? 1 : 0],
  ]);

/** log p with the lengths that it is divided by: words between white space, and UTF-8 bytes. */
function rollingMetrics(
  { functions }: TaskDefinition,
  { row, target }: JudgedDocument,
  logLikelihood: number,
): ReadonlyMap<string, PythonValue> {
  const { words, bytes } = functions.lengths?.(row.value) ?? textLengths(target as string);
  const over = (length: number): PythonValue => new Tuple([new PythonFloat(logLikelihood), length]);
  return new Map([
    ['word_perplexity', over(words)],
    ['byte_perplexity', over(bytes)],
    ['bits_per_byte', over(bytes)],
  ]);
}

function aggregated(
  task: TaskDefinition,
  samples: readonly Sample[],
  resamples: number,
): readonly MetricResult[] {
  const definitions = new Map(task.metrics.map((metric) => [metric.name, metric]));
  return task.filters.flatMap(({ name: filter }) => {
    const judged = samples.filter((sample) => sample.filter === filter);
    return [...judged[0].metrics.keys()].map((metric): MetricResult => {
      const aggregation = AGGREGATIONS.get(definitions.get(metric)!.aggregation)!;
      const items = judged.map(({ metrics }) => metrics.get(metric)!);
      const value = aggregation.aggregate(items);
      return { metric, filter, value, standardError: standardError(aggregation, items, resamples), items };
    });
  });
}
