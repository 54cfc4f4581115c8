/**
 * What one model made of a set of examples: `sums[i]` is the loss summed over the counted tokens of example
 * i, `counts[i]` how many those are.
 * Both: [examples], in the order of the examples.
 */
export interface ExampleLosses {
  readonly sums: Float64Array;
  readonly counts: Float64Array;
}
