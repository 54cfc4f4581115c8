import {
  createHostBackend,
  f32View,
  hostData,
  i32View,
  runOp,
  shapeOnly,
  type ArrayView,
} from '@qdylora/contract';
import { randomF32, seededNumbers } from '@qdylora/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  linearCrossEntropy,
  linearCrossEntropyTopK,
  linearDistillation,
  type CrossEntropyAttributes,
  type SoftTargets,
} from '../../index.ts';

const backend = createHostBackend();
const TOKENS = 3;
const HIDDEN = 4;

interface Heads {
  readonly wide: ArrayView<'f32'>;
  readonly x: ArrayView<'f32'>;
  readonly weight: ArrayView<'f32'>;
  readonly targets: ArrayView<'i32'>;
  readonly topK: number;
  readonly attributes: CrossEntropyAttributes;
}

const arbitraryHeads: fc.Arbitrary<Heads> = fc
  .record({
    seed: fc.nat(10_000),
    vocabulary: fc.integer({ min: 2, max: 12 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    softCap: fc.constantFrom(0, 2),
  })
  .map(({ seed, vocabulary, share, softCap }) => {
    const next = seededNumbers(seed);
    return {
      wide: randomF32([TOKENS, HIDDEN], next),
      x: randomF32([TOKENS, HIDDEN], next),
      weight: randomF32([vocabulary, HIDDEN], next),
      targets: i32View([TOKENS], [seed % vocabulary, vocabulary - 1, -100]),
      topK: Math.max(1, Math.round(share * vocabulary)),
      attributes: { computeDtype: 'f32', lossScale: 0.5, softCap, gradient: true },
    };
  });

const teach = ({ wide, weight, targets, topK, attributes }: Heads) =>
  runOp(backend, linearCrossEntropyTopK, { x: wide, weight, targets }, { ...attributes, topK });

const softTargetsOf = (heads: Heads): SoftTargets => {
  const { topIds, topLogProbabilities, tailMass } = teach(heads);
  return { topIds, topLogProbabilities, tailMass };
};

const learn = (
  { weight, targets, attributes }: Heads,
  x: ArrayView<'f32'>,
  softTargets: SoftTargets,
  distillation: number,
) => {
  const inputs = { x, weight, targets, ...softTargets };
  return runOp(backend, linearDistillation, inputs, { ...attributes, distillation });
};

/** log softmax of the capped logits of token t, in float64. */
function logProbabilities(x: ArrayView<'f32'>, { weight, attributes: { softCap = 0 } }: Heads, t: number) {
  const logits = Array.from({ length: weight.shape[0] }, (_, c) => {
    let z = 0;
    for (let j = 0; j < HIDDEN; j++) z += hostData(x)[t * HIDDEN + j] * hostData(weight)[c * HIDDEN + j];
    return softCap > 0 ? softCap * Math.tanh(z / softCap) : z;
  });
  const logSum = Math.log(logits.reduce((sum, z) => sum + Math.exp(z), 0));
  return logits.map((z) => z - logSum);
}

describe('the most likely classes', () => {
  it('are those that sorting all classes puts first; their masses and the tail add up to 1', () => {
    fc.assert(
      fc.property(arbitraryHeads, (heads) => {
        const { topIds, topLogProbabilities, tailMass } = teach(heads);
        for (let t = 0; t < TOKENS - 1; t++) {
          const log = logProbabilities(heads.wide, heads, t);
          const sorted = Array.from(log.keys()).sort((a, b) => log[b] - log[a]);
          const range = [t * heads.topK, (t + 1) * heads.topK] as const;
          expect([...hostData(topIds).subarray(...range)]).toEqual(sorted.slice(0, heads.topK));
          const mass = hostData(topLogProbabilities)
            .subarray(...range)
            .reduce((sum, each) => sum + Math.exp(each), hostData(tailMass)[t]);
          expect(Math.abs(mass - 1)).toBeLessThan(heads.topK * 2 ** -22);
        }
        expect(hostData(tailMass)[TOKENS - 1]).toBe(0); // ignored
      }),
    );
  });

  it('leave the bits of loss and gradient as they are without them', () => {
    fc.assert(
      fc.property(arbitraryHeads, (heads) => {
        const { wide: x, weight, targets, attributes } = heads;
        const plain = runOp(backend, linearCrossEntropy, { x, weight, targets }, attributes);
        const { loss, tokenLosses, dx } = teach(heads);
        expect([loss, tokenLosses, dx!].map((view) => hostData(view))).toEqual(
          [plain.loss, plain.tokenLosses, plain.dx!].map((view) => hostData(view)),
        );
      }),
    );
  });

  it.each([0, 1.5, 7])('of %s a token are refused for a vocabulary of 6', (topK) => {
    const inputs = { x: f32View([1, 2]), weight: f32View([6, 2]), targets: i32View([1], [0]) };
    expect(() =>
      runOp(backend, linearCrossEntropyTopK, inputs, {
        computeDtype: 'f32',
        lossScale: 1,
        gradient: false,
        topK,
      }),
    ).toThrow(`topK must be a whole number within 1…6 (got ${topK})`);
  });
});

describe('the divergence', () => {
  it('over all classes is that of the whole distributions', () => {
    fc.assert(
      fc.property(arbitraryHeads, (given) => {
        const heads = { ...given, topK: given.weight.shape[0] };
        const { tokenLosses } = learn(heads, heads.x, softTargetsOf(heads), 1);
        for (let t = 0; t < TOKENS - 1; t++) {
          const p = logProbabilities(heads.wide, heads, t);
          const q = logProbabilities(heads.x, heads, t);
          const divergence = p.reduce((sum, log, c) => sum + Math.exp(log) * (log - q[c]), 0);
          // log p is rounded once to float32
          expect(Math.abs(hostData(tokenLosses)[t] - divergence)).toBeLessThan(1e-5);
        }
      }),
    );
  });

  it('of fewer classes is less: a sum of classes tells less than the classes', () => {
    fc.assert(
      fc.property(arbitraryHeads, (heads) => {
        const all = { ...heads, topK: heads.weight.shape[0] };
        const some = hostData(learn(heads, heads.x, softTargetsOf(heads), 1).tokenLosses);
        const whole = hostData(learn(all, all.x, softTargetsOf(all), 1).tokenLosses);
        for (let t = 0; t < TOKENS; t++) {
          expect(some[t]).toBeLessThanOrEqual(whole[t] + 1e-5);
          expect(some[t]).toBeGreaterThan(-1e-5);
        }
      }),
    );
  });

  it('is finite where the mass of the tail underflows', () => {
    const heads: Heads = {
      wide: f32View([1, 1], [1]),
      x: f32View([1, 1], [400]),
      weight: f32View([2, 1], [1, -1]),
      targets: i32View([1], [0]),
      topK: 1,
      attributes: { computeDtype: 'f32', lossScale: 1, gradient: true },
    };
    const { loss, dx } = learn(heads, heads.x, softTargetsOf(heads), 0.5);
    const p = 1 / (1 + Math.exp(-2));
    const tail = 1 - p;
    // log q is −800 for the tail, and 0 for the other class
    const divergence = p * Math.log(p) + tail * (Math.log(tail) + 800);
    // p and the loss are rounded to float32
    expect(Math.abs(hostData(loss)[0] / (0.5 * divergence) - 1)).toBeLessThan(2 ** -20);
    expect(Math.abs(hostData(dx!)[0] / tail - 1)).toBeLessThan(2 ** -20);
  });

  it('of equal distributions is 0, and has no gradient', () => {
    fc.assert(
      fc.property(arbitraryHeads, (heads) => {
        const { tokenLosses, dx } = learn(heads, heads.wide, softTargetsOf(heads), 1);
        // p is rounded once to float32: 2⁻²⁴ of |log p| ≤ 16, times |W| ≤ 4 in the gradient
        for (const loss of hostData(tokenLosses)) expect(Math.abs(loss)).toBeLessThan(2 ** -20);
        for (const gradient of hostData(dx!)) expect(Math.abs(gradient)).toBeLessThan(2 ** -18);
      }),
    );
  });
});

describe('the loss', () => {
  it('without a divergence is the cross-entropy, and is linear in its share', () => {
    fc.assert(
      fc.property(arbitraryHeads, fc.double({ min: 0, max: 1, noNaN: true }), (heads, share) => {
        const { x, weight, targets, attributes } = heads;
        const softTargets = softTargetsOf(heads);
        const [none, some, all] = [0, share, 1].map((each) => learn(heads, x, softTargets, each));
        const plain = runOp(backend, linearCrossEntropy, { x, weight, targets }, attributes);
        expect(hostData(none.tokenLosses)).toEqual(hostData(plain.tokenLosses));
        for (const name of ['tokenLosses', 'dx'] as const)
          hostData(some[name]!).forEach((value, i) => {
            const mixed = (1 - share) * hostData(none[name]!)[i] + share * hostData(all[name]!)[i];
            expect(Math.abs(value - mixed)).toBeLessThan(1e-5);
          });
      }),
    );
  });

  it('has the gradient that differences of it have', () => {
    fc.assert(
      fc.property(arbitraryHeads, fc.double({ min: 0, max: 1, noNaN: true }), (heads, share) => {
        const softTargets = softTargetsOf(heads);
        const { dx } = learn(heads, heads.x, softTargets, share);
        const lossAt = (i: number, step: number): number => {
          const x = f32View(heads.x.shape, hostData(heads.x).slice());
          hostData(x)[i] += step;
          return hostData(learn(heads, x, softTargets, share).loss)[0];
        };
        const step = 2 ** -6;
        for (let i = 0; i < TOKENS * HIDDEN; i++) {
          const slope = (lossAt(i, step) - lossAt(i, -step)) / (2 * step);
          // truncation step²·f‴ / 6 with f‴ ≤ |W|³, and roundings of the loss and of x over the step
          expect(Math.abs(hostData(dx!)[i] - slope)).toBeLessThan(4e-3);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('refuses ids that are no classes, and a share that is none', () => {
    const inputs = {
      x: f32View([1, 2]),
      weight: f32View([3, 2]),
      targets: i32View([1], [0]),
      topIds: i32View([1, 1], [3]),
      topLogProbabilities: f32View([1, 1]),
      tailMass: f32View([1]),
    };
    const attributes = { computeDtype: 'f32' as const, lossScale: 1, gradient: false };
    expect(() => runOp(backend, linearDistillation, inputs, { ...attributes, distillation: 0.5 })).toThrow(
      'ids of soft targets must be within 0…2 (got 3 at position 0)',
    );
    expect(() => runOp(backend, linearDistillation, inputs, { ...attributes, distillation: 2 })).toThrow(
      'distillation must be a number within 0…1 (got 2)',
    );
  });
});

describe('the operations of a head with a loss', () => {
  it('are not counted if the targets are on a device', () => {
    const arrays = {
      x: shapeOnly('f32', [TOKENS, HIDDEN]),
      weight: shapeOnly('f32', [5, HIDDEN]),
      targets: shapeOnly('i32', [TOKENS]),
    };
    for (const op of [linearCrossEntropy, linearCrossEntropyTopK, linearDistillation])
      expect(op.flops!(arrays as never, { gradient: true } as never)).toBeUndefined();
  });
});

describe('the gradients of a head with a loss', () => {
  it('are sums in float64, rounded once', () => {
    const [tokens, vocabulary] = [200, 150];
    const next = seededNumbers(3);
    const x = randomF32([tokens, 1], next);
    const weight = randomF32([vocabulary, 1], next);
    const targets = i32View([tokens], new Int32Array(tokens));
    const dWeight = f32View([vocabulary, 1]);
    const attributes = { computeDtype: 'f32', lossScale: 1, gradient: true } as const;
    const { dx } = runOp(backend, linearCrossEntropy, { x, weight, targets }, attributes, { dWeight });
    const [xs, ws] = [hostData(x), hostData(weight)];
    const ofLogits = Array.from(xs, (xOf) => {
      const powers = Array.from(ws, (w) => Math.exp(xOf * w));
      const total = powers.reduce((a, b) => a + b);
      return powers.map((power, c) => power / total - (c === 0 ? 1 : 0));
    });
    const rounding = 2 ** -24 + 2 ** -40;
    ofLogits.forEach((row, t) => {
      const exact = row.reduce((sum, gradient, c) => sum + gradient * ws[c], 0);
      expect(Math.abs(hostData(dx!)[t] - exact)).toBeLessThanOrEqual(rounding * Math.abs(exact) + 2 ** -45);
    });
    ws.forEach((_, c) => {
      const exact = ofLogits.reduce((sum, row, t) => sum + row[c] * xs[t], 0);
      expect(Math.abs(hostData(dWeight)[c] - exact)).toBeLessThanOrEqual(
        rounding * Math.abs(exact) + 2 ** -45,
      );
    });
  });
});
