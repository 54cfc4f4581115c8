import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hostData, createHostBackend } from '@qdylora/contract';
import { goldenCases, type GoldenCase } from '@qdylora/testing';
import { goldenSums } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { parameterOf } from '../../test/tiny-model.ts';
import { clipCoefficient, globalNorm, sumSquares } from '../step/clip-by-global-norm.ts';
import { adamw } from './adamw.ts';

const FOLDER = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const read = (file: string): Uint8Array => readFileSync(FOLDER + file);
const cases = goldenCases(read).filter(({ file }) => file === 'adamw.safetensors');

/** Runs the case's 20 steps; `after` holds the weights after each. */
function replay(golden: GoldenCase) {
  const { betas, eps, weight_decay: weightDecay, lr, clip_norm: clip } = golden.facts;
  const backend = createHostBackend();
  const names = Object.keys(golden.facts.parameters);
  const parameters = names.map((name) =>
    parameterOf(name, golden.facts.parameters[name], golden.tensor(`start:${name}`).f32()),
  );
  const optimizer = adamw(parameters, {
    learningRate: lr,
    beta1: betas[0],
    beta2: betas[1],
    epsilon: eps,
    weightDecay,
    decays: () => true,
  });
  const rates = golden.tensor('learning_rates').f64();
  const after: Float32Array[][] = [];
  const norms: number[] = [];
  optimizer.prepare(backend);
  for (let step = 0; step < golden.facts.steps; step++) {
    parameters.forEach(({ name, gradient }) => {
      hostData(gradient!).set(
        golden
          .tensor(`gradients:${name}`)
          .f32()
          .subarray(step * hostData(gradient!).length, (step + 1) * hostData(gradient!).length),
      );
    });
    const sums = backend.memory.allocate('f32', [parameters.length]);
    sumSquares(
      backend,
      parameters.map(({ gradient }) => gradient!),
      sums,
    );
    norms.push(globalNorm(hostData(sums)));
    optimizer.step({
      learningRate: rates[step],
      gradientScale: clipCoefficient(norms.at(-1)!, clip),
      rows: null,
    });
    after.push(parameters.map(({ view }) => Float32Array.from(hostData(view) as Float32Array)));
  }
  return { names, after, norms, states: optimizer.state().arrays };
}

const largest = (values: Iterable<number>): number => Math.max(...Array.from(values, Math.abs));
const worst = (got: ArrayLike<number>, want: ArrayLike<number>): number =>
  largest(Array.from(got, (value, i) => value - want[i]));

describe('AdamW against torch 2.13', () => {
  it('has golden files with the hashes of SHA256SUMS', () => {
    const sums = goldenSums(FOLDER);
    expect(sums.length).toBe(5);
    for (const { file, said, hash } of sums) expect(hash, file).toBe(said);
  });

  it('has twelve cases', () => {
    expect(cases.length).toBe(12);
  });

  it.each(cases.map((golden) => [golden.name, golden] as const))(
    "%s: weights after 1, 2 and 20 steps are torch's",
    (_, golden) => {
      const { names, after } = replay(golden);
      const top = largest(names.flatMap((name) => [...golden.tensor(`start:${name}`).f32()]));
      for (const step of [1, 2, 20]) {
        const bound = step * (3 * top + 40 * Math.sqrt(step) * golden.facts.lr) * 2 ** -24; // the manifest's
        names.forEach((name, i) => {
          expect(
            worst(after[step - 1][i], golden.tensor(`after_${step}:${name}`).f32()),
            `${name} after ${step}`,
          ).toBeLessThanOrEqual(bound);
        });
      }
    },
  );

  it.each(cases.map((golden) => [golden.name, golden] as const))(
    "%s: moments after 20 steps are torch's",
    async (_, golden) => {
      const { names, states } = replay(golden);
      for (const name of names) {
        // Three roundings a step of values no larger than the largest gradient (its square); torch clips in
        // float32: one more.
        const top = largest(golden.tensor(`gradients:${name}`).f32());
        const bound = 20 * 4 * 2 ** -24;
        expect(
          worst(await states.get(`${name}.m`)!.read(), golden.tensor(`m_after_20:${name}`).f32()),
          `m of ${name}`,
        ).toBeLessThanOrEqual(bound * top);
        expect(
          worst(await states.get(`${name}.v`)!.read(), golden.tensor(`v_after_20:${name}`).f32()),
          `v of ${name}`,
        ).toBeLessThanOrEqual(2 * bound * top * top);
      }
    },
  );

  it.each(cases.filter(({ facts }) => facts.clip_norm).map((golden) => [golden.name, golden] as const))(
    "%s: the norm before clipping is clip_grad_norm_'s",
    (_, golden) => {
      const { norms, names } = replay(golden);
      const want = golden.tensor('total_norms').f32();
      const elements = names.reduce((sum, name) => sum + golden.tensor(`start:${name}`).f32().length, 0);
      norms.forEach((norm, step) => {
        expect(Math.abs(norm - want[step])).toBeLessThanOrEqual(elements * 2 ** -24 * want[step]);
      });
    },
  );
});
