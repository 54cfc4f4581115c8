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

function assertUnpacked({ name: where, tensors }: Tensors, weight: string): void {
  for (const [ending, method] of Object.entries(PACKED_ENDINGS)) {
    const packed = weight.replace(/weight$/, ending);
    if (tensors.has(packed))
      throw new QdyloraError('UNSUPPORTED', {
        where,
        problem:
          `The weights are quantized with ${method} (${packed}); ${weight} must be in full precision or in ` +
          'bitsandbytes 4-bit',
        nextStep: 'Start from the unquantized checkpoint.',
        details: { name: weight },
      });
  }
}

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
  if (!sameShape(entry.shape, shape))
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem: `The tensor ${name} is ${shapeText(entry.shape)}; the model needs ${shapeText(shape)}`,
      nextStep: 'Check whether config.json belongs to these weights.',
      details: { name },
    });
  return entry;
}
