import { createHostBackend, f32View, hostData } from '@qdylora/contract';
import { expect, it } from 'vitest';
import { Parameter } from './parameter.ts';

const { memory } = createHostBackend();

it('a gradient that a caller gave stays the caller’s, and another one is released', () => {
  const parameter = new Parameter('w', f32View([4]));
  const given = memory.allocate('f32', [4]);
  parameter.makeTrainable(memory, given);
  expect(parameter.gradient).toBe(given);
  parameter.freeze(memory);
  expect([parameter.gradient, hostData(given).length]).toEqual([null, 4]);
  memory.release(given);
  const { liveBytes } = memory.usage();
  parameter.makeTrainable(memory);
  expect(memory.usage().liveBytes).toBeGreaterThan(liveBytes);
  parameter.freeze(memory);
  expect(memory.usage().liveBytes).toBe(liveBytes);
});

it('another gradient than the one that a parameter has is refused', () => {
  const parameter = new Parameter('w', f32View([4]));
  parameter.makeTrainable(memory);
  const present = parameter.gradient;
  expect(() => {
    parameter.makeTrainable(memory, memory.allocate('f32', [4]));
  }).toThrow(/w.*has another gradient already/);
  parameter.makeTrainable(memory);
  expect(parameter.gradient).toBe(present);
});
