import { createHostBackend, f32View } from '@qdylora/contract';
import { Linear, Parameter } from '@qdylora/tensor';
import { expect, test } from 'vitest';
import { adaptedToy, toy, type Toy } from '../../test/adapted-toy.ts';
import { attachDyLora, groupFrozenLayers } from '../index.ts';

const layer = (name: string): Linear => new Linear(name, new Parameter(`${name}.weight`, f32View([4, 4])));
const attention = (): Toy =>
  toy(createHostBackend(), { first: layer('block.q_proj'), second: layer('block.k_proj') });
const refused = (message: RegExp, code = 'BAD_ARGUMENT') =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string });

test('targets are matched as PEFT matches them, and what is left out is reported', () => {
  const backend = createHostBackend();
  const model = toy(backend, {
    first: new Linear('m.q_proj', new Parameter('w', f32View([2, 2]))),
    second: new Linear('m.xq_proj', new Parameter('v', f32View([2, 2]))),
  });
  expect(attachDyLora(model, { ranks: [1], targetModules: ['q_proj'] }).report).toMatchObject({
    matched: ['m.q_proj'],
    unmatched: ['m.xq_proj'],
  });
  expect(attachDyLora(model, { ranks: [1], targetModules: '.*q_proj' }).report.matched).toHaveLength(2);
  expect(attachDyLora(model, { ranks: [4] }).report.widerThanLayer).toHaveLength(2);
  expect(() => attachDyLora(model, { ranks: [1], targetModules: ['v_proj'] })).toThrowError(
    /This model has: q_proj, xq_proj/,
  );
  expect(() => attachDyLora(model, { ranks: [1], targetModules: '((' })).toThrowError(
    refused(/\(\( is not a regular expression/),
  );
});

test('a model that does not replace the layers that match is refused', () => {
  expect(() => attachDyLora<Toy>({ ...attention(), withModules: attention }, { ranks: [1, 2] })).toThrow(
    refused(/2 layers match, but the model replaced 0\. Its `withModules` must replace all linear layers/),
  );
});

test('a model whose layers are all grouped or adapted is refused as such', () => {
  const adapted = attachDyLora(attention(), { ranks: [1, 2] }).model;
  for (const model of [groupFrozenLayers(attention()), adapted])
    for (const targetModules of ['all-linear', ['q_proj']])
      expect(() => attachDyLora(model, { ranks: [1, 2], targetModules })).toThrow(
        refused(
          /all linear layers .* are grouped or have adapters already\. Attach adapters to the model itself/,
        ),
      );
});

test('adapters are attached to the layers that have none yet', () => {
  const { model } = attachDyLora(attention(), { ranks: [1], targetModules: ['q_proj'] });
  expect(attachDyLora(model, { ranks: [1] }).report.matched).toEqual(['block.k_proj']);
});

test('an adapter loaded from its state is the same; one for other shapes is refused by name', async () => {
  const adapted = adaptedToy(1);
  const state = await adaptedToy(2).state();
  expect(await adapted.state()).not.toEqual(state);
  await adapted.load(state);
  expect(await adapted.state()).toEqual(state);
  await expect(
    adapted.load({ ...state, layers: state.layers.map((l) => ({ ...l, a: l.a.slice(1) })) }),
  ).rejects.toThrowError(/A of first must have 48 numbers \[8, 6\] \(got 47\)/);
  await expect(adapted.load({ ...state, layers: state.layers.slice(1) })).rejects.toThrowError(
    /the adapter has nothing for the layer first/,
  );
});

test('the state of an adapter with another alpha or scaling, or with NaN, is refused', async () => {
  const from = attachDyLora(attention(), { ranks: [1, 2], alpha: 64, seed: 1 });
  const into = attachDyLora(attention(), { ranks: [1, 2], alpha: 8 });
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
      layers: state.layers.map((layer) => ({ ...layer, a: layer.a.map(() => NaN) })),
    }),
  ).rejects.toThrow(refused(/A of block\.q_proj has numbers that are not finite/, 'BAD_ADAPTER'));
  expect((await into.state()).layers[0].a).not.toEqual(state.layers[0].a);
  await into.load({ ...state, alpha: 8 });
  expect((await into.state()).layers[0].a).toEqual(state.layers[0].a);
});
