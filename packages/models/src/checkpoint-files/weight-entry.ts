import type { Checkpoint, TensorEntry } from '@qdylora/checkpoint';
import { QdyloraError, sameShape, shapeText } from '@qdylora/contract';

type Tensors = Pick<Checkpoint, 'name' | 'tensors'>;

/**
 * The name of the weight `name` in a checkpoint: the same, or without `base`, the prefix that files saved
 * without a head leave out.
 */
export const storedName = (name: string, base: string, { tensors }: Tensors): string =>
  !tensors.has(name) && name.startsWith(base) && tensors.has(name.slice(base.length))
    ? name.slice(base.length)
    : name;

/** Name endings of weights that other methods quantized, for checkpoints without a `quantization_config`. */
const PACKED_ENDINGS = { qweight: 'GPTQ or AWQ', weight_packed: 'compressed-tensors', W_q: 'HQQ' } as const;

/** Dtypes of weights that other methods quantized, likewise. */
const PACKED_DTYPES: ReadonlyMap<string, string> = new Map([
  ['I8', 'LLM.int8 or another int8 method'],
  ['F8_E4M3', 'FP8'],
  ['F8_E5M2', 'FP8'],
]);

function assertUnpacked({ name: where, tensors }: Tensors, weight: string): void {
  for (const [ending, method] of Object.entries(PACKED_ENDINGS)) {
    const packed = weight.replace(/weight$/, ending);
    if (tensors.has(packed)) throw quantizedBy(`${method} (${packed})`, where, weight);
  }
}

const quantizedBy = (method: string, where: string, weight: string): QdyloraError =>
  new QdyloraError('UNSUPPORTED', {
    where,
    problem:
      `The weights are quantized with ${method}; ${weight} must be in full precision or in ` +
      'bitsandbytes 4-bit',
    nextStep: 'Start from the unquantized checkpoint.',
    details: { name: weight },
  });

/**
 * The tensor of the weight `name` in a checkpoint.
 *
 * @param shape the shape that the checkpoint must have
 * @throws QdyloraError MISSING_TENSOR, BAD_SHAPE; UNSUPPORTED if another method has quantized the weight
 */
export function weightEntry(
  checkpoint: Tensors,
  base: string,
  name: string,
  shape: readonly number[],
): TensorEntry {
  const entry = checkpoint.tensors.get(storedName(name, base, checkpoint));
  const where = checkpoint.name;
  if (!entry) assertUnpacked(checkpoint, name);
  if (!entry)
    throw new QdyloraError('MISSING_TENSOR', {
      where,
      problem: `The checkpoint has no tensor ${name} ${shapeText(shape)}`,
      nextStep: 'Check whether it is complete, and of the architecture that its config names.',
      details: { name },
    });
  const method = PACKED_DTYPES.get(entry.dtype);
  if (method !== undefined) throw quantizedBy(`${method} (dtype ${entry.dtype})`, where, name);
  if (!sameShape(entry.shape, shape))
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem: `The tensor ${name} is ${shapeText(entry.shape)}; the model needs ${shapeText(shape)}`,
      nextStep: 'Check whether config.json belongs to these weights.',
      details: { name },
    });
  return entry;
}
