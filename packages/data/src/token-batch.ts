import { assertArgument, shownValue } from '@qdylora/contract';

/** The label of a token that the loss does not count, as in transformers. */
export const NOT_COUNTED = -100;

/** One training row as tokens. */
export interface Example {
  /** `[length]` */
  readonly ids: Int32Array;
  /**
   * `[length]`; label i belongs to id i, as in transformers: after reading `ids[0…t]` the model predicts
   * `labels[t + 1]`. −100 = not counted. `labels[0]` is never used.
   */
  readonly labels: Int32Array;
  readonly source?: { readonly file: string; readonly line: number };
}

/**
 * Concatenated examples without padding. Each token has a segment and a position in it, and attention stays
 * inside a segment.
 */
export interface TokenBatch {
  /** `[tokens]` */
  readonly ids: Int32Array;
  /**
   * `[tokens]`: `targets[t]` is the label of the next position of the same segment. −100 = not counted; the
   * last target of each segment is −100.
   */
  readonly targets: Int32Array;
  /** `[tokens]`, from 0 in each segment */
  readonly positions: Int32Array;
  /** `[examples + 1]`: the index of the first token of each segment, then the number of tokens */
  readonly segments: Int32Array;
  /** Number of counted targets: the divisor of a summed loss. */
  readonly predictedTokens: number;
}

/**
 * Number of tokens of an example that the loss counts. The first token has no token before it and never
 * counts.
 */
export function countPredicted(labels: Int32Array): number {
  let count = 0;
  for (let t = 1; t < labels.length; t++) if (labels[t] !== NOT_COUNTED) count++;
  return count;
}

/**
 * Concatenates examples into one batch, in their order. `ids: [tokens]`.
 *
 * @throws QdyloraError BAD_ARGUMENT for no examples, an empty one, ids or labels that are not Int32Arrays,
 * labels of another length than ids, or 2³¹ tokens and more.
 * @example
 * collate([{ ids: Int32Array.of(5, 6, 7), labels: Int32Array.of(-100, 6, 7) }]).targets; // 6, 7, −100
 */
export function collate(examples: readonly Example[]): TokenBatch {
  assertExamples('collate', examples);
  assertArgument(examples.length > 0, 'collate', 'A batch must have at least one example');
  const tokens = examples.reduce((sum, example) => sum + example.ids.length, 0);
  assertArgument(
    tokens < 2 ** 31,
    'collate',
    `A batch must have less than 2³¹ tokens (got ${tokens})`,
    'Lower micro_batch_size or max_seq_length.',
  );
  const batch = {
    ids: new Int32Array(tokens),
    targets: new Int32Array(tokens).fill(NOT_COUNTED),
    positions: new Int32Array(tokens),
    segments: new Int32Array(examples.length + 1),
    predictedTokens: 0,
  };
  let at = 0;
  examples.forEach(({ ids, labels }, index) => {
    assertArgument(
      ids.length > 0 && ids.length === labels.length,
      'collate',
      `Example ${index} must have as many labels as ids, at least one (got ${labels.length} and ` +
        `${ids.length})`,
    );
    batch.ids.set(ids, at);
    batch.targets.set(labels.subarray(1), at);
    for (let t = 0; t < ids.length; t++) batch.positions[at + t] = t;
    at += ids.length;
    batch.segments[index + 1] = at;
    batch.predictedTokens += countPredicted(labels);
  });
  return batch;
}

/**
 * Checks examples. @throws QdyloraError BAD_ARGUMENT unless they are an array of ids with labels, both
 * Int32Array
 */
export function assertExamples(where: string, examples: unknown): asserts examples is readonly Example[] {
  assertArgument(
    Array.isArray(examples),
    where,
    'The argument must be an array of examples (got ' +
      `${examples instanceof Promise ? 'a promise' : shownValue(examples)})`,
    examples instanceof Promise ? 'Await it first.' : undefined,
  );
  examples.forEach((example: Partial<Example> | null | undefined, index) => {
    for (const part of ['ids', 'labels'] as const) {
      // checked by its tag, which also works for arrays of another realm
      const values: unknown = example?.[part];
      assertArgument(
        (values as { [Symbol.toStringTag]?: unknown } | undefined)?.[Symbol.toStringTag] === 'Int32Array',
        where,
        `${part} of example ${index} must be an Int32Array (got ${shownValue(values)})`,
        `Make one of numbers: Int32Array.from(${part}).`,
      );
    }
  });
}
