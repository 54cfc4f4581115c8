import { typedArray, viewOf, type ArrayRule, type ArrayView, type DType } from '@qdylora/contract';
import { describe, expect, test } from 'vitest';
import { cpuKernels } from '../src/kernel-table.ts';
import { expectRefusal } from './expect-refusal.ts';

const arrayOf = (dtype: DType, shape: readonly number[]): ArrayView =>
  viewOf(
    dtype,
    shape,
    typedArray(
      dtype,
      null,
      0,
      shape.reduce((product, size) => product * size, 1),
    ),
  );
/** An array that satisfies a rule. */
const fitting = ({ dtypes, axes }: ArrayRule): ArrayView =>
  arrayOf(dtypes[0], new Array<number>(axes ?? 1).fill(1));
const OPS = cpuKernels({ native: () => () => {} } as never).map(({ op }) => op);

describe.each(OPS.map((op) => [op.name, op] as const))('%s, before any kernel runs,', (_, op) => {
  const all = Object.fromEntries(Object.entries(op.takes).map(([name, rule]) => [name, fitting(rule)]));

  test(
    'refuses a call without an input that it needs, with one of another element type, or with another ' +
      'number of axes, and names it',
    () => {
      for (const [name, { isOptional, dtypes, axes }] of Object.entries(op.takes)) {
        if (!isOptional)
          expectRefusal(
            op,
            { ...all, [name]: undefined },
            {},
            { code: 'BAD_ARGUMENT', message: expect.stringContaining(`the input ${name} is missing (got `) },
          );
        for (const dtype of (['f32', 'bf16', 'i32', 'u8'] as const).filter(
          (other) => !dtypes.includes(other),
        )) {
          expectRefusal(
            op,
            { ...all, [name]: arrayOf(dtype, all[name].shape) },
            {},
            {
              code: 'BAD_ARGUMENT',
              message: expect.stringMatching(`\\b${name} must be .*, but it is ${dtype}`),
            },
          );
        }
        if (axes !== null)
          for (const other of [axes - 1, axes + 1])
            expectRefusal(
              op,
              { ...all, [name]: arrayOf(dtypes[0], new Array<number>(other).fill(1)) },
              {},
              { code: 'BAD_SHAPE', message: expect.stringMatching(`\\b${name} must have .*, but it is \\[`) },
            );
      }
    },
  );
});
