import { createHostBackend, f32View, hostData } from '@qdylora/contract';
import { packedWeight, quantizeNf4 } from '@qdylora/quant';
import { backward, constant, inferenceContext, leaf, Linear, Parameter, Tape } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { expect, it } from 'vitest';

it.each([leaf, constant])('the bias of a packed layer can be trained', (inputOf) => {
  const backend = createHostBackend();
  const values = hostData(normalView(3, 'w', [4 * 64]));
  const weight = packedWeight(quantizeNf4({ data: values, shape: [4, 64] }));
  const bias = new Parameter('bias', f32View([4], [1, 2, 3, 4]));
  bias.makeTrainable(backend.memory);
  hostData(bias.gradient!).fill(0);
  const tape = new Tape(backend);
  const ctx = { ...inferenceContext(backend), tape };
  // a bias that is trained makes the result need a gradient, whatever x is
  const y = new Linear('layer', weight, bias).forward(ctx, inputOf(normalView(4, 'x', [2, 64])));
  backward(tape, y, { seed: f32View([2, 4], [1, 2, 3, 4, 10, 20, 30, 40]) });
  expect([...hostData(bias.gradient!)]).toEqual([11, 22, 33, 44]);
});
