import { hostData, createRng, viewOf, type ArrayView } from '@qdylora/contract';
import { NESTED_BLOCK_SIZE, NF4_LEVELS, type QuantizedInputs } from '@qdylora/quant';
import { normalView } from '../conformance/arbitraries.ts';

/** The arrays of a random 4-bit matrix: any codes, any scales, with or without double quantization. */
export function packedWeight(
  seed: number,
  [rows, cols]: readonly [number, number],
  { blockSize = 64, nested = true }: { readonly blockSize?: number; readonly nested?: boolean } = {},
): QuantizedInputs {
  const blocks = Math.ceil((rows * cols) / blockSize);
  const rng = createRng(seed).named('packed');
  const bytes = (name: string, count: number): ArrayView<'u8'> => {
    const stream = rng.named(name);
    return viewOf(
      'u8',
      [count],
      Uint8Array.from({ length: count }, (_, i) => stream.words(i)[0] & 255),
    );
  };
  const positive = (name: string, count: number): ArrayView<'f32'> => {
    const view = normalView(seed, name, [count], 0.05);
    for (let i = 0; i < count; i++) hostData(view)[i] = Math.abs(hostData(view)[i]) + 0.01;
    return view;
  };
  const codes = bytes('codes', Math.ceil((rows * cols) / 2));
  const levels = viewOf('f32', [16], Float32Array.from(NF4_LEVELS));
  if (!nested) return { codes, levels, absmax: positive('absmax', blocks) };
  return {
    codes,
    levels,
    absmaxCodes: bytes('scales', blocks),
    nestedAbsmax: positive('nested', Math.ceil(blocks / NESTED_BLOCK_SIZE)),
    nestedMap: normalView(seed, 'map', [256], 0.3),
  };
}
