import { snakeCase } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { SPELLINGS } from '../explicit-values.ts';
import { KEY_NAMES } from '../keys.ts';
import { FOREIGN_NAMES } from './foreign-names.ts';
import { adviceFor } from './unknown-key.ts';

describe('a name of another trainer', () => {
  it('is no key, and names a key', () => {
    const keys = new Set<string>(KEY_NAMES.map(snakeCase));
    for (const [foreign, { key, readKey }] of FOREIGN_NAMES)
      expect([foreign, keys.has(foreign), keys.has(key), keys.has(readKey ?? key)]).toEqual([
        foreign,
        false,
        true,
        true,
      ]);
  });

  it('that one command reads and another writes names the key that there is', () => {
    const advice = (keys: string[]): string =>
      adviceFor({ written: '--adapter-path', spell: SPELLINGS.flags, keys });
    expect(advice(['adapter', 'rank'])).toBe('It is called `--adapter` here.');
    expect(advice(['adapter', 'outputDir'])).toMatch(/^The folder to write to is `--output-dir` here, /);
  });
});
