import { hostData, viewOf } from '@qdylora/contract';
import { dequantizeGgml, GGML_BLOCKS } from '@qdylora/quant';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const count = 2048 * 2048;
for (const [type, { length, bytes }] of GGML_BLOCKS) {
  // Noise has NaN among its scales; bytes below 0x78 give finite ones for every place of a scale.
  const noise = hostData(normalView(1, type, [(count / length) * bytes]));
  const blocks = viewOf(
    'u8',
    [noise.length],
    Uint8Array.from(noise, (x) => Math.abs(Math.trunc(x * 50)) % 0x78),
  );
  await benchKernel(dequantizeGgml, [
    {
      label: `${type} ${count} values`,
      inputs: { blocks },
      attributes: { type, shape: [count] },
      bytes: noise.length + 4 * count,
      bound: () => 0,
    },
  ]);
}
