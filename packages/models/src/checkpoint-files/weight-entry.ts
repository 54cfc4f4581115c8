import type { Checkpoint, TensorEntry } from '@qdylora/checkpoint';
import { QdyloraError, sameShape, shapeText } from '@qdylora/contract';

type Tensors = Pick<Checkpoint, 'name' | 'tensors'>;

/**
 * The name under which a checkpoint has the weight `name`: as it is, or without `base`, the prefix that files
 * saved without a head leave out.
 */
export const storedName = (name: string, base: string, { tensors }: Tensors): string =>
  !tensors.has(name) && name.startsWith(base) && tensors.has(name.slice(base.length))
    ? name.slice(base.length)
    : name;

/**
 * How other ways to quantize name what they make of a weight, also where no `quantization_config` says so.
 */
const PACKED_ENDINGS = { qweight: 'GPTQ or AWQ', weight_packed: 'compressed-tensors', W_q: 'HQQ' } as const;

function assertUnpacked({ name: where, tensors }: Tensors, weight: string): void {
  for (const [ending, method] of Object.entries(PACKED_ENDINGS)) {
    const packed = weight.replace(/weight$/, ending);
    if (tensors.has(packed))
      throw new QdyloraError('UNSUPPORTED', {
        where,
        problem:
          `expected the tensor ${weight} in full precision or in bitsandbytes 4-bit, got ${packed}, ` +
          `as ${method} quantizes it`,
        nextStep: 'Start from the unquantized checkpoint.',
        details: { name: weight },
      });
  }
}

/**
 * The tensor of the weight `name`, whose shape must be the stored one. @throws QdyloraError MISSING_TENSOR,
 * BAD_SHAPE
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
      problem: `expected the tensor ${name} ${shapeText(shape)} in the checkpoint, got none`,
      nextStep: 'Is it complete, and of the architecture that its config names?',
      details: { name },
    });
  if (!sameShape(entry.shape, shape))
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem: `expected ${shapeText(shape)} for ${name}, got ${shapeText(entry.shape)}`,
      nextStep: 'Does config.json belong to these weights?',
      details: { name },
    });
  return entry;
}
