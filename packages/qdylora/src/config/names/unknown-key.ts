import { snakeCase, nearestName } from '@qdylora/contract';
import { FOREIGN_NAMES } from './foreign-names.ts';
import { camelCase } from './names.ts';

/** An unknown key and the place where it was written. */
export interface UnknownKey {
  readonly written: string;
  /** Its value; undefined where it is not known. */
  readonly value?: unknown;
  /** A key as that place spells it. */
  readonly spell: (key: string) => string;
  /** The keys that exist there, in TypeScript's spelling. */
  readonly keys: readonly string[];
}

/** The key that was probably meant, as its place spells it; null where no key is near. */
export function meantKey({ written, spell, keys }: UnknownKey): string | null {
  const foreign = foreignName(written);
  return foreign && keys.includes(foreign.key) ? spell(foreign.key) : nearestName(written, keys.map(spell));
}

/** What to write instead of an unknown key: one sentence. */
export function adviceFor(unknown: UnknownKey): string {
  const { written, value, spell, keys } = unknown;
  const foreign = foreignName(written);
  if (foreign && keys.includes(foreign.key)) {
    const key = spell(foreign.key);
    if (!foreign.isOpposite) return `It is called \`${key}\` here.`;
    const example = typeof value === 'boolean' ? `: ${!value} instead of ${value}` : '';
    return `Here it is \`${key}\`, which means the opposite${example}.`;
  }
  const nearest = meantKey(unknown);
  return nearest ? `Did you mean \`${nearest}\`?` : `The keys are: ${keys.map(spell).join(', ')}.`;
}

/** `--lr`, `lr` or `perDeviceTrainBatchSize` → our key, in TypeScript's spelling. */
function foreignName(written: string): { readonly key: string; readonly isOpposite: boolean } | null {
  const foreign = FOREIGN_NAMES.get(snakeCase(written.replace(/^--(no-)?/, '')).replaceAll('-', '_'));
  return foreign ? { key: camelCase(foreign.key), isOpposite: foreign.isOpposite } : null;
}
