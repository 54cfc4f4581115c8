import { itemsOf, numberOf, type PythonValue } from '@qdylora/data';
import { createPythonRandom } from '../python/python-random.ts';
import { corpusBleu } from './corpus-bleu.ts';

/** The value of a metric for one document: a number, a pair of numbers, or reference and prediction. */
export type MetricItem = PythonValue;

/** How the values of all documents become one, and how its standard error is estimated. */
export interface Aggregation {
  /** What a value of a document must be. */
  readonly takes: 'number' | 'pair' | 'texts';
  readonly aggregate: (items: readonly MetricItem[]) => number;
  /** `formula`: s / √n; `bootstrap`: the spread over resampled documents; `none`: unknown. */
  readonly error: 'formula' | 'bootstrap' | 'none';
  /** Most resamples; Infinity: as many as asked for. */
  readonly mostResamples: number;
}

const number = (item: MetricItem): number => numberOf(item)!;
const pair = (item: MetricItem): readonly [number, number] => {
  const [first, second] = itemsOf(item)!;
  return [number(first), number(second)];
};
const texts = (item: MetricItem): readonly [reference: string, prediction: string] =>
  itemsOf(item) as unknown as readonly [string, string];

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const meanOf = (values: readonly number[]): number => sum(values) / values.length;

const mean = (items: readonly MetricItem[]): number => meanOf(items.map(number));
/** Σ first / Σ second */
const weightedMean = (items: readonly MetricItem[]): number => {
  const pairs = items.map(pair);
  return sum(pairs.map(([first]) => first)) / sum(pairs.map(([, second]) => second));
};
/** The upper one of two in the middle, as in the harness. */
const median = (items: readonly MetricItem[]): number =>
  Float64Array.from(items, number).sort()[Math.floor(items.length / 2)];
const nanMean = (items: readonly MetricItem[]): number =>
  meanOf(items.map(number).filter((value) => !Number.isNaN(value)));

/** sacrebleu's scores cost so much that the harness caps their resamples. */
const BLEU_RESAMPLES = 100;

const entry = (
  takes: Aggregation['takes'],
  aggregate: Aggregation['aggregate'],
  error: Aggregation['error'],
  mostResamples = Infinity,
): Aggregation => ({ takes, aggregate, error, mostResamples });

/** The aggregations of the harness, and BLEU as Hugging Face's `evaluate` computes it. */
export const AGGREGATIONS: ReadonlyMap<string, Aggregation> = new Map([
  ['mean', entry('number', mean, 'formula')],
  ['nanmean', entry('number', nanMean, 'bootstrap')],
  ['median', entry('number', median, 'bootstrap')],
  ['perplexity', entry('number', (items) => Math.exp(-mean(items)), 'bootstrap')],
  ['weighted_perplexity', entry('pair', (items) => Math.exp(-weightedMean(items)), 'none')],
  ['bits_per_byte', entry('pair', (items) => -weightedMean(items) / Math.log(2), 'none')],
  ['bleu', entry('texts', (items) => bleuOf(items, 'exponential'), 'bootstrap', BLEU_RESAMPLES)],
  ['bleu_hf', entry('texts', (items) => bleuOf(items, 'none') / 100, 'bootstrap', BLEU_RESAMPLES)],
]);

function bleuOf(items: readonly MetricItem[], smoothing: 'exponential' | 'none'): number {
  const pairs = items.map(texts);
  return corpusBleu(
    pairs.map(([, prediction]) => prediction),
    pairs.map(([reference]) => [reference]),
    { smoothing },
  ).score;
}

/**
 * The standard error of an aggregate over documents; null where none is defined, or for a single document.
 *
 * @param resamples of a bootstrap; 0: no standard errors
 */
export function standardError(
  { aggregate, error, mostResamples }: Aggregation,
  items: readonly MetricItem[],
  resamples: number,
): number | null {
  if (items.length < 2 || resamples <= 0 || error === 'none') return null;
  if (error === 'formula') return sampleDeviation(items.map(number)) / Math.sqrt(items.length);
  return bootstrapError(aggregate, items, Math.min(resamples, mostResamples));
}

/** √(Σ (x − mean)² / (n − 1)) */
function sampleDeviation(values: readonly number[]): number {
  const middle = meanOf(values);
  return Math.sqrt(sum(values.map((value) => (value - middle) ** 2)) / (values.length - 1));
}

/** Draws of one generator of the bootstrap; the next chunk has the next seed. */
const CHUNK = 1000;

/** The deviation of an aggregate over resampled documents, with the resamples of the harness. */
function bootstrapError(
  aggregate: Aggregation['aggregate'],
  items: readonly MetricItem[],
  resamples: number,
): number {
  const chunk = Math.min(CHUNK, resamples);
  const values: number[] = [];
  for (let seed = 0; seed < Math.floor(resamples / chunk); seed++) {
    const rng = createPythonRandom(seed);
    for (let draw = 0; draw < chunk; draw++) values.push(aggregate(rng.choices(items, items.length)));
  }
  return sampleDeviation(values);
}

/** Σ valueᵢ · sizeᵢ / Σ sizeᵢ; without weights the mean of the values. */
export function groupMean(values: readonly number[], sizes: readonly number[], isWeighted: boolean): number {
  const weights = isWeighted ? sizes : sizes.map(() => 1);
  return sum(values.map((value, i) => value * weights[i])) / sum(weights);
}

/**
 * The standard error of a group's mean: pooled over the tasks, √(Σ (nᵢ − 1) · seᵢ² · nᵢ / (Σ nᵢ − k) / Σ nᵢ),
 * or without weights √(Σ seᵢ²) / k.
 */
export function groupError(errors: readonly number[], sizes: readonly number[], isWeighted: boolean): number {
  if (!isWeighted) return Math.sqrt(sum(errors.map((error) => error ** 2))) / errors.length;
  const total = sum(sizes);
  const squares = sum(errors.map((error, i) => (sizes[i] - 1) * error ** 2 * sizes[i]));
  return Math.sqrt(squares / (total - sizes.length) / total);
}
