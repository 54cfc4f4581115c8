import { hostData, runOp } from '@qdylora/contract';
import { adaptedLinear, adaptedLinearBackward } from '@qdylora/lora-dynamic';
import { arbitrarySeed, arbitrarySize, normalView } from '@qdylora/testing';
import { adaptedAttributes, arbitraryCuts, baseOf, basesIn, partsOf } from '@qdylora/testing/conformance';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const backendsOfAll = levels.flatMap(({ label, backends }) =>
  backends.map((backend) => ({ label, backend })),
);

/** Layers with a weight: of an empty one nobody can say how it is packed. */
const parameters = fc.record({
  tokens: arbitrarySize(40),
  rows: arbitrarySize(100).filter((n) => n > 0),
  cols: fc.oneof(
    fc.constantFrom(64, 128, 192),
    arbitrarySize(120).filter((n) => n > 0),
  ),
  r: arbitrarySize(33),
  base: fc.constantFrom(...basesIn('bf16')),
  seed: arbitrarySeed,
  computeDtype: fc.constantFrom<'f32' | 'bf16'>('f32', 'bf16'),
  isDropped: fc.boolean(),
  hasBias: fc.boolean(),
  cuts: arbitraryCuts(),
});

test('u has the same bits with and without y', () => {
  fc.assert(
    fc.property(parameters, ({ tokens, rows, cols, r, base, seed, ...flags }) => {
      const inputs = {
        ...baseOf(base, seed, rows, cols),
        x: normalView(seed, 'x', [tokens, cols]),
        xAdapter: flags.isDropped ? normalView(seed, 'xa', [tokens, cols]) : undefined,
        bias: flags.hasBias ? normalView(seed, 'bias', [rows]) : undefined,
        a: normalView(seed, 'a', [r, cols]),
        b: normalView(seed, 'b', [r, rows]),
      };
      const attributes = {
        ...adaptedAttributes(base, rows, cols, flags.computeDtype),
        parts: partsOf(flags.cuts, tokens, r),
      };
      for (const { label, backend } of backendsOfAll) {
        backend.memory.scoped(() => {
          const { u } = runOp(backend, adaptedLinear, inputs, attributes);
          const alone = runOp(backend, adaptedLinear, inputs, { ...attributes, wantsY: false });
          expect([alone.y, Array.from(hostData(alone.u))], label).toEqual([
            undefined,
            Array.from(hostData(u)),
          ]);
        });
      }
    }),
    { numRuns: 80 },
  );
});

test('dx and the gradients of the adapter have the same bits one after the other as together', () => {
  fc.assert(
    fc.property(
      parameters.filter(({ tokens }) => tokens > 0),
      ({ tokens, rows, cols, r, base, seed, computeDtype }) => {
        const inputs = {
          ...baseOf(base, seed, rows, cols),
          dy: normalView(seed, 'dy', [tokens, rows]),
          u: normalView(seed, 'u', [tokens, r]),
          a: normalView(seed, 'a', [r, cols]),
          b: normalView(seed, 'b', [r, rows]),
        };
        const inputsWithX = { ...inputs, x: normalView(seed, 'x', [tokens, cols]) };
        const attributes = {
          ...adaptedAttributes(base, rows, cols, computeDtype),
          accumulate: false,
          trainFrom: 0,
          wantsDx: true,
        };
        const withoutDx = { ...attributes, wantsDx: false };
        const freshGradients = () => ({
          da: normalView(seed, 'da', [r, cols]),
          db: normalView(seed, 'db', [r, rows]),
        });
        for (const { backend } of backendsOfAll) {
          const together = runOp(backend, adaptedLinearBackward, inputsWithX, attributes, freshGradients());
          const gradients = runOp(backend, adaptedLinearBackward, inputsWithX, withoutDx, freshGradients());
          const { dx } = runOp(backend, adaptedLinearBackward, inputs, attributes);
          expect(hostData(dx!)).toEqual(hostData(together.dx!));
          expect(hostData(gradients.da!)).toEqual(hostData(together.da!));
          expect(hostData(gradients.db!)).toEqual(hostData(together.db!));
        }
      },
    ),
    { numRuns: 40 },
  );
});
