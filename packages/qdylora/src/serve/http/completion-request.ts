import * as z from 'zod';
import { IDLE_FIELDS, onlyInStream, SAMPLING_FIELDS } from './request-fields.ts';

const ids = z.array(z.number().int().gte(0)).min(1);
const text = z.string();

/** Tokens that OpenAI's completions write without `max_tokens`. */
const DEFAULT_MAX_TOKENS = 16;

const completionFields = z.strictObject({
  ...SAMPLING_FIELDS,
  ...IDLE_FIELDS,
  /** A text, token ids, or a list of either. */
  prompt: z.union([text, ids, z.array(text).min(1), z.array(ids).min(1)], {
    error: 'a text, a list of token ids, or a list of either is needed',
  }),
  max_tokens: z
    .number()
    .int()
    .gte(0)
    .nullish()
    .transform((value) => value ?? DEFAULT_MAX_TOKENS),
  echo: z.boolean().nullish(),
  logprobs: z.number().int().gte(0).lte(5).nullish(),
  best_of: z.literal(1, { error: 'only 1 is supported' }).nullish(),
  suffix: z.null({ error: 'only null is supported' }).optional(),
});

/** The body of `/v1/completions`. */
export const completionRequest = onlyInStream(completionFields);

export type CompletionRequest = z.output<typeof completionRequest>;

export type Prompt = string | readonly number[];

/** The prompts of a request, as a list. */
export const promptsOf = ({ prompt }: CompletionRequest): readonly Prompt[] =>
  typeof prompt === 'string' || typeof prompt[0] === 'number'
    ? [prompt as Prompt]
    : (prompt as readonly Prompt[]);
