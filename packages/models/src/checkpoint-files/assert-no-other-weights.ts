import type { Checkpoint, TensorEntry } from '@qdylora/checkpoint';
import { QdyloraError, shapeText } from '@qdylora/contract';

/**
 * Name endings of tensors that change what a layer computes. The masks and inverse frequencies of older files
 * have other endings or more dimensions.
 */
const WEIGHT_ENDING = /\.(weight|bias)(_scale(_inv)?)?$/;

/** Those of weights that another method than bitsandbytes 4-bit quantized. */
const SCALE_ENDING = /_scale(_inv)?$/;

/**
 * Refuses a checkpoint whose layers have a weight that the model does not use: a bias or a norm that its
 * config leaves out, a layer beyond the last one. Without it the model would silently compute something
 * else. A bias of zeros is accepted.
 *
 * @param modelWeights names of the model's weights
 * @param base the prefix that files saved without a head leave out
 * @throws QdyloraError UNSUPPORTED with the tensor's name
 */
export function assertNoOtherWeights(
  { name: where, tensors, config: { modelType } }: Pick<Checkpoint, 'name' | 'tensors' | 'config'>,
  modelWeights: Iterable<string>,
  base: string,
): void {
  const names = new Set(modelWeights);
  const [stack] = [...names]
    .map((name) => /^(.*?)\d+\./.exec(name)?.[1])
    .filter((prefix) => prefix !== undefined);
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
        `A ${modelType} model of this config does not use the tensor ${entry.name} ` +
        `${shapeText(entry.shape)}, and without it the model would compute something else`,
      nextStep: SCALE_ENDING.test(name)
        ? 'It is a scale of quantized weights (FP8, int8). Start from the unquantized checkpoint.'
        : 'Check whether config.json belongs to these weights (model_type, the number of layers, ' +
          'attention_bias, mlp_bias).',
      details: { name: entry.name },
    });
  }
}

const isZeroBias = (entry: TensorEntry): boolean =>
  entry.name.endsWith('.bias') &&
  ['F32', 'F16', 'BF16', 'F64'].includes(entry.dtype) &&
  entry.readFloat32().every((value) => value === 0);
