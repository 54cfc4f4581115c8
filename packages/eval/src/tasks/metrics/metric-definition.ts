import { nearestName } from '@qdylora/contract';
import type { OutputType } from '../definition/output-type.ts';
import type { YamlEntries } from '../definition/yaml-entries.ts';
import { AGGREGATIONS } from './aggregate.ts';
import { readExactMatch, type ExactMatchOptions } from './exact-match.ts';

/** A metric of a task: a value for each document, and their aggregate. */
export interface MetricDefinition {
  readonly name: string;
  /** A name of `AGGREGATIONS`. */
  readonly aggregation: string;
  readonly higherIsBetter: boolean;
  /** For `exact_match` of generated texts. */
  readonly exactMatch: ExactMatchOptions;
}

interface KnownMetric {
  readonly outputTypes: readonly OutputType[];
  readonly aggregation: string;
  readonly higherIsBetter: boolean;
}

const mean = (...outputTypes: readonly OutputType[]): KnownMetric => ({
  outputTypes,
  aggregation: 'mean',
  higherIsBetter: true,
});
const lower = (outputType: OutputType, aggregation: string): KnownMetric => ({
  outputTypes: [outputType],
  aggregation,
  higherIsBetter: false,
});

/** The metrics by name, with the defaults of the harness. The last four are not part of it. */
const METRICS: ReadonlyMap<string, KnownMetric> = new Map([
  ['acc', mean('loglikelihood', 'multiple_choice')],
  ['acc_norm', mean('multiple_choice')],
  ['acc_bytes', mean('multiple_choice')],
  ['acc_mutual_info', mean('multiple_choice')],
  ['exact_match', mean('multiple_choice', 'generate_until')],
  ['perplexity', lower('loglikelihood', 'perplexity')],
  ['word_perplexity', lower('loglikelihood_rolling', 'weighted_perplexity')],
  ['byte_perplexity', lower('loglikelihood_rolling', 'weighted_perplexity')],
  ['bits_per_byte', lower('loglikelihood_rolling', 'bits_per_byte')],
  ['bleu', { outputTypes: ['generate_until'], aggregation: 'bleu', higherIsBetter: true }],
  ['bleu_hf', { outputTypes: ['generate_until'], aggregation: 'bleu_hf', higherIsBetter: true }],
  ['rouge1', mean('generate_until')],
  ['rouge2', mean('generate_until')],
  ['rougeL', mean('generate_until')],
]);

const DEFAULT_METRICS: Readonly<Record<OutputType, readonly string[]>> = {
  loglikelihood: ['perplexity', 'acc'],
  loglikelihood_rolling: ['word_perplexity', 'byte_perplexity', 'bits_per_byte'],
  multiple_choice: ['acc', 'acc_norm'],
  generate_until: ['exact_match'],
};

/**
 * The metrics of a task (`metric_list`), or those of its kind of requests.
 *
 * @throws QdyloraError BAD_CONFIG for unknown metrics, aggregations and options
 */
export function readMetrics(task: YamlEntries, outputType: OutputType): readonly MetricDefinition[] {
  const written = task.mappings('metric_list');
  if (!written)
    return DEFAULT_METRICS[outputType].map((name) => {
      const { aggregation, higherIsBetter } = METRICS.get(name)!;
      return { name, aggregation, higherIsBetter, exactMatch: readExactMatch(task) };
    });
  return written.map((entries) => readMetric(entries, outputType));
}

function readMetric(entries: YamlEntries, outputType: OutputType): MetricDefinition {
  const name = entries.text('metric') ?? '';
  const available = [...METRICS].filter(([, { outputTypes }]) => outputTypes.includes(outputType));
  const known = available.find(([key]) => key === name)?.[1];
  if (!known)
    throw unknown(
      entries,
      `metric ${name} for ${outputType}`,
      name,
      available.map(([key]) => key),
    );
  entries.assertOnly([
    ...['metric', 'aggregation', 'higher_is_better', 'hf_evaluate'],
    ...['ignore_case', 'ignore_punctuation', 'ignore_numbers', 'regexes_to_ignore'],
  ]);
  const aggregation = entries.text('aggregation') ?? known.aggregation;
  if (!AGGREGATIONS.has(aggregation))
    throw unknown(entries, `aggregation ${aggregation}`, aggregation, [...AGGREGATIONS.keys()]);
  assertFits(entries, known.aggregation, aggregation);
  return {
    name,
    aggregation,
    higherIsBetter: entries.has('higher_is_better') ? entries.flag('higher_is_better') : known.higherIsBetter,
    exactMatch: readExactMatch(entries),
  };
}

/**
 * @throws QdyloraError BAD_CONFIG if the aggregation takes other values (numbers, pairs, texts) than the
 * metric gives
 */
function assertFits(entries: YamlEntries, usual: string, aggregation: string): void {
  const takes = AGGREGATIONS.get(usual)!.takes;
  if (AGGREGATIONS.get(aggregation)!.takes === takes) return;
  const fitting = [...AGGREGATIONS].filter(([, each]) => each.takes === takes).map(([name]) => name);
  throw entries.error(
    `\`aggregation\` of ${entries.text('metric')} cannot be ${aggregation}.`,
    `It may be ${fitting.join(', ')}.`,
  );
}

function unknown(entries: YamlEntries, what: string, name: string, names: readonly string[]): Error {
  const nearest = nearestName(name, names);
  return entries.error(
    `There is no ${what}.`,
    nearest ? `Did you mean ${nearest}?` : `Supported are: ${names.join(', ')}.`,
  );
}
