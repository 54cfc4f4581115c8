import { nearestName } from '@qdylora/contract';
import * as z from 'zod';
import { ApiError } from './api-error.ts';

const MOST_STOPS = 16;
const MOST_CHOICES = 16;

/** Null means left out, as in OpenAI's own schemas. */
const optional = <S extends z.ZodType>(schema: S) =>
  schema.nullish().transform((value) => value ?? undefined);

const LONGEST_STOP = 1000;
const stopText = z.string().min(1).max(LONGEST_STOP);
/** A penalty that this server does not have: only its neutral value is accepted. */
const neutral = optional(z.literal(0, { error: 'only 0 is supported; use repetition_penalty' }));

export const onlyFalse = optional(z.literal(false, { error: 'only false is supported' }));

/** Fields of both endpoints that say how to write. */
export const SAMPLING_FIELDS = {
  model: z.string().min(1).max(200),
  temperature: optional(z.number().gte(0).lte(2)),
  top_p: optional(z.number().gte(0).lte(1)),
  top_k: optional(z.number().int().gte(0)),
  repetition_penalty: optional(z.number().gte(0.01).lte(10)),
  seed: optional(z.number().int()),
  stop: optional(
    z.union([stopText.transform((text) => [text]), z.array(stopText).max(MOST_STOPS)], {
      error: `a text of 1 to ${LONGEST_STOP} characters is needed, or a list of up to ${MOST_STOPS} of them`,
    }),
  ),
  n: optional(z.number().int().gte(1).lte(MOST_CHOICES)),
  stream: optional(z.boolean()),
  stream_options: optional(
    z.strictObject({
      include_usage: z.boolean().optional(),
      continuous_usage_stats: onlyFalse,
      include_obfuscation: onlyFalse,
    }),
  ),
  presence_penalty: neutral,
  frequency_penalty: neutral,
  logit_bias: optional(z.strictObject({}, { error: 'only {} is supported' })),
};

/** Fields that change nothing here, and that clients send by themselves. */
export const IDLE_FIELDS = {
  user: z.unknown().optional(),
  metadata: z.unknown().optional(),
  store: z.unknown().optional(),
  service_tier: z.unknown().optional(),
  prompt_cache_key: z.unknown().optional(),
  safety_identifier: z.unknown().optional(),
};

export type SamplingFields = z.output<z.ZodObject<typeof SAMPLING_FIELDS>>;

/** Refuses options of a stream beside an answer in one piece, as OpenAI does. */
export const onlyInStream = <S extends z.ZodType<Pick<SamplingFields, 'stream' | 'stream_options'>>>(
  schema: S,
): S =>
  schema.refine(({ stream, stream_options: options }) => options === undefined || stream === true, {
    path: ['stream_options'],
    error: 'stream: true is needed beside it',
  });

/** @throws ApiError 400 that names the first field that is wrong */
export function checkBody<S extends z.ZodObject>(schema: S, body: unknown): z.output<S> {
  const half = halfCharacterAt(body)?.join('.');
  if (half !== undefined)
    throw new ApiError(400, 'invalid_field', `${half}: the text has half of a surrogate pair.`, half);
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  if (issue.code === 'unrecognized_keys' && issue.path.length === 0) {
    const [name] = issue.keys;
    const nearest = nearestName(name, Object.keys(schema.shape));
    const advice = nearest ? ` Did you mean ${nearest}?` : '';
    throw new ApiError(400, 'unknown_field', `There is no field ${shown(name)}.${advice}`, name);
  }
  const param = issue.path.join('.') || null;
  throw new ApiError(400, 'invalid_field', `${param ?? 'The body'}: ${issue.message}.`, param);
}

/** Where a text has half of a surrogate pair, which no bytes of UTF-8 stand for; null where none has. */
function halfCharacterAt(value: unknown): readonly string[] | null {
  if (typeof value === 'string') return /\p{Surrogate}/u.test(value) ? [] : null;
  if (typeof value !== 'object' || value === null) return null;
  for (const key of Object.keys(value)) {
    const path = halfCharacterAt((value as Readonly<Record<string, unknown>>)[key]);
    if (path) return [key, ...path];
  }
  return null;
}

const shown = (name: string): string => JSON.stringify(name.slice(0, 100));

/** Bits of a seed: whole numbers of any sign become those of the generator. */
const SEED_BITS = 53;

export const seedOf = (seed: number): number => Number(BigInt.asUintN(SEED_BITS, BigInt(seed)));
