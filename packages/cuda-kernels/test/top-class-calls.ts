import { f32View, hostData, type Arrays, type ArrayView, type Op } from '@qdylora/contract';
import { IGNORED_TARGET, linearCrossEntropyTopK } from '@qdylora/tensor';
import { headBound, headTargets } from '@qdylora/testing/conformance';
import type { SmallCall } from './small-calls.ts';

/** x of the tokens: logits are weights, their negatives, or all equal where the weights are finite. */
const X: readonly number[] = [1, -1, 0];

const THREADS_OF_BLOCK = 256;
const LANES = 32;

/**
 * Equal logits, of which those of the first lanes and groups of lanes come again a block later: whoever
 * compares two of them finds the smaller id on the other side, when the ones before are listed.
 */
function repeated(id: number): number {
  const thread = id % THREADS_OF_BLOCK;
  if (thread === 3) return id < THREADS_OF_BLOCK ? 6 : 4;
  return thread % LANES === 0 || [1, 2, 4, 8, 16].includes(thread) ? 5 : 0;
}

/** Of the first thread only: a number of a later class comes before NaN of an earlier one. */
const onlyOfFirstThread = (id: number): number => (id % THREADS_OF_BLOCK === 0 ? 1 : NaN);

/** Classes for one group of lanes up to more than a block has threads; with how many are listed. */
const LISTS = [
  [5, 5],
  [70, 70],
  [150, 12],
  [220, 12],
  [250, 40],
  [600, 12],
] as const;

/** A whole number for each class, many of which are equal, that rise along the vocabulary. */
const wholeNumber = (id: number): number => ((id * id + 3 * id) % 7) - 3 + Math.floor(id / 200);

/** Weights of classes that are no numbers, or infinite. */
const ODD_WEIGHTS: readonly ((id: number) => number)[] = [
  (id) => (id % 5 === 2 ? NaN : wholeNumber(id)),
  (id) => (id % 37 === 3 ? wholeNumber(id) : NaN),
  (id) => (id % 11 === 3 ? Infinity : wholeNumber(id)),
  (id) => [NaN, Infinity, -Infinity, wholeNumber(id)][id % 4],
];

/** By falling logit and then by rising id. NaN comes last. */
function orderOf(logits: readonly number[]): number[] {
  const compare = (first: number, second: number): number => {
    const [left, right] = [logits[first], logits[second]];
    if (left === right) return first - second;
    if (Number.isNaN(left) || Number.isNaN(right))
      return Number(Number.isNaN(left)) - Number(Number.isNaN(right)) || first - second;
    return left > right ? -1 : 1;
  };
  return [...logits.keys()].sort(compare);
}

interface ListSetting {
  readonly vocabulary: number;
  readonly topK: number;
  readonly weightOf: (id: number) => number;
  readonly x?: readonly number[];
}

/** Logits are exact, and so are the ids of the likeliest classes: a wrong order always shows. */
function callOf({ vocabulary, topK, weightOf, x = X }: ListSetting) {
  const sizes = { tokens: x.length, hidden: 1, vocabulary, seed: 1 };
  const inputs = {
    x: f32View([x.length, 1], x),
    weight: f32View(
      [vocabulary, 1],
      Array.from({ length: vocabulary }, (_, id) => weightOf(id)),
    ),
    targets: headTargets(sizes, x.length > 1 ? 0.3 : 0),
  };
  const ofHead = headBound(sizes, inputs, { factor: 1 });
  return {
    inputs,
    attributes: { computeDtype: 'f32', lossScale: 1, gradient: false, topK },
    // masses are sums of probabilities, which are as exact as losses
    bound: (name: string, index: number, want: number) =>
      name === 'topIds' ? 0 : ofHead('tokenLosses', index, want),
  };
}

/** Judged by the order alone: the probabilities are NaN. */
function oddCallOf({ vocabulary, topK, weightOf, x = X }: ListSetting) {
  const call = callOf({ vocabulary, topK, weightOf, x });
  const targets = hostData(call.inputs.targets);
  const want = x.flatMap((factor, token) => {
    const logits = Array.from({ length: vocabulary }, (_, id) => Math.fround(factor * weightOf(id)));
    const order = orderOf(logits).slice(0, topK);
    return targets[token] === IGNORED_TARGET ? order.fill(0) : order;
  });
  const problemOf = ({ topIds }: Arrays): string | null => {
    const got = hostData(topIds as ArrayView<'i32'>);
    const place = want.findIndex((id, index) => got[index] !== id);
    return place < 0 ? null : `topIds at ${place}: got ${got[place]}, want ${want[place]}`;
  };
  return { ...call, problemOf };
}

/** Calls for every branch of the choice of classes; those that show most first. */
export const topClassCalls = (): SmallCall[] =>
  [
    callOf({ vocabulary: 512, topK: 30, weightOf: repeated, x: [1] }),
    oddCallOf({ vocabulary: 512, topK: 3, weightOf: onlyOfFirstThread, x: [1] }),
    // two and six groups of lanes
    ...[40, 180].map((vocabulary) => callOf({ vocabulary, topK: 5, weightOf: wholeNumber })),
    // three classes of some threads; more are listed than there are threads
    oddCallOf({ vocabulary: 516, topK: 258, weightOf: () => NaN, x: [1] }),
    ...LISTS.flatMap(([vocabulary, topK]) => [
      callOf({ vocabulary, topK, weightOf: wholeNumber }),
      ...ODD_WEIGHTS.map((weightOf) => oddCallOf({ vocabulary, topK, weightOf })),
    ]),
  ].map((call) => ({ op: linearCrossEntropyTopK as unknown as Op, call }));
