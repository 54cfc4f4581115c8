import { readFileSync } from 'node:fs';
import { hostData, createHostBackend, f32View, runOp, viewOf } from '@qdylora/contract';
import { signedDynamicMap, unsignedDynamicMap } from '@qdylora/quant';
import {
  adamw8bitRates,
  adamw8bitStep,
  codeLimits,
  encodeStateBlock,
  STATE_BLOCK_SIZE,
} from '@qdylora/tensor';
import { goldenCases, type GoldenCase } from '@qdylora/testing';
import { describe, expect, it } from 'vitest';

const cases = goldenCases((file) => readFileSync(new URL(`../../fixtures/${file}`, import.meta.url)));
const exact = cases.filter(({ name }) => name.endsWith('exact-nearest'));
const steps = exact.filter(({ file }) => file === 'adamw-8bit.safetensors');
const encodings = exact.filter(({ file }) => file === 'maps.safetensors');
const MAPS = { mMap: f32View([256], signedDynamicMap()), vMap: f32View([256], unsignedDynamicMap()) };

/** The state after `step` steps, as one row. */
function recorded(golden: GoldenCase, step: number) {
  const n = golden.facts.elements as number;
  const blocks = Math.ceil(n / STATE_BLOCK_SIZE);
  const f32 = (role: string, size: number) =>
    f32View([1, size], golden.tensor(`${role}:${step}`).f32().slice());
  const u8 = (role: string) => viewOf('u8', [1, n], golden.tensor(`${role}:${step}`).u8().slice());
  return {
    parameter: f32('parameter', n),
    mCodes: u8('m_codes'),
    mAbsmax: f32('m_absmax', blocks),
    vCodes: u8('v_codes'),
    vAbsmax: f32('v_absmax', blocks),
  };
}

/** One step of ours from the recorded state before it. */
function stepFrom(golden: GoldenCase, step: number, outputs = recorded(golden, step - 1)) {
  const {
    lr: learningRate,
    betas: [beta1, beta2],
    eps: epsilon,
    weight_decay: weightDecay,
    elements: n,
  } = golden.facts;
  const gradient = f32View(
    [1, n],
    golden
      .tensor('gradients')
      .f32()
      .slice((step - 1) * n, step * n),
  );
  const update = { learningRate, weightDecay, step, gradientScale: 1 };
  const rates = f32View([4], adamw8bitRates({ beta1, beta2, epsilon }, update));
  runOp(createHostBackend(), adamw8bitStep, { gradient, rates, ...MAPS }, { beta1, beta2 }, outputs);
  return { gradient, outputs };
}

/** Moments in float64 from the recorded state before the step. */
function moments(golden: GoldenCase, step: number) {
  const { mCodes, mAbsmax, vCodes, vAbsmax } = recorded(golden, step - 1);
  const { gradient } = stepFrom(golden, step);
  const [beta1, beta2] = golden.facts.betas;
  const of = (i: number) => i >> 8;
  const m = Float64Array.from(
    hostData(mCodes),
    (code, i) => hostData(MAPS.mMap)[code] * hostData(mAbsmax)[of(i)],
  );
  const v = Float64Array.from(
    hostData(vCodes),
    (code, i) => hostData(MAPS.vMap)[code] * hostData(vAbsmax)[of(i)],
  );
  return {
    old: m,
    first: m.map((x, i) => beta1 * x + (1 - beta1) * hostData(gradient)[i]),
    second: v.map((x, i) => beta2 * x + (1 - beta2) * hostData(gradient)[i] ** 2),
    gradient,
  };
}

/** True where a value is so near to a limit beside its code that rounding decides. */
const isOnLimit = (x: number, code: number, limits: Float32Array): boolean =>
  [code - 1, code].some(
    (at) => at >= 0 && at < 255 && Math.abs(x - limits[at]) <= 4 * 2 ** -24 * Math.abs(limits[at]),
  );

describe('8-bit AdamW against bitsandbytes 0.50 with exact rounding', () => {
  it('has its four cases', () => {
    expect(steps.map(({ name }) => name)).toEqual(
      ['plain', 'decades', 'sparse', 'one-block'].map((kind) => `adamw8-${kind}-exact-nearest`),
    );
  });

  const each = steps.flatMap((golden) => [1, 2, 20].map((step) => [golden.name, step, golden] as const));
  it.each(each)('%s: step %i from the recorded state moves the parameters as theirs', (_, step, golden) => {
    const { outputs } = stepFrom(golden, step);
    const before = hostData(recorded(golden, step - 1).parameter);
    const want = hostData(recorded(golden, step).parameter);
    const { old, second, gradient } = moments(golden, step);
    const {
      lr,
      betas: [beta1, beta2],
      eps,
    } = golden.facts;
    const u = 2 ** -24;
    want.forEach((value, i) => {
      const bound =
        3 * u * Math.abs(before[i]) +
        (16 * u * lr * (beta1 * Math.abs(old[i]) + (1 - beta1) * Math.abs(hostData(gradient)[i]))) /
          (1 - beta1 ** step) /
          (Math.sqrt(second[i] / (1 - beta2 ** step)) + eps);
      expect(Math.abs(hostData(outputs.parameter)[i] - value), `element ${i}`).toBeLessThanOrEqual(
        bound + u * Math.abs(value),
      );
    });
  });

  it.each(each)(
    '%s: step %i leaves their scales, and their codes but where rounding decides or a second moment would ' +
      'have become 0',
    (_, step, golden) => {
      const { outputs } = stepFrom(golden, step);
      const want = recorded(golden, step);
      const { first, second } = moments(golden, step);
      for (const name of ['mAbsmax', 'vAbsmax'] as const)
        hostData(want[name]).forEach((absmax, i) => {
          expect(Math.abs(hostData(outputs[name])[i] - absmax)).toBeLessThanOrEqual(8 * 2 ** -24 * absmax);
        });
      const mLimits = codeLimits(hostData(MAPS.mMap));
      const vLimits = codeLimits(hostData(MAPS.vMap));
      hostData(want.mCodes).forEach((code, i) => {
        if (hostData(outputs.mCodes)[i] !== code)
          expect(isOnLimit(first[i] / hostData(want.mAbsmax)[i >> 8], code, mLimits), `m ${i}`).toBe(true);
      });
      hostData(want.vCodes).forEach((code, i) => {
        const own = hostData(outputs.vCodes)[i];
        if (code === 0 && own === 1)
          expect(second[i]).toBeGreaterThan(0); // the guard
        else if (own !== code)
          expect(isOnLimit(second[i] / hostData(want.vAbsmax)[i >> 8], code, vLimits), `v ${i}`).toBe(true);
      });
    },
  );

  it.each(encodings.map((golden) => [golden.name, golden] as const))(
    '%s: every code is theirs',
    (_, golden) => {
      const map = hostData(golden.name.includes('unsigned') ? MAPS.vMap : MAPS.mMap);
      const values = golden.tensor('values').f32();
      const codes = new Uint8Array(values.length);
      const absmax = new Float32Array(Math.ceil(values.length / STATE_BLOCK_SIZE));
      for (let block = 0; block < absmax.length; block++) {
        const from = block * STATE_BLOCK_SIZE;
        const own = values.subarray(from, from + STATE_BLOCK_SIZE);
        encodeStateBlock(
          { codes, absmax, map, limits: codeLimits(map) },
          { from, count: own.length, block },
          Float64Array.from(own),
        );
      }
      // Their scale of a block of zeros is 1e-38 here and there; its codes are those of 0 either way.
      expect(absmax).toEqual(
        golden
          .tensor('absmax')
          .f32()
          .map((scale) => (scale < 1e-37 ? 0 : scale)),
      );
      expect(codes).toEqual(golden.tensor('codes').u8());
    },
  );
});

describe('the guard', () => {
  it(
    'keeps 20 steps over 15 decades of gradients as near to 32-bit AdamW as a code is to its number, ' +
      'where exact rounding without it ends 2.7 away',
    () => {
      const golden = steps.find(({ name }) => name.includes('decades'))!;
      const {
        elements: n,
        lr,
        betas: [beta1, beta2],
        eps,
      } = golden.facts;
      const state = recorded(golden, 0);
      const p = Float64Array.from(hostData(state.parameter));
      const m = new Float64Array(n);
      const v = new Float64Array(n);
      for (let step = 1; step <= 20; step++) {
        const { gradient } = stepFrom(golden, step, state);
        for (let i = 0; i < n; i++) {
          const g = hostData(gradient)[i];
          m[i] = beta1 * m[i] + (1 - beta1) * g;
          v[i] = beta2 * v[i] + (1 - beta2) * g * g;
          p[i] -= (lr * m[i]) / (1 - beta1 ** step) / (Math.sqrt(v[i] / (1 - beta2 ** step)) + eps);
        }
      }
      expect(golden.facts.distance_to_32bit_after_20.largest).toBeGreaterThan(2.6);
      // Twenty steps of at most a few learning rates each: nothing leaps.
      expect(Math.max(...p.map((value, i) => Math.abs(value - hostData(state.parameter)[i])))).toBeLessThan(
        20 * lr,
      );
    },
  );
});
