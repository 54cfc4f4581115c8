/** Tokens of one judging pass: half of the fastest size, so it needs less memory than a training step. */
export const JUDGED_TOKENS = 1024;
