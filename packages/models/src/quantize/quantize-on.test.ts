import { hostData, createHostBackend } from '@qdylora/contract';
import { doubleQuantizeAsBitsandbytes, quantize4bit } from '@qdylora/quant';
import { normalView } from '@qdylora/testing';
import { expect, it } from 'vitest';
import { quantizeOn } from './quantize-on.ts';

it('scales are rounded to the nearest number unless the bytes of bitsandbytes are asked for', async () => {
  const values = hostData(normalView(5, 'w', [4096 * 64]));
  const shape = [4096, 64] as const;
  const { memory, ...backend } = createHostBackend();
  const packed = await Promise.all(
    (['nearest', 'bitsandbytes'] as const).map((scaleRounding) =>
      quantizeOn({ memory, ...backend }, values, shape, { kind: 'nf4', scaleRounding }),
    ),
  );
  const theirs = doubleQuantizeAsBitsandbytes(
    hostData(quantize4bit('nf4', { data: values, shape }, { doubleQuantization: false }).absmax!),
  );
  const nearest = quantize4bit('nf4', { data: values, shape });
  const codes = packed.map(({ doubleQuantized }) => hostData(doubleQuantized!.codes));
  expect(codes).toEqual([hostData(nearest.doubleQuantized!.codes), theirs.codes]);
  expect(codes[0]).not.toEqual(codes[1]);
  expect(packed[1].doubleQuantized!.offset).toBe(theirs.offset);
});
