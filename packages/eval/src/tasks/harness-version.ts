/** The version of lm-evaluation-harness whose requests, scores and results files these are. */
export const HARNESS_VERSION = '0.4.13';
