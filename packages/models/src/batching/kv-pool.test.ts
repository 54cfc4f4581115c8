import { opsOf } from '@qdylora/contract';
import * as tensor from '@qdylora/tensor';
import { createFakeDevice } from '@qdylora/testing';
import { expect, it } from 'vitest';
import { createKvPool } from './kv-pool.ts';

it('a pool on a device has zeros in rows that no sequence has written', async () => {
  const device = createFakeDevice({ ops: opsOf(tensor) });
  const attention = { heads: 2, kvHeads: 1, headDim: 4, scale: 1, window: 0, softCap: 0 } as never;
  using pool = createKvPool(device, [attention], 5);
  const segments = {
    keySegments: device.memory.allocate('i32', [1]),
    ends: device.memory.allocate('i32', [1]),
  };
  const rows = device.memory.allocate('f32', [0, 4]);
  const [cache] = pool.cachesOf([], segments);
  const { k, v } = cache.append(device, rows, rows);
  for (const { view } of [k, v]) expect(await device.memory.read(view)).toEqual(new Float32Array(20));
});
