/**
 * Tokens of one evaluation pass: half of the fastest size, so that it needs less memory than a training step.
 */
export const JUDGED_TOKENS = 1024;
