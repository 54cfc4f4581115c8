import fc from 'fast-check';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { readHfConfig } from '../config/hf-config.ts';
import { errorOf } from '../test-support/error-of.ts';
import { parsePythonJson } from './parse-python-json.ts';

it('reads what JSON.parse reads, and refuses what it refuses', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(parsePythonJson(text)).toEqual(JSON.parse(text));
    }),
  );
  for (const bad of [
    '',
    '{',
    '{"a":nan}',
    '[Infinity',
    'Infinity1',
    '[NaNa]',
    '{"a":+Infinity}',
    '[--Infinity]',
    '[1 NaN]',
    '{NaN:1}x',
    '{NaN: 1, "a": NaN}',
    '{-Infinity : 1, "a": NaN}',
    "{'a':NaN}",
  ])
    expect(() => parsePythonJson(bad), bad).toThrow(SyntaxError);
});

it('reads the three numbers of Python, wherever they stand, and leaves texts alone', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.constantFrom(NaN, Infinity, -Infinity),
          fc.constantFrom('NaN', '"NaN', '\\', '\\"Infinity'),
          fc.string(),
        ),
      ),
      (values) => {
        const items = values.map((value) => (typeof value === 'string' ? JSON.stringify(value) : value));
        const text = `{"NaN":[${items.map(String).join(' , ')}]}`;
        expect(parsePythonJson(text)).toEqual({ NaN: values });
      },
    ),
  );
});

it(
  'a config with such a number is refused where the number is used, by its name, and read where it is ' +
    'not; a byte-order mark is refused, as Python does',
  () => {
    const path = join(temporaryFolder(), 'config.json');
    writeFileSync(path, '{"model_type":"llama","rms_norm_eps":NaN,"other":-Infinity}');
    const config = readHfConfig(path);
    expect(config.modelType).toBe('llama');
    expect(errorOf(() => config.number('rms_norm_eps'), 'BAD_CONFIG').message).toMatch(
      /`rms_norm_eps` must be a finite number \(got number NaN/,
    );
    writeFileSync(path, '\uFEFF{"model_type":"llama"}');
    expect(errorOf(() => readHfConfig(path), 'BAD_FILE').message).toMatch(
      /byte-order mark, which JSON does not allow.*without it/,
    );
  },
);
