import { QdyloraError } from '@qdylora/contract';
import { RANK_SCALINGS } from '@qdylora/lora-dynamic';
import { QUANTIZATION_KINDS } from '@qdylora/quant';
import * as z from 'zod';

/** A chat template that was chosen in place of that of the model. */
const templateSchema = z.object({
  /** Of a built-in template; null: it comes from a file. */
  name: z.string().nullable(),
  /** Its Jinja text. */
  source: z.string(),
});

export type StoredTemplate = z.output<typeof templateSchema>;

/**
 * The content of `qdylora.json` beside a PEFT adapter: its ranks, the formula of their scale, the base that
 * it was trained on, and how its prompts were written. It holds no time, path or host, so equal runs give
 * equal bytes.
 */
const sidecarSchema = z.object({
  format: z.literal('qdylora-adapter'),
  version: z.literal(1),
  ranks: z.array(z.number().int().gte(1)).min(1),
  /** Those of `ranks` that no step has trained: exported between two trained ones. Absent: none. */
  untrained_ranks: z.array(z.number().int().gte(1)).optional(),
  lora_alpha: z.number().gt(0),
  lora_scaling: z.enum(RANK_SCALINGS),
  target_modules: z.array(z.string()).min(1),
  base: z.object({
    name: z.string(),
    model_type: z.string(),
    fingerprint: z.string(),
    /** Where `qdylora quantize` wrote the base: the fingerprint of the model that it read. */
    quantized_from: z.string().optional(),
    quantization: z.enum(['none', ...QUANTIZATION_KINDS]),
    double_quantization: z.boolean(),
    quantization_block_size: z.number().int(),
    /** Bits a weight at which evaluations used the base; absent: as it is stored. */
    level: z.number().int().optional(),
  }),
  prompt: z
    .object({
      dataset_format: z.string(),
      apply_chat_template: z.boolean(),
      chat_template: templateSchema.optional(),
    })
    .nullable()
    .default(null),
});

export type AdapterSidecar = z.output<typeof sidecarSchema>;

/** A sidecar for other ranks than those of `untrained_ranks`. */
export function withoutUntrained({ untrained_ranks: _, ...sidecar }: AdapterSidecar): AdapterSidecar {
  return sidecar;
}

/** How training wrote rows as prompts, so that generation can do the same. */
export type TrainedPrompt = NonNullable<AdapterSidecar['prompt']>;

/**
 * Checks the content of a sidecar. Null stays null: an adapter of another trainer.
 *
 * @throws QdyloraError BAD_ADAPTER
 */
export function readSidecar(folder: string, value: unknown): AdapterSidecar | null {
  if (value === null) return null;
  const result = sidecarSchema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new QdyloraError('BAD_ADAPTER', {
    where: `${folder}/qdylora.json`,
    problem:
      'This file does not describe an adapter (format qdylora-adapter, version 1). Its field ' +
      `${issue!.path.join('.') || '(top level)'}: ${issue!.message}.`,
    nextStep:
      'Copy the adapter again from where it was trained, or delete qdylora.json to use its full rank only.',
    details: { path: issue!.path },
  });
}
