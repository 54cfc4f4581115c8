import { ExactNumber, PythonFloat, pythonText } from '@qdylora/data';
import { describe, expect, it } from 'vitest';
import { readTaskYaml } from './read-task-yaml.ts';

const valueOf = (scalar: string) => readTaskYaml(`a: ${scalar}\n`, 'task.yaml').get('a');

/** Type and `str` of what `yaml.load(text, yaml.CSafeLoader)` of PyYAML 6.0.4 gives. */
const SCALARS: readonly (readonly [scalar: string, type: 'bool' | 'int' | 'float' | 'str', text: string])[] =
  [
    ...['y', 'n', 'Y', 'N', 'oN', '1e5', '1e-5', '1.5e3', '0.1e1', '1E5', '-2E+05', '-.5', '+.nan'].map(
      (scalar) => [scalar, 'str', scalar] as const,
    ),
    ...['08', '09', '0o10', '02:00', '0xg', '1:60'].map((scalar) => [scalar, 'str', scalar] as const),
    ...['yes', 'On', 'TRUE'].map((scalar) => [scalar, 'bool', 'True'] as const),
    ...['no', 'OFF', 'False'].map((scalar) => [scalar, 'bool', 'False'] as const),
    ['1_000', 'int', '1000'],
    ['-0', 'int', '0'],
    ['+5', 'int', '5'],
    ['010', 'int', '8'],
    ['0_7', 'int', '7'],
    ['0x1F', 'int', '31'],
    ['-0b11', 'int', '-3'],
    ['190:20:30', 'int', '685230'],
    ['9007199254740993', 'int', '9007199254740993'],
    ['-0x2000_0000_0000_01', 'int', '-9007199254740993'],
    ['-1:30', 'int', '-90'],
    ['1.', 'float', '1.0'],
    ['.5', 'float', '0.5'],
    ['1_0.5', 'float', '10.5'],
    ['1.5e+3', 'float', '1500.0'],
    ['1:30.5', 'float', '90.5'],
    ['-.INF', 'float', '-inf'],
    ['.nan', 'float', 'nan'],
    ['!!float 1e-5', 'float', '1e-05'],
    ['!!int "010"', 'int', '8'],
  ];

describe('scalars of a task are those of PyYAML', () => {
  it.each(SCALARS)('%s is a %s', (scalar, type, text) => {
    const value = valueOf(scalar);
    const types = { boolean: 'bool', number: 'int', string: 'str', object: 'float' } as const;
    expect(value instanceof ExactNumber ? 'int' : types[typeof value as keyof typeof types]).toBe(type);
    expect(value instanceof PythonFloat).toBe(type === 'float');
    expect(pythonText(value, () => {})).toBe(text);
  });

  it('a date stays a text', () => {
    expect(valueOf('2024-01-15')).toBe('2024-01-15');
  });

  it.each(['!!float abc', '0b_'])('%s is refused', (scalar) => {
    expect(() => valueOf(scalar)).toThrow('[task.yaml] The file cannot be read as a task');
  });
});

describe('texts that PyYAML accepts', () => {
  it('the last of equal keys counts', () => {
    expect([...readTaskYaml('a: 1\nb: 2\na: 3\n', 'task.yaml')]).toEqual([
      ['a', 3],
      ['b', 2],
    ]);
  });

  it('a quoted text may go on at any column', () => {
    const yaml = `a:\n  - 'b\nc\n\n# d'\n  - "e \\\nf"\ng: 1\n`;
    expect(readTaskYaml(yaml, 'task.yaml')).toEqual(
      new Map<string, unknown>([
        ['a', ['b c\n# d', 'e f']],
        ['g', 1],
      ]),
    );
  });

  it('a quoted text whose lines end as in Windows, or with a separator of Unicode, stays as it is', () => {
    const yaml = 'a: "b\r\n\r\nc\u2028d"\r\n';
    expect(readTaskYaml(yaml, 'task.yaml').get('a')).toBe('b\nc\u2028d');
  });

  it('a list or a mapping in brackets may go on at any column', () => {
    const yaml = `a: ["no",\n"yes\nno",\nb\nc]\nd: {e: 1,\n'f': [2,\n\n# g\n3]\n}\nh: 4\n`;
    expect(readTaskYaml(yaml, 'task.yaml')).toEqual(
      new Map<string, unknown>([
        ['a', ['no', 'yes no', 'b c']],
        [
          'd',
          new Map<string, unknown>([
            ['e', 1],
            ['f', [2, 3]],
          ]),
        ],
        ['h', 4],
      ]),
    );
  });

  it.each([
    [`a: 'b\nc: 1\n`, `'quote at line 3`],
    [`a: 'b\nc: 'd'\n`, `'quote at line 1`],
    [`a: "Q: {{b}}\nc: "d"\n`, `"quote at line 1`],
  ])('%j, with a quote too few, is refused as such', (yaml, problem) => {
    expect(() => readTaskYaml(yaml, 'task.yaml')).toThrow(
      `[task.yaml] The file cannot be read as a task: Missing closing ${problem}`,
    );
  });

  it.each([`a: ["b",\nc: 1\n`, `a: ["b"\n`, `a: ["b",\n"c"\n`, `a: {b: 1,\n`, `a: [\n`])(
    '%j, with a bracket too few, is refused',
    (yaml) => {
      expect(() => readTaskYaml(yaml, 'task.yaml')).toThrow('[task.yaml] The file cannot be read as a task');
    },
  );
});
