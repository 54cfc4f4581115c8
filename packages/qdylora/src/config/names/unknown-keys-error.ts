import { QdyloraError } from '@qdylora/contract';
import type { ExplicitValue } from '../explicit-values.ts';
import {
  adviceFor,
  meantKey,
  nearestAdvice,
  NOTHING_SIMILAR,
  WHERE_LISTED,
  type UnknownKey,
} from './unknown-key.ts';

/**
 * The error for keys that do not exist, all of them at once: a file of another trainer has many.
 *
 * @param keys the keys that exist there, in TypeScript's spelling
 */
export function unknownKeysError(unknown: readonly ExplicitValue[], keys: readonly string[]): QdyloraError {
  const [first] = unknown;
  const { where, written } = first!;
  const asWritten = ({ written, value, spell }: ExplicitValue): UnknownKey => ({
    written,
    value,
    spell,
    keys,
  });
  const details = {
    key: written,
    nearest: meantKey(asWritten(first!)),
    keys: unknown.map((one) => one.written),
  };
  if (unknown.length === 1)
    return new QdyloraError('BAD_CONFIG', {
      where,
      problem: `There is no key \`${written}\``,
      details,
      nextStep: adviceFor(asWritten(first!)),
    });
  const lines = unknown.map((one) => {
    const advice = nearestAdvice(asWritten(one)) ?? NOTHING_SIMILAR;
    return `${one.where} \`${one.written}\`: ${advice}`;
  });
  return new QdyloraError('BAD_CONFIG', {
    where,
    problem: `${unknown.length} keys do not exist here`,
    details,
    nextStep: [...lines, WHERE_LISTED].join('\n'),
  });
}
