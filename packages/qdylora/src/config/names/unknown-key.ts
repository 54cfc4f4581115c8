import { nearestName } from '@qdylora/contract';
import { absenceOf } from './absent-names.ts';
import { FOREIGN_NAMES, type ForeignName } from './foreign-names.ts';
import { adviceForSwitch, adviceForValue, isRecord } from './foreign-values.ts';
import { camelCase, foreignSpelling } from './names.ts';

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

/** The advice for a key that is like none. */
export const NOTHING_SIMILAR = 'No key has a similar name.';
/** Where the keys are listed. */
export const WHERE_LISTED = 'The `--help` of the command lists all keys.';

/** The key that was probably meant, as its place spells it; null where no key is near. */
export function meantKey({ written, spell, keys }: UnknownKey): string | null {
  const [foreign] = foreignKeys(written, keys);
  if (foreign !== undefined) return spell(foreign);
  return absenceOf(written) === null ? nearestName(written, keys.map(spell)) : null;
}

/** What to write instead of an unknown key: one sentence or two. */
export const adviceFor = (unknown: UnknownKey): string =>
  nearestAdvice(unknown) ?? `${NOTHING_SIMILAR} ${WHERE_LISTED}`;

/** The same; null where no key is near. */
export function nearestAdvice(unknown: UnknownKey): string | null {
  const { written, value, spell, keys } = unknown;
  const [key, readKey] = foreignKeys(written, keys);
  if (key !== undefined) {
    if (readKey !== undefined)
      return `The folder to write to is \`${spell(key)}\` here, an adapter to read is \`${spell(readKey)}\`.`;
    const { isOpposite, remark } = foreignName(written)!;
    if (!isOpposite) {
      const ofValue = adviceForSwitch(written, value) ?? adviceForValue(key, value, spell);
      const sentences = [`It is called \`${spell(key)}\` here.`, remark, ofValue];
      return sentences.filter((sentence) => sentence !== null).join(' ');
    }
    const example = typeof value === 'boolean' ? `: ${!value} instead of ${value}` : '';
    return `Here it is \`${spell(key)}\`, which means the opposite${example}.`;
  }
  const absence = absenceOf(written);
  if (absence !== null) return absence;
  if (isRecord(value)) return 'Keys are not nested here: move those below it one level up.';
  const nearest = meantKey(unknown);
  return nearest ? `Did you mean \`${nearest}\`?` : null;
}

/** `--lr`, `lr` or `perDeviceTrainBatchSize` as another trainer means it. */
const foreignName = (written: string): ForeignName | undefined => FOREIGN_NAMES.get(foreignSpelling(written));

/** Our keys for such a name, in TypeScript's spelling, as far as they are among `keys`. */
function foreignKeys(written: string, keys: readonly string[]): string[] {
  const foreign = foreignName(written);
  if (!foreign) return [];
  const ours = [foreign.key, ...(foreign.readKey === null ? [] : [foreign.readKey])];
  return ours.map(camelCase).filter((key) => keys.includes(key));
}
