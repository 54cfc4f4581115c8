import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runOp, type Arrays, type ArrayView, type Op } from '@qdylora/contract';
import { adaptedLinear, adaptedLinearBackward } from '@qdylora/lora-dynamic';
import {
  causalAttention,
  linearCrossEntropy,
  linearWeightGradient,
  rmsNorm,
  rmsNormBackward,
  sumOfSquares,
} from '@qdylora/tensor';
import { createCpuBackend, createDryCpuBackend, WORKSPACES } from './index.ts';

interface Call {
  readonly op: Op;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly attributes: object;
  readonly given?: Readonly<Record<string, readonly number[]>>;
}
const call = (op: unknown, inputs: Call['inputs'], attributes: object, given?: Call['given']): Call => ({
  op: op as Op,
  inputs,
  attributes,
  ...(given && { given }),
});

/**
 * Ops whose kernels need workspaces, at sizes that take turns in them. Segments are real: what attention
 * needs depends on them.
 */
const calls = fc
  .record({
    tokens: fc.integer({ min: 1, max: 200 }),
    wide: fc.integer({ min: 1, max: 4 }),
    rank: fc.integer({ min: 1, max: 9 }),
    heads: fc.integer({ min: 1, max: 3 }),
    computeDtype: fc.constantFrom('f32', 'bf16'),
  })
  .map(({ tokens, wide, rank, heads, computeDtype }): Call[] => {
    const hidden = 64 * wide;
    const out = 96;
    const adapted = { rows: out, cols: hidden, blockSize: 0, nestedOffset: 0, computeDtype, scale: 1 };
    const weights = { weight: [out, hidden], a: [rank, hidden], b: [rank, out] };
    return [
      call(adaptedLinear, { x: [tokens, hidden], ...weights }, adapted),
      call(
        adaptedLinearBackward,
        { dy: [tokens, out], x: [tokens, hidden], u: [tokens, rank], ...weights },
        { ...adapted, accumulate: false, trainFrom: 0, wantsDx: true },
        { da: [rank, hidden], db: [rank, out] },
      ),
      call(
        causalAttention,
        { q: [tokens, heads * 32], k: [tokens, 32], v: [tokens, 32], querySegments: [2], keySegments: [2] },
        { heads, kvHeads: 1, headDim: 32, scale: 1, softCap: 0, window: 0, computeDtype },
      ),
      call(
        linearCrossEntropy,
        { x: [tokens, hidden], weight: [300, hidden], targets: [tokens] },
        { computeDtype, lossScale: 1, softCap: 0, gradient: true },
      ),
      call(
        linearWeightGradient,
        { x: [tokens, hidden], dy: [tokens, out] },
        { computeDtype },
        { dWeight: [out, hidden] },
      ),
      call(rmsNorm, { x: [tokens, hidden], weight: [hidden] }, { epsilon: 1e-5, weightOffset: 0 }),
      call(
        rmsNormBackward,
        { x: [tokens, hidden], weight: [hidden], inverseRms: [tokens], dy: [tokens, hidden] },
        { weightOffset: 0, accumulate: false },
        { dWeight: [hidden] },
      ),
      call(sumOfSquares, { x: [tokens, hidden] }, {}, { sum: [1] }),
    ];
  });

test('the dry cpu backend counts what the cpu backend allocates, workspaces included, op by op', async () => {
  for (const threads of [1, 2]) {
    using real = await createCpuBackend({ numThreads: threads });
    using dry = createDryCpuBackend({ numThreads: threads });
    fc.assert(
      fc.property(calls, (all) => {
        for (const { op, inputs, attributes, given = {} } of all) {
          const [got, want] = [dry, real].map((backend) =>
            backend.memory.scoped(() => {
              const arrays = (shapes: Call['inputs']): Arrays =>
                Object.fromEntries(
                  Object.entries(shapes).map(([name, shape]) => {
                    const isIndex = /egments|targets/.test(name);
                    const view: ArrayView = backend.memory.allocate(isIndex ? 'i32' : 'f32', shape);
                    backend.memory.fill(view, (values) => {
                      values.fill(0);
                    });
                    if (name.endsWith('egments')) backend.memory.write(view, [0, inputs.q![0]]);
                    return [name, view];
                  }),
                );
              const copies = arrays(inputs);
              const outputs = arrays(given);
              backend.memory.resetPeak();
              runOp(backend, op, copies, attributes, outputs);
              return backend.memory.usage();
            }),
          );
          expect(got, op.name).toEqual(want);
        }
      }),
      { numRuns: 15 },
    );
    expect(dry.memory.parts().map(({ part }) => part)).toContain(WORKSPACES);
  }
});

test('it has the level and threads that it is asked for, and refuses those that do not run here', () => {
  using dry = createDryCpuBackend({ level: 'generic', numThreads: 3 });
  expect([dry.level, dry.numThreads, dry.packedLayout, dry.memory.space.isHost]).toEqual([
    'generic',
    3,
    'tiles',
    false,
  ]);
  expect(() => createDryCpuBackend({ level: 'sse9' })).toThrow(/the CPU level must be one of .*\(got sse9\)/);
});
