/** Losses of one model on a set of examples, one entry an example, in the order of the examples. */
export interface ExampleLosses {
  /** Loss summed over the counted tokens of each example, in nats: [examples] */
  readonly sums: Float64Array;
  /** Counted tokens of each example: [examples] */
  readonly counts: Float64Array;
}
