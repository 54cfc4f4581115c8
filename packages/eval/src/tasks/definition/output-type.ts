export const OUTPUT_TYPES = [
  'loglikelihood',
  'loglikelihood_rolling',
  'multiple_choice',
  'generate_until',
] as const;
/** What a task asks of a model. */
export type OutputType = (typeof OUTPUT_TYPES)[number];
