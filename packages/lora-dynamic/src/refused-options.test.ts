import { createHostBackend, createRng, f32View } from '@qdylora/contract';
import { Linear, mapLinears, Parameter, type LinearLike } from '@qdylora/tensor';
import { describe, expect, it } from 'vitest';
import { attachDyLora, rankSampler, rankSet, type AdaptableModel } from './index.ts';

interface Toy extends AdaptableModel<Toy> {
  readonly modules: { readonly q: LinearLike; readonly k: LinearLike };
}

const over = (modules: Toy['modules']): Toy => ({
  backend: createHostBackend(),
  modules,
  withModules: (replace) => over(mapLinears(modules, replace)),
});
const layer = (name: string): Linear => new Linear(name, new Parameter(`${name}.weight`, f32View([4, 4])));
const toy = (): Toy => over({ q: layer('block.q_proj'), k: layer('block.k_proj') });
const refused = (message: RegExp, code = 'BAD_ARGUMENT') =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string });

describe('attachDyLora refuses', () => {
  it.each([
    [{ ranks: [1, 2], lora_alpha: 64 }, /there is no option `lora_alpha`/],
    [
      { ranks: [1, 2], target_modules: ['q_proj'] },
      /there is no option `target_modules`\. Did you mean `targetModules`\?/,
    ],
    [{ alpha: 8 }, /`ranks` is missing: it must be a list of ranks/],
    [{ ranks: 5 }, /`ranks` must be a list of ranks.*\(got 5\)/],
    [{ ranks: [1], targetModules: 5 }, /`targetModules` must be .*\(got 5\)/],
    [{ ranks: [1], alpha: '16' }, /\[lora_alpha\] `alpha` must be a number > 0 \(got "16"\)/],
    [{ ranks: [1], dropout: '0.1' }, /`dropout` must be .*\(got "0\.1"\)/],
    [{ ranks: [1], seed: 0.3 }, /`seed` must be a whole number ≥ 0 \(got 0\.3\)/],
    [
      { ranks: [1], targetModules: ['q_proj', 'k_porj'] },
      /no linear layer matches \["k_porj"\].*q_proj, k_proj/,
    ],
  ])('%j', (config, message) => {
    expect(() => attachDyLora(toy(), config as never)).toThrow(refused(message));
  });

  it('a model whose layers it does not reach', () => {
    expect(() => attachDyLora<Toy>({ ...toy(), withModules: toy }, { ranks: [1, 2] })).toThrow(
      refused(/2 layers match, but the model replaced 0\. Attach adapters first, then group layers/),
    );
  });
});

it(
  'numbers of an adapter of another alpha or scaling, or that are none, are refused: it would compute ' +
    'something else',
  async () => {
    const from = attachDyLora(toy(), { ranks: [1, 2], alpha: 64 });
    const into = attachDyLora(toy(), { ranks: [1, 2], alpha: 8 });
    const state = await from.state();
    await expect(into.load(state)).rejects.toThrow(
      refused(/the adapter must have alpha 8 and scaling sqrt, .*\(got 64 and sqrt\)/, 'BAD_ADAPTER'),
    );
    await expect(into.load({ ...state, alpha: 8, scaling: 'paper' as never })).rejects.toThrow(
      refused(/\(got 8 and paper\)/, 'BAD_ADAPTER'),
    );
    await expect(
      into.load({
        ...state,
        alpha: 8,
        layers: state.layers.map((own) => ({ ...own, a: own.a.map(() => NaN) })),
      }),
    ).rejects.toThrow(refused(/A of block\.q_proj has numbers that are not finite/, 'BAD_ADAPTER'));
    await into.load({ ...state, alpha: 8 });
    expect((await into.state()).layers[0].a).toEqual(state.layers[0].a);
  },
);

it.each([
  [[]],
  [[{ until: 0, rank: 1 }]],
  [
    [
      { until: 5, rank: 1 },
      { until: 5, rank: 2 },
    ],
  ],
  [[{ until: 5, rank: 1, weight: -1 }]],
  [[{ until: 2.5, rank: 1 }]],
])('parts %j of a pass are refused', (parts) => {
  expect(() => attachDyLora(toy(), { ranks: [1, 2] }).atRanks(parts)).toThrow(
    refused(/\[atRanks\] the ends of the parts must rise, and their weights be > 0/),
  );
});

it('a sampler without a seed, or with a misspelt option, is refused', () => {
  expect(() => rankSampler(rankSet([1, 2]), {} as never)).toThrow(
    refused(/`seed` is missing: it must be a whole number ≥ 0/),
  );
  expect(() => rankSampler(rankSet([1, 2]), { seed: 1, distrbution: 'uniform' } as never)).toThrow(
    refused(/Did you mean `distribution`\?/),
  );
});

it.each([[0.3], [-1], [NaN], ['abc'], [null], [2 ** 53]])(
  'the seed %o, which would be another one, is refused',
  (seed) => {
    expect(() => createRng(seed as number)).toThrow(
      refused(/the seed must be a whole number within 0…2⁵³ − 1/),
    );
  },
);
