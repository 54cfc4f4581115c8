import { QdyloraError, shownValue } from '@qdylora/contract';
import { BLOCK_SIZES } from '../blocks/block-size.ts';
import { QUANTIZATION_KINDS, type QuantizationKind } from '../codebooks/levels-of.ts';
import { NESTED_BLOCK_SIZE } from '../blocks/double-quantize.ts';
import { isMatrixShape } from '../matrix/quantized-matrix.ts';

export const SOURCE_DTYPES = ['float16', 'bfloat16', 'float32'] as const;

/** Dtype of a weight before quantization. Readers decode to it by default. */
export type SourceDtype = (typeof SOURCE_DTYPES)[number];

/** The JSON state that bitsandbytes stores beside a quantized weight. */
export interface QuantState {
  readonly kind: QuantizationKind;
  readonly blockSize: number;
  readonly sourceDtype: SourceDtype;
  /** [rows, cols]: the packed array has lost it. */
  readonly shape: readonly [number, number];
  /** Null without double quantization. */
  readonly nestedOffset: number | null;
}

/** A state has 120 to 180 bytes; anything much longer is no state. */
const LARGEST_STATE_BYTES = 4096;

/** The state as bitsandbytes writes it: ASCII JSON with its order of keys and the separators of Python. */
export function quantStateBytes({
  kind,
  blockSize,
  sourceDtype,
  shape,
  nestedOffset,
}: QuantState): Uint8Array {
  const plain =
    `{"quant_type": "${kind}", "blocksize": ${blockSize}, "dtype": "${sourceDtype}", "shape": ` +
    `[${shape.join(', ')}]`;
  const nested =
    nestedOffset === null
      ? ''
      : `, "nested_blocksize": ${NESTED_BLOCK_SIZE}, "nested_dtype": "float32", "nested_offset": ` +
        `${pythonFloat(nestedOffset)}`;
  return Uint8Array.from(`${plain}${nested}}`, (character) => character.charCodeAt(0));
}

/**
 * A number as Python writes a float: with an exponent of at least two digits below 1e-4 and from 1e16 on. `1`
 * would be an int there, and so in PyTorch.
 */
function pythonFloat(x: number): string {
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) return x.toExponential().replace(/(?<=e[+-])(?=\d$)/, '0');
  return Number.isInteger(x) ? x.toFixed(1) : String(x);
}

/**
 * Reads a state strictly. NUL bytes at the end, which some writers add, are ignored.
 *
 * @throws QdyloraError BAD_FILE naming the field
 */
export function parseQuantState(name: string, bytes: Uint8Array): QuantState {
  const fields = parseJson(name, bytes);
  const field = <T>(key: string, expected: string, isRight: (value: unknown) => value is T): T => {
    if (isRight(fields[key])) return fields[key];
    throw badState(name, `${key} in ${name} must be ${expected} (got ${shownValue(fields[key])})`);
  };
  const isNested = fields.nested_offset !== undefined;
  if (isNested) field('nested_blocksize', String(NESTED_BLOCK_SIZE), oneOf([NESTED_BLOCK_SIZE]));
  return {
    kind: field('quant_type', `one of ${QUANTIZATION_KINDS.join(', ')}`, oneOf(QUANTIZATION_KINDS)),
    blockSize: field('blocksize', `one of ${BLOCK_SIZES.join(', ')}`, oneOf(BLOCK_SIZES)),
    sourceDtype: field('dtype', `one of ${SOURCE_DTYPES.join(', ')}`, oneOf(SOURCE_DTYPES)),
    shape: field('shape', 'two whole numbers ≥ 1', isMatrixShape),
    nestedOffset: isNested ? Math.fround(field('nested_offset', 'a finite number', isFiniteNumber)) : null,
  };
}

function parseJson(name: string, bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length > LARGEST_STATE_BYTES)
    throw badState(name, `${name} must have at most ${LARGEST_STATE_BYTES} bytes (got ${bytes.length})`);
  const text = String.fromCharCode(...bytes).replace(/\0+$/, '');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw badState(name, `${name} must be JSON (got ${shownValue(text)})`, cause);
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
    return parsed as Record<string, unknown>;
  throw badState(name, `${name} must be a JSON object (got ${text.slice(0, 80)})`);
}

const oneOf =
  <T>(allowed: readonly T[]) =>
  (value: unknown): value is T =>
    allowed.includes(value as T);
const isFiniteNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(Math.fround(value));
const badState = (name: string, problem: string, cause?: unknown): QdyloraError =>
  new QdyloraError('BAD_FILE', {
    where: 'bitsandbytes',
    problem,
    nextStep: 'Quantize the model again, or download it again.',
    details: { name },
    cause,
  });
