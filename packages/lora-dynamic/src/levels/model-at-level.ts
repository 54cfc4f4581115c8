import { QdyloraError, shownValue } from '@qdylora/contract';
import { QUANTIZATION_LEVELS, STORED_LEVEL } from '@qdylora/quant';
import { isPacked, Linear, modulesOf, type LinearLike } from '@qdylora/tensor';
import type { AdaptableModel } from '../adapter/adapted.ts';
import { hasWrappedLayers } from '../layers/has-wrapped-layers.ts';

/**
 * The quantization levels that all packed layers of a model have, ascending; empty in full precision.
 */
export function quantizationLevelsOf({ modules }: { readonly modules: unknown }): readonly number[] {
  const packed = modulesOf(modules).flatMap((layer) =>
    layer instanceof Linear && isPacked(layer.weight) ? [layer.weight] : [],
  );
  if (packed.length === 0) return [];
  return QUANTIZATION_LEVELS.filter(
    (level) => level === STORED_LEVEL || packed.every(({ otherLevels }) => otherLevels?.has(level)),
  );
}

/**
 * A model with its packed layers at a quantization level. It is another value that shares all arrays with the
 * first: two passes at two levels never interfere. Dense layers stay as they are.
 *
 * @throws QdyloraError BAD_ARGUMENT for a level that the model does not have, or a model whose layers are
 * grouped or adapted; 4 is never refused
 * @example
 * const { loss } = await lossOver({ model: modelAtLevel(model, 3), active: null }, heldOut);
 */
export function modelAtLevel<M extends AdaptableModel<M>>(model: M, level: number): M {
  if (level === STORED_LEVEL) return model;
  assertLevel(model, level);
  return model.withModules((layer) => layer.atLevel(level));
}

/** The adapted model at each level, created once, so that a level is always the same object. */
export function adaptedModels<M extends AdaptableModel<M>>(
  model: M,
  adaptedModel: M,
  replace: (base: Linear) => (LinearLike & { atLevel(level: number): LinearLike }) | undefined,
): (level: number | undefined) => M {
  const models = new Map([[STORED_LEVEL as number, adaptedModel]]);
  return (level = STORED_LEVEL) => {
    const known = models.get(level);
    if (known) return known;
    assertLevel(model, level);
    const leveled = model.withModules((base) => (replace(base) ?? base).atLevel(level));
    models.set(level, leveled);
    return leveled;
  };
}

function assertLevel(model: { readonly modules: unknown }, level: number): void {
  if (hasWrappedLayers(model.modules))
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'level',
      problem:
        'Layers that are grouped or have adapters keep their quantization level ' +
        `(got ${shownValue(level)})`,
      nextStep:
        'Choose the level first, then group layers. An adapted model has adapted.atRank(rank, { level }).',
      details: { level },
    });
  const levels = quantizationLevelsOf(model);
  if (levels.includes(level)) return;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'level',
    problem:
      levels.length === 0
        ? `A model that is not quantized has no quantization levels (got ${shownValue(level)})`
        : `The quantization level must be one of ${levels.join(', ')}, which this model was built with ` +
          `(got ${shownValue(level)})`,
    nextStep: 'Load the model quantized (quantization nf4), with this level.',
    details: { level, levels },
  });
}
