import { QdyloraError } from '@qdylora/contract';
import { attachDyLora, sliceState, type Adapted, type AdapterConfig } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { Linear, modulesOf } from '@qdylora/tensor';
import { isSameBase, type BaseIdentity } from './base-identity.ts';
import { assertDefaultTargets, targetNotices } from './peft-targets.ts';
import { unadaptableModules } from './unadaptable-modules.ts';
import { rescaledNotice, type ReadAdapter } from './read-adapter.ts';
import type { Warn } from '../hooks.ts';

export interface BaseFacts extends BaseIdentity {
  readonly warn: Warn;
}

/**
 * Attaches an adapter to the model that it was trained on, or its slice where `changes` has smaller ranks.
 *
 * @param changes settings of a run that trains it further, which replace those of the adapter; null: no run
 * @throws QdyloraError BAD_ADAPTER for a model of another architecture or other shapes
 */
export async function attachAdapter(
  model: CausalLm,
  adapter: ReadAdapter,
  facts: BaseFacts,
  changes: Partial<AdapterConfig> | null = null,
): Promise<Adapted<CausalLm>> {
  const { state } = adapter;
  assertAdapterFits(model, adapter, facts);
  const notice = changes && rescaledNotice(adapter);
  if (notice) facts.warn(notice);
  const adapted = attachDyLora(model, {
    ranks: state.ranks,
    alpha: state.alpha,
    scaling: state.scaling,
    ...changes,
    targetModules: state.layers.map(({ name }) => name),
  });
  const { alpha, scaling, ranks } = adapted.config;
  // `changes` may have another scale, and a smaller largest rank
  await adapted.load({ ...sliceState(state, ranks.maxRank), alpha, scaling });
  return adapted;
}

/**
 * Refuses an adapter of another architecture or other shapes, or with layers that PEFT ignores. The same
 * shapes with another fingerprint of the base are allowed, with a warning that names both.
 *
 * @throws QdyloraError BAD_ADAPTER
 */
function assertAdapterFits(model: CausalLm, adapter: ReadAdapter, facts: BaseFacts): void {
  assertArchitecture(model, adapter);
  assertShapes(model, adapter);
  assertDefaultTargets(model, adapter);
  for (const notice of targetNotices(adapter, true)) facts.warn(notice);
  const base = adapter.sidecar?.base;
  if (!base) return;
  const trained = { fingerprint: base.fingerprint, quantizedFrom: base.quantized_from ?? null };
  if (isSameBase(trained, facts)) return;
  const trainedOn = `${base.name} (fingerprint ${base.fingerprint.slice(0, 12)})`;
  facts.warn(
    `The adapter was trained on other weights: ${trainedOn}, ` +
      `and this is ${model.name} (${facts.fingerprint.slice(0, 12)}). Shapes agree, so it runs; results ` +
      'may be worse.',
  );
}

function assertArchitecture(model: CausalLm, { sidecar, folder }: ReadAdapter): void {
  if (!sidecar || sidecar.base.model_type === model.modelType) return;
  const { base } = sidecar;
  throw new QdyloraError('BAD_ADAPTER', {
    where: folder,
    problem:
      `The adapter was trained on ${base.name} (${base.model_type}), but ${model.name} is a ` +
      `${model.modelType} model.`,
    nextStep: 'Use the base model that the adapter was trained on.',
    details: { expected: model.modelType, got: base.model_type },
  });
}

function assertShapes(model: CausalLm, adapter: ReadAdapter): void {
  const shapes = modulesOf(model.modules).flatMap((layer) =>
    layer instanceof Linear ? [[layer.name, [layer.outFeatures, layer.inFeatures]] as const] : [],
  );
  const { name, modelType } = model;
  assertAdapterShapes({ name, modelType, shapes: new Map(shapes) }, adapter);
}

/** Names and shapes [out, in] of the matrices that adapters may wrap. */
export interface AdaptableShapes {
  readonly name: string;
  readonly modelType: string;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
}

/**
 * @throws QdyloraError BAD_ADAPTER for a layer that the model lacks, or has in another shape; UNSUPPORTED for
 * a head or an embedding
 */
export function assertAdapterShapes(
  { name: modelName, modelType, shapes }: AdaptableShapes,
  adapter: ReadAdapter,
): void {
  const unadaptable = unadaptableModules(modelType, modelName);
  for (const { name, inFeatures, outFeatures } of adapter.state.layers) {
    const shape = shapes.get(name);
    if (shape?.[0] === outFeatures && shape[1] === inFeatures) continue;
    const part = unadaptable.get(name);
    if (shape === undefined && part !== undefined)
      throw new QdyloraError('UNSUPPORTED', {
        where: adapter.folder,
        problem: `The adapter has matrices for ${name}, ${part}, which cannot have an adapter here.`,
        nextStep: 'Merge it into its base model with PEFT, and open the result.',
        details: { name },
      });
    throw new QdyloraError('BAD_ADAPTER', {
      where: adapter.folder,
      problem:
        `${modelName} has ${shape ? `[${shape.join(', ')}]` : 'no such layer'} at ${name}, but the adapter ` +
        `was trained on [${outFeatures}, ${inFeatures}].`,
      nextStep: 'Use the base model that the adapter was trained on.',
      details: { name, inFeatures, outFeatures },
    });
  }
}
