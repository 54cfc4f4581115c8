import { foreignSpelling } from './names.ts';

/** Values of other trainers, by our key in TypeScript's spelling, and what they are called here. */
const FOREIGN_VALUES: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map(
  Object.entries<Readonly<Record<string, string>>>({
    method: { full: 'none' },
    quantization: { true: 'nf4', false: 'none', 4: 'nf4', bnb: 'nf4', bitsandbytes: 'nf4' },
    computeDtype: { bfloat16: 'bf16', float16: 'f16', fp16: 'f16', float32: 'f32', fp32: 'f32' },
    targetModules: { true: 'all-linear', all: 'all-linear' },
    loraScaling: { true: 'sqrt' },
    datasetFormat: { chat_template: 'messages', chatml: 'messages', openai: 'messages', completion: 'text' },
    lrScheduler: { cosine_with_min_lr: 'cosine', linear_with_warmup: 'linear', wsd: 'warmup_stable_decay' },
    adapterInit: { true: 'kaiming', eva: 'activations' },
    optimizer: {
      adam: 'adamw_32bit',
      adamw: 'adamw_32bit',
      adamw_hf: 'adamw_32bit',
      adamw_torch: 'adamw_32bit',
      adamw_torch_fused: 'adamw_32bit',
      adamw_bnb_8bit: 'adamw_8bit',
      paged_adamw: 'paged_adamw_32bit',
    },
    gradientCheckpointing: { unsloth: 'true' },
    resumeFromCheckpoint: { true: 'auto' },
  }),
);

/** Names of other trainers that switch on one value of our key: `bf16: true` is `compute_dtype: bf16`. */
const SWITCHES: ReadonlyMap<string, string> = new Map([
  ['bf16', 'bf16'],
  ['fp16', 'f16'],
]);

/** What to write instead of such a name with the value true: one sentence. Null for any other. */
export function adviceForSwitch(written: string, value: unknown): string | null {
  const meant = value === true ? SWITCHES.get(foreignSpelling(written)) : undefined;
  return meant === undefined ? null : `\`true\` is \`${meant}\` here.`;
}

const FILES_KEYS: readonly string[] = ['dataset', 'evalDataset'];

/** A mapping of YAML, or an object. */
export const isRecord = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * What to write instead of a value of another trainer: one sentence. Null for any other value.
 *
 * @param key in TypeScript's spelling
 * @param spell a key as the place of the value spells it
 */
export function adviceForValue(key: string, value: unknown, spell: (key: string) => string): string | null {
  if (FILES_KEYS.includes(key) && [value].flat().some(isRecord))
    return (
      `Name the files alone, \`${spell(key)}: [rows.jsonl]\`; ` +
      `their \`type\` is \`${spell('datasetFormat')}\`.`
    );
  const values = FOREIGN_VALUES.get(key) ?? {};
  const written = String(value);
  return Object.hasOwn(values, written) ? `\`${written}\` is \`${values[written]}\` here.` : null;
}
