import { constant, isPacked, packedOperands, type Linear, type Tensor } from '@qdylora/tensor';
import type { GroupLayer } from '../ops/adapted-linear-group.ts';

/** The operands and attributes of a frozen layer in the adapted ops. */
interface Frozen {
  readonly operands: Readonly<Record<string, Tensor>>;
  readonly attributes: Omit<GroupLayer, 'scale'>;
}

const frozenLayers = new WeakMap<Linear, Frozen>();

/**
 * The arrays of a frozen layer as constants, and its attributes. They are created once and used by every
 * pass.
 */
export function frozen(layer: Linear): Frozen {
  const cached = frozenLayers.get(layer);
  if (cached) return cached;
  const inputs = frozenOf(layer);
  frozenLayers.set(layer, inputs);
  return inputs;
}

function frozenOf({ weight, bias, outFeatures }: Linear): Frozen {
  const operands = isPacked(weight) ? packedOperands(weight) : { weight: constant(weight.view) };
  const { blockSize, nestedOffset, tiled } = isPacked(weight)
    ? (weight.attributes as unknown as GroupLayer)
    : { blockSize: 0, nestedOffset: 0, tiled: undefined };
  return {
    operands: bias ? { ...operands, bias: constant(bias.view) } : operands,
    attributes: { rows: outFeatures, blockSize, nestedOffset, tiled },
  };
}
