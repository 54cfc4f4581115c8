import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  hostData,
  createHostBackend,
  f32View,
  roundToBfloat16,
  runOp,
  toFloat16,
  fromFloat16,
  viewOf,
  type FloatView,
} from '@qdylora/contract';
import { goldenCases, readSafetensors, type GoldenCase } from '@qdylora/testing';
import { goldenSums, sharedPath } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import {
  decodedAbsmax,
  dequantize4bit,
  deserializeBitsandbytes,
  doubleQuantize,
  doubleQuantizeAsBitsandbytes,
  FP4_LEVELS,
  levelSearch,
  levelsOf,
  matmulNf4,
  matmulNf4InputGradient,
  NF4_LEVELS,
  quantize4bit,
  quantizedAttributes,
  quantizedInputs,
  quantizedMatrix,
  serializeBitsandbytes,
  signedDynamicMap,
  unsignedDynamicMap,
} from '../index.ts';

// The repository leaves out sweep.safetensors (1 MB); it is read where shared/fixtures is beside the
// checkout.
const FOLDER = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const sweep = sharedPath('fixtures/quant/sweep.safetensors');
const read = (file: string): Uint8Array =>
  readFileSync(file === 'sweep.safetensors' ? sweep! : FOLDER + file);
const cases = goldenCases(read);
const named = (name: string): GoldenCase => cases.find((c) => c.name === name)!;
const ofFile = (file: string): GoldenCase[] => cases.filter((c) => c.file === file);

const bitsOf = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length);
/** Float32 as the source dtype holds it, zeros without a sign. */
const roundedTo: Record<string, (x: number) => number> = {
  F32: (x) => x + 0,
  BF16: (x) => roundToBfloat16(x) + 0,
  F16: (x) => fromFloat16(toFloat16(x)) + 0,
};
const kindOf = (c: GoldenCase) => c.facts.quant_type as 'nf4' | 'fp4';

function expectSameQuantization(c: GoldenCase): void {
  const data = c.tensor('source').floats();
  const dequantized = c.tensor('dequantized');
  const round = roundedTo[dequantized.dtype];
  const matrix = quantize4bit(
    kindOf(c),
    { data, shape: [1, data.length] },
    { blockSize: c.facts.block_size, doubleQuantization: false },
  );
  expect(hostData(matrix.codes), c.name).toEqual(c.tensor('packed').u8());
  // bitsandbytes' CPU code stores its floor of 1e-38 as the scale of a short block of zeros.
  expect(hostData(matrix.absmax!), c.name).toEqual(
    c
      .tensor('absmax')
      .f32()
      .map((scale) => (scale === Math.fround(1e-38) ? 0 : scale)),
  );
  if (!c.roles.includes('offset'))
    expect(dequantize4bit(matrix).map(round), c.name).toEqual(dequantized.floats().map((x) => x + 0));
}

describe('the golden files', () => {
  it('have the hashes of SHA256SUMS', () => {
    const sums = goldenSums(FOLDER);
    const present = sums.filter(({ hash }) => hash !== null);
    const missing = sums.filter(({ hash }) => hash === null).map(({ file }) => file);
    expect(missing.filter((file) => file !== 'sweep.safetensors')).toEqual([]);
    for (const { file, said, hash } of present) expect(hash, file).toBe(said);
    if (sweep)
      expect(createHash('sha256').update(readFileSync(sweep)).digest('hex')).toBe(
        sums.find(({ file }) => file === 'sweep.safetensors')!.said,
      );
  });
});

describe('tables equal bitsandbytes bit for bit', () => {
  it.each([
    ['nf4', NF4_LEVELS],
    ['fp4', FP4_LEVELS],
  ] as const)('levels and limits of %s', (kind, levels) => {
    const golden = named(`table-${kind}`);
    expect(Float32Array.from(levels)).toEqual(
      golden
        .tensor('levels')
        .f32()
        .map((x) => x + 0),
    );
    expect(levelSearch(levels).limits).toEqual(
      golden
        .tensor('limits')
        .f32()
        .map((x) => x + 0),
    );
  });

  it.each([
    ['signed', signedDynamicMap],
    ['unsigned', unsignedDynamicMap],
  ] as const)('the %s dynamic map', (name, map) => {
    expect(bitsOf(map())).toEqual(bitsOf(named(`dynamic-map-${name}`).tensor('map').f32()));
  });
});

describe('codes, scales and decoded weights equal bitsandbytes bit for bit', () => {
  it('on every level and limit with its float neighbours, and on every bfloat16 in [-1, 1]', () => {
    const all = ofFile('thresholds.safetensors');
    expect(all.length).toBe(14);
    all.forEach(expectSameQuantization);
  });

  it('on odd counts, short tails, straddled rows, zeros, outliers and denormals', () => {
    const all = ofFile('edges.safetensors').filter((c) => !c.facts.informative);
    expect(all.length).toBe(54);
    all.forEach(expectSameQuantization);
  });

  it('on scales at the ends of float32, where bitsandbytes promises nothing', () => {
    const all = ['largest-finite', 'denormal-block', 'near-smallest-normal'].flatMap((name) => [
      named(`${name}-nf4`),
      named(`${name}-fp4`),
    ]);
    all.forEach(expectSameQuantization);
  });

  it('on the matrices of the double quantization cases', () =>
    ofFile('double.safetensors')
      .filter((c) => c.roles.includes('packed'))
      .forEach(expectSameQuantization));

  it('on normal weights from fp32, fp16 and bf16 at every block size', ({ skip }) => {
    skip(sweep === null, 'shared/fixtures is not beside the checkout');
    const all = ofFile('sweep.safetensors');
    expect(all.length).toBe(52);
    all.forEach(expectSameQuantization);
  });
});

describe('what bitsandbytes silently spoils is refused', () => {
  const spoiled = ['one-nan', 'nan-in-tail', 'all-nan', 'plus-inf', 'minus-inf', 'both-inf'];
  it.each(spoiled)('%s', (name) => {
    const data = named(`${name}-nf4`).tensor('source').f32();
    const index = data.findIndex((x) => !Number.isFinite(x));
    for (const kind of ['nf4', 'fp4'] as const) {
      expect(() => quantize4bit(kind, { data, shape: [1, data.length] })).toThrow(
        expect.objectContaining({ code: 'NON_FINITE', details: { index, value: data[index] } }),
      );
    }
  });
});

describe('double quantization', () => {
  const all = ofFile('double.safetensors').filter((c) => c.roles.includes('offset'));

  it.each(all.map((c) => [c.name, c] as const))(
    '%s: the offset is within a unit in the last place of torch, and all else is equal given it',
    (_, c) => {
      const absmax = c.tensor('absmax').f32();
      const offset = c.tensor('offset').f32()[0];
      const ulps = Math.abs(
        bitsOf(Float32Array.of(doubleQuantize(absmax).offset))[0] - bitsOf(Float32Array.of(offset))[0],
      );
      expect(ulps).toBeLessThanOrEqual(1);
      const nested = doubleQuantize(absmax, offset);
      expect(nested.absmax).toEqual(c.tensor('nested_absmax').f32());
      expect(nested.codes).toEqual(c.tensor('absmax_codes_nearest').u8());
      expect(bitsOf(nested.map)).toEqual(bitsOf(named('nested-map').tensor('map').f32()));
    },
  );

  it.each(all.map((c) => [c.name, c] as const))(
    '%s: asked for its bytes, offset, nested scales and codes are those of bitsandbytes',
    (_, c) => {
      const nested = doubleQuantizeAsBitsandbytes(c.tensor('absmax').f32());
      expect(bitsOf(Float32Array.of(nested.offset))).toEqual(bitsOf(c.tensor('offset').f32()));
      expect(bitsOf(nested.absmax)).toEqual(bitsOf(c.tensor('nested_absmax').f32()));
      expect(nested.codes).toEqual(c.tensor('absmax_codes').u8());
    },
  );

  /**
   * Four scales, and their codes where a quotient by the nested scale rounds to another one than the
   * product of bitsandbytes with its reciprocal: about one code in a million. Made by torch 2.13.0+cpu and
   * bitsandbytes 0.50.2 on one thread, `F.quantize_blockwise(a - a.mean(), blocksize=256)[0]` with a = these
   * four again and again, which are from `numpy.random.default_rng(1)`, uniform in 0.05 … 0.25.
   */
  it.each([
    [
      [0.16244716942310333, 0.19007757306098938, 0.1790761500597, 0.10333242267370224],
      [179, 224, 209, 0],
    ],
    [
      [0.0598372220993042, 0.16450533270835876, 0.09672613441944122, 0.210810124874115],
      [4, 212, 38, 255],
    ],
    [
      [0.08597896993160248, 0.1967727392911911, 0.18013383448123932, 0.05391809344291687],
      [30, 247, 231, 0],
    ],
  ])('scales %j have its codes in a short block, in a full one, and in both', (scales, codes) => {
    for (const length of [4, 256, 300])
      expect([
        ...doubleQuantizeAsBitsandbytes(Float32Array.from({ length }, (_, i) => scales[i % 4])).codes,
      ]).toEqual(Array.from({ length }, (_, i) => codes[i % 4]));
  });

  it('nested scales whose reciprocal is infinite have its codes too: 255 above the mean, 0 elsewhere', () => {
    // made as above
    const { codes } = doubleQuantizeAsBitsandbytes(Float32Array.of(1e-39, 3e-39, 2e-39, 2e-39));
    expect([...codes]).toEqual([0, 255, 0, 0]);
  });

  it.each([
    ['Float64Array', Float64Array.of(1, 2)],
    ['Array', [1, 2]],
  ])('scales in a %s are refused', (name, scales) => {
    for (const quantize of [doubleQuantize, doubleQuantizeAsBitsandbytes])
      expect(() => quantize(scales as never)).toThrow(
        `[double-quantize] the block scales must be a Float32Array (got ${name}).`,
      );
  });

  it.each(all.map((c) => [c.name, c] as const))(
    '%s: recorded codes decode to the recorded scales and weights',
    (_, c) => {
      const packed = c.tensor('packed').u8();
      const codes = c.tensor('absmax_codes').u8();
      const nestedAbsmax = c.tensor('nested_absmax').f32();
      const dequantized = c.tensor('dequantized');
      const matrix = quantizedMatrix({
        kind: kindOf(c),
        shape: dequantized.shape as [number, number],
        blockSize: c.facts.block_size,
        levels: f32View([16], levelsOf(kindOf(c))),
        absmax: null,
        codes: viewOf('u8', [packed.length], packed),
        doubleQuantized: {
          codes: viewOf('u8', [codes.length], codes),
          absmax: f32View([nestedAbsmax.length], nestedAbsmax),
          map: f32View([256], named('nested-map').tensor('map').f32()),
          offset: c.tensor('offset').f32()[0],
          blockSize: 256,
        },
      });
      expect(decodedAbsmax(matrix)).toEqual(c.tensor('absmax_decoded').f32());
      expect(dequantize4bit(matrix).map(roundedTo[dequantized.dtype])).toEqual(
        dequantized.floats().map((x) => x + 0),
      );
    },
  );
});

describe('checkpoints', () => {
  const layers = ofFile('linear.safetensors');
  const weightOf = (c: GoldenCase) => ({
    name: `${c.facts.checkpoint_prefix}weight`,
    arrays: readSafetensors(
      read(c.facts.checkpoint ?? `checkpoint-${c.name.slice('linear-'.length)}.safetensors`),
    ),
  });

  it.each(layers.map((c) => [c.name, c] as const))(
    '%s: decodes to the weights that the layer multiplies with',
    (_, c) => {
      const { name, arrays } = weightOf(c);
      const { matrix, sourceDtype } = deserializeBitsandbytes(name, arrays);
      const decoded = c.tensor('weight_decoded');
      expect(sourceDtype).toBe(c.facts.quant_state.dtype);
      expect(matrix.shape).toEqual(c.facts.quant_state.shape);
      expect(dequantize4bit(matrix).map(roundedTo[decoded.dtype])).toEqual(
        decoded.floats().map((x) => x + 0),
      );
    },
  );

  it.each(layers.map((c) => [c.name, c] as const))(
    "%s: written again, names, types, shapes and bytes are bitsandbytes' own",
    (_, c) => {
      const { name, arrays } = weightOf(c);
      const { matrix, sourceDtype } = deserializeBitsandbytes(name, arrays);
      const written = serializeBitsandbytes(name, matrix, { sourceDtype });
      const expected = [...arrays].filter(([key]) => key.startsWith(name));
      expect([...written.keys()].sort()).toEqual(expected.map(([key]) => key).sort());
      for (const [key, { dtype, shape, bytes }] of expected) {
        expect(Uint8Array.from(written.get(key)!.bytes), key).toEqual(bytes);
        if (dtype !== 'BF16')
          expect({ ...written.get(key), bytes: 0 }, key).toEqual({ dtype, shape, bytes: 0 });
      }
    },
  );

  it.each(layers.filter((c) => c.roles.includes('source')).map((c) => [c.name, c] as const))(
    '%s: quantizing the source gives the codes of the file',
    (_, c) => {
      const { name, arrays } = weightOf(c);
      const data = c.tensor('source').floats();
      const { matrix } = deserializeBitsandbytes(name, arrays);
      expect(
        hostData(
          quantize4bit(kindOf(c), { data, shape: matrix.shape }, { doubleQuantization: c.facts.double })
            .codes,
        ),
      ).toEqual(hostData(matrix.codes));
    },
  );

  it.each(layers.filter((c) => c.roles.includes('output')).map((c) => [c.name, c] as const))(
    "%s: output and input gradient are the layer's, within the bound of its rounding",
    (_, c) => {
      const { name, arrays } = weightOf(c);
      const { matrix } = deserializeBitsandbytes(name, arrays);
      const [rows, cols] = matrix.shape;
      const isBf16 = c.facts.compute_dtype === 'bf16';
      const backend = createHostBackend();
      const attributes = { ...quantizedAttributes(matrix), computeDtype: isBf16 ? 'bf16' : 'f32' } as const;
      const weight = quantizedInputs(matrix);
      const x = f32View([6, cols], c.tensor('x').floats());
      const dy = f32View([6, rows], c.tensor('output_gradient').floats());
      const bias = f32View([rows], arrays.get(`${c.facts.checkpoint_prefix}bias`)!.floats());
      const magnitudes = { ...weight, levels: f32View([16], hostData(weight.levels).map(Math.abs)) };
      const abs = (view: typeof x) => f32View(view.shape, hostData(view).map(Math.abs));
      const lastRounding = isBf16 ? 2 * 2 ** -8 : 2 ** -24;
      const expectWithin = (got: FloatView, want: Float32Array, sums: FloatView, terms: number) =>
        hostData(got).forEach((value, i) =>
          expect(Math.abs(value - want[i])).toBeLessThanOrEqual(
            (terms + 1) * 2 ** -24 * hostData(sums)[i] + lastRounding * Math.abs(value),
          ),
        );
      const { y } = runOp(backend, matmulNf4, { x, bias, ...weight }, attributes);
      const { y: ySums } = runOp(
        backend,
        matmulNf4,
        { x: abs(x), bias: abs(bias), ...magnitudes },
        attributes,
      );
      expectWithin(y, c.tensor('output').floats(), ySums, cols);
      const gradient = { ...attributes, accumulate: false };
      const { dx } = runOp(backend, matmulNf4InputGradient, { dy, ...weight }, gradient);
      const { dx: dxSums } = runOp(backend, matmulNf4InputGradient, { dy: abs(dy), ...magnitudes }, gradient);
      expectWithin(dx, c.tensor('input_gradient').floats(), dxSums, rows);
    },
  );
});
