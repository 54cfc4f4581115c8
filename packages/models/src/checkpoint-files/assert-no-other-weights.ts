import type { Checkpoint, TensorEntry } from '@qdylora/checkpoint';
import { QdyloraError, shapeText } from '@qdylora/contract';

/**
 * How tensors end that change what a layer computes. Masks and inverse frequencies, which older files have,
 * end otherwise or have more sizes.
 */
const WEIGHT_ENDING = /\.(weight|bias)(_scale(_inv)?)?$/;

/**
 * Sees to it that a checkpoint's layers have no weight that the model does not: a bias or a norm that its
 * config leaves out, a layer beyond the last one. The model without them would compute something else, and
 * say nothing. A bias of zeros changes nothing.
 *
 * @param known names of the model's weights
 * @param base the prefix that files saved without a head leave out
 * @throws QdyloraError UNSUPPORTED, with the tensor's name
 */
export function assertNoOtherWeights(
  { name: where, tensors, config: { modelType } }: Pick<Checkpoint, 'name' | 'tensors' | 'config'>,
  known: Iterable<string>,
  base: string,
): void {
  const names = new Set(known);
  const [stack] = [...names]
    .map((name) => /^(.*?)\d+\./.exec(name)?.[1])
    .filter((found) => found !== undefined);
  if (!stack) return;
  for (const entry of tensors.values()) {
    const name =
      entry.name.startsWith(stack) || !stack.startsWith(base) ? entry.name : `${base}${entry.name}`;
    if (
      names.has(name) ||
      !name.startsWith(stack) ||
      !WEIGHT_ENDING.test(name) ||
      entry.shape.length > 2 ||
      isZeroBias(entry)
    )
      continue;
    throw new QdyloraError('UNSUPPORTED', {
      where,
      problem:
        `expected no tensor ${entry.name} in a ${modelType} model of this config, got one ` +
        `${shapeText(entry.shape)}: without it the model would compute something else`,
      nextStep:
        'Does config.json belong to these weights (its model_type, the number of layers, attention_bias, ' +
        'mlp_bias)?',
      details: { name: entry.name },
    });
  }
}

const isZeroBias = (entry: TensorEntry): boolean =>
  entry.name.endsWith('.bias') &&
  ['F32', 'F16', 'BF16', 'F64'].includes(entry.dtype) &&
  entry.readFloat32().every((value) => value === 0);
