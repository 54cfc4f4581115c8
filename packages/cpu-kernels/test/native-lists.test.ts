import { f32View, QdyloraError, type Arrays, type ArrayView } from '@qdylora/contract';
import { normalView } from '@qdylora/testing';
import { afterAll, describe, expect, test } from 'vitest';
import { adaptedLinearKernels } from '../kernels/adapted-linear/adapted-linear.ts';
import type { NativeArgument, NativeRecord } from '../src/addon/addon-functions.ts';
import { flattenArguments, isList } from '../src/addon/flatten-arguments.ts';
import { functionOf, openLevel } from '../src/addon/open-level.ts';

const open = openLevel({ numThreads: 1 });
afterAll(open.native.close);

const [tokens, rows, cols, r] = [2, 3, 4, 1] as const;
const random = (name: string, ...shape: number[]): ArrayView<'f32'> => normalView(1, name, shape);
const layer = { rows, blockSize: 0, nestedOffset: 0, scale: 1 };
const attributes = { layers: [layer, layer], cols, computeDtype: 'f32', trainFrom: 0, accumulate: false };
const inputs: Arrays = Object.fromEntries([
  ['x', random('x', tokens, cols)],
  ...[0, 1].flatMap((i) => [
    [`weight${i}`, random(`w${i}`, rows, cols)],
    [`a${i}`, random(`a${i}`, r, cols)],
    [`b${i}`, random(`b${i}`, r, rows)],
    [`u${i}`, random(`u${i}`, tokens, r)],
    [`dy${i}`, random(`dy${i}`, tokens, rows)],
  ]),
]);

/** The arguments that the binding of a group's op passes to its C++ function. */
function argumentsOf(opName: string, functionName: string): NativeArgument[] {
  const calls: NativeArgument[][] = [];
  const kernels = adaptedLinearKernels({
    native:
      (name) =>
      (...parameters) => {
        if (name === functionName) calls.push(parameters);
        return 0;
      },
    withScratch: (_, body) => body(f32View([0], new Float32Array(0))),
  });
  kernels.find(({ op }) => op.name === opName)!.run(inputs, {}, attributes);
  return calls[0];
}

describe.each([
  ['adapted-linear-group', 'adaptedLinearForward'],
  ['adapted-linear-group-backward', 'adaptedLinearBackward'],
])('the layers of %s', (opName, functionName) => {
  const parameters = argumentsOf(opName, functionName);
  const layers = parameters.find(isList)!;
  const [list] = open.native.functions[functionName].lists!;

  test('are records with the field names of C++, neither more nor less', () => {
    expect(layers).toHaveLength(2);
    for (const record of layers) expect(Object.keys(record)).toEqual(list!.fields.map(({ name }) => name));
  });

  test('become their number and as many records as C++ has room for', () => {
    const { most, fields } = list!;
    const values = flattenArguments(parameters, [list!]);
    expect(values).toHaveLength(parameters.length + most * fields.length);
    const at = parameters.indexOf(layers);
    expect(values[at]).toBe(2);
    expect(values.slice(at + 1 + 2 * fields.length, at + 1 + most * fields.length)).toEqual(
      fields.map(({ empty }) => empty),
    );
  });

  const withLayers = (records: readonly NativeRecord[]): (() => number) => {
    const call = functionOf(open, functionName);
    return () => call(...parameters.map((parameter) => (parameter === layers ? records : parameter)));
  };

  test('are refused where there are more than C++ has room for, or none', () => {
    expect(withLayers([...layers, ...layers])).toThrow(/argument 3 has 4 records, but it may have 3 at most/);
    expect(withLayers([])).toThrow(/a group has at least one layer/);
    expect(withLayers([])).toThrow(QdyloraError);
  });

  test('are refused by the argument, not by a TypeError, where a value is null', () => {
    const call = functionOf(open, functionName);
    const at = parameters.findIndex((parameter) => typeof parameter === 'number');
    const withNull = parameters.map((parameter, i) => (i === at ? (null as never) : parameter));
    expect(() => call(...withNull)).toThrow(QdyloraError);
    expect(() => call(...withNull)).toThrow(/argument \d+ must be/);
  });

  test('are named by record and field where one does not fit', () => {
    expect(withLayers([layers[0], { ...layers[1], a: new Uint8Array(4) }])).toThrow(
      /`a` of record 1 in argument 3 must be a Float32Array or undefined/,
    );
    const { rows: _, ...withoutRows } = layers[0];
    expect(withLayers([withoutRows])).toThrow(/`rows` of record 0 in argument 3 must be a whole number >= 0/);
  });
});
