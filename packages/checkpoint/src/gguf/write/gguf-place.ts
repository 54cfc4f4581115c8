import { QdyloraError, UnsupportedArchitectureError } from '@qdylora/contract';
import { printedName } from '../../bad-file.ts';
import { GGUF_ARCHITECTURES, type GgufArchitecture } from '../architectures.ts';
import type { Layout } from '../tensor-layout.ts';

/** Families that llama.cpp computes under another name: Mistral is Llama up to the length of its window. */
const UNDER_ANOTHER_NAME: Readonly<Record<string, string>> = { mistral: 'llama' };

/**
 * The GGUF architecture of a `model_type`. @throws UnsupportedArchitectureError that lists the supported
 * ones.
 */
export function ggufArchitectureOf(
  modelType: string,
  where: string,
): { readonly name: string; readonly architecture: GgufArchitecture } {
  const fileType = Object.hasOwn(UNDER_ANOTHER_NAME, modelType) ? UNDER_ANOTHER_NAME[modelType] : modelType;
  for (const [name, architecture] of GGUF_ARCHITECTURES)
    if (architecture.modelType === fileType) return { name, architecture };
  throw new UnsupportedArchitectureError(where, modelType, [
    ...[...GGUF_ARCHITECTURES.values()].map((architecture) => architecture.modelType),
    ...Object.keys(UNDER_ANOTHER_NAME),
  ]);
}

/** The name of a tensor in a GGUF file, and how its values are arranged there. */
export interface GgufPlace {
  readonly name: string;
  readonly layout: Layout | undefined;
}

/**
 * Maps `model.layers.3.self_attn.q_proj.weight` → `blk.3.attn_q.weight`: the inverse of the table of names.
 *
 * @throws QdyloraError UNSUPPORTED for a tensor that the architecture does not have.
 */
export function ggufPlace({ layers, outer, inner, layouts = {} }: GgufArchitecture, name: string): GgufPlace {
  const [, stem = '', suffix = ''] = /^(.*)\.(weight|bias)$/.exec(name) ?? [];
  const [, index = '', part = ''] = stem.startsWith(`${layers}.`)
    ? (/^(\d+)\.(.+)$/.exec(stem.slice(layers.length + 1)) ?? [])
    : [];
  const place = (key: string, at: string): GgufPlace => ({
    name: `${at}${key}.${suffix}`,
    layout: layouts[key] === 'transposed' && suffix === 'bias' ? undefined : layouts[key],
  });
  for (const [key, value] of Object.entries(inner)) if (value === part) return place(key, `blk.${index}.`);
  for (const [key, value] of Object.entries(outer)) if (value === stem) return place(key, '');
  if (part === 'ln_mlp') return place('attn_norm', `blk.${index}.`); // Falcon with two norms
  throw new QdyloraError('UNSUPPORTED', {
    where: 'gguf',
    problem: `GGUF has no place for the tensor ${printedName(name)}.`,
    nextStep: 'Write safetensors instead.',
    details: { tensor: name },
  });
}
