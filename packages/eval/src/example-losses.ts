/**
 * Losses of one model on a set of examples, one entry an example, in the order of the examples. Copies of an
 * example say nothing new, and would make standard errors too small: the first of them has the losses and
 * the tokens of all, the others have 0.
 */
export interface ExampleLosses {
  /** Loss summed over the counted tokens of each example, in nats: [examples] */
  readonly sums: Float64Array;
  /** Counted tokens of each example: [examples] */
  readonly counts: Float64Array;
}
