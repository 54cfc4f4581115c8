import {
  assertContractVersion,
  assertUsable,
  createRng,
  elementCount,
  QdyloraError,
  shapeText,
  type ArrayView,
  type Memory,
} from '@qdylora/contract';
import { Linear, modulesOf, Parameter, type Module } from '@qdylora/tensor';
import { adaptedModels, quantizationLevelsOf } from '../levels/model-at-level.ts';
import { activeAt, activeParts, type AdaptableModel, type Adapted, type AttachReport } from './adapted.ts';
import {
  resolveAdapterConfig,
  type AdapterConfig,
  type ResolvedAdapterConfig,
  type TargetModules,
} from './adapter-config.ts';
import type { AdapterLayer, AdapterState } from './adapter-state.ts';
import { DyLoraLinear } from '../layers/dylora-linear.ts';
import { hasWrappedLayers } from '../layers/has-wrapped-layers.ts';
import { initializeAdapter } from './initialize.ts';

/**
 * Wraps the matching linear layers of a model in nested adapters. B starts at 0, so every rank computes the
 * base model at first.
 *
 * @throws QdyloraError BAD_ARGUMENT if no layer matches (the message lists the names of the layers), or if
 * all layers are grouped or have adapters already; UNSUPPORTED for a backend of another contract version
 * @example
 * const targetModules = ['q_proj', 'v_proj'];
 * const adapted = attachDyLora(model, { ranks: [1, 2, 4, 8], alpha: 8, targetModules });
 * const { model: view, active } = adapted.atRank(4);
 */
export function attachDyLora<M extends AdaptableModel<M>>(model: M, config: AdapterConfig): Adapted<M> {
  const resolved = resolveAdapterConfig(config);
  assertContractVersion('attachDyLora', model.backend);
  const { ranks, targetModules, seed } = resolved;
  const linears = modulesOf(model.modules).filter((layer): layer is Linear => layer instanceof Linear);
  const matches = matcherOf(targetModules);
  if (linears.length === 0 && hasWrappedLayers(model.modules)) throw allWrapped();
  const matched = linears.filter((layer) => matches(layer.name));
  const unmatchedTargets = Array.isArray(targetModules)
    ? targetModules.filter((target) => !linears.some(({ name }) => matcherOf([target])(name)))
    : [];
  if (matched.length === 0 || unmatchedTargets.length > 0)
    throw nothingMatched(unmatchedTargets.length > 0 ? unmatchedTargets : targetModules, linears);
  const rng = createRng(seed).named('adapter');
  const { memory } = model.backend;
  const layers: DyLoraLinear[] = [];
  const adaptedModel = model.withModules((layer) => {
    if (!matched.includes(layer)) return layer;
    const a = memory.allocate('f32', [ranks.maxRank, layer.inFeatures]);
    const b = memory.allocate('f32', [ranks.maxRank, layer.outFeatures]);
    memory.persist(a, b);
    initializeAdapter(memory, { a, b }, rng.named(`init.${layer.name}`));
    const parameter = (name: string, view: ArrayView): Parameter =>
      new Parameter(`${layer.name}.${name}`, view);
    layers.push(new DyLoraLinear(layer, parameter('lora_A', a), parameter('lora_B', b), resolved));
    return layers.at(-1)!;
  });
  if (layers.length !== matched.length)
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'attachDyLora',
      problem: `${matched.length} layers match, but the model replaced ${layers.length}`,
      nextStep: 'Its `withModules` must replace all linear layers of its `modules`, as mapLinears does.',
    });
  const byBase = new Map(layers.map((layer) => [layer.base, layer]));
  const modelAt = adaptedModels(model, adaptedModel, (base) => byBase.get(base));
  return {
    model: adaptedModel,
    ranks,
    levels: quantizationLevelsOf(model),
    config: resolved,
    layers,
    report: reportOf(linears, layers, ranks.maxRank),
    atRank: (rank, { level } = {}) => ({ model: modelAt(level), active: activeAt(resolved, rank) }),
    atRanks: (parts, { level } = {}) => ({ model: modelAt(level), active: activeParts(resolved, parts) }),
    base: ({ level } = {}) => ({ model: modelAt(level), active: null }),
    parameters: () => layers.flatMap((layer) => [layer.a, layer.b]),
    state: () => copyState(memory, layers, resolved),
    load: (state) => loadState(memory, layers, resolved, state),
  };
}

/**
 * Which layers target modules match, by the rules of PEFT: a list matches whole names and dotted ends; a
 * string is a regular expression for the whole name.
 *
 * @throws QdyloraError BAD_ARGUMENT for a string that is not a regular expression
 */
export function matcherOf(targets: TargetModules): (name: string) => boolean {
  if (targets === 'all-linear') return () => true;
  if (typeof targets !== 'string')
    return (name) => targets.some((target) => name === target || name.endsWith(`.${target}`));
  try {
    const whole = new RegExp(`^(?:${targets})$`);
    return (name) => whole.test(name);
  } catch (cause) {
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'target_modules',
      problem: `${targets} is not a regular expression`,
      cause,
    });
  }
}

function nothingMatched(targets: TargetModules, linears: readonly Module[]): QdyloraError {
  const ends = [...new Set(linears.map((layer) => layer.name.split('.').at(-1)))];
  return new QdyloraError('BAD_ARGUMENT', {
    where: 'target_modules',
    problem: `no linear layer matches ${JSON.stringify(targets)}`,
    nextStep: `This model has: ${ends.join(', ')}. 'all-linear' matches them all.`,
  });
}

const allWrapped = (): QdyloraError =>
  new QdyloraError('BAD_ARGUMENT', {
    where: 'attachDyLora',
    problem: 'all linear layers of the model are grouped or have adapters already',
    nextStep: 'Attach adapters to the model itself, before layers are grouped.',
  });

function reportOf(
  linears: readonly Linear[],
  layers: readonly DyLoraLinear[],
  maxRank: number,
): AttachReport {
  const matched = layers.map((layer) => layer.name);
  const names = new Set(matched);
  return {
    matched,
    unmatched: linears.map((layer) => layer.name).filter((name) => !names.has(name)),
    widerThanLayer: layers
      .filter((layer) => maxRank > Math.min(layer.inFeatures, layer.outFeatures))
      .map((layer) => layer.name),
    trainableCount: layers.reduce((sum, layer) => sum + maxRank * (layer.inFeatures + layer.outFeatures), 0),
  };
}

/** @throws QdyloraError DISPOSED if the backend was disposed */
async function numbersOf(memory: Memory, { name, view }: Parameter): Promise<Float32Array> {
  assertUsable('adapter', name, view, memory);
  return (await memory.read(view)) as Float32Array;
}

async function copyState(
  memory: Memory,
  layers: readonly DyLoraLinear[],
  { ranks: { ranks, maxRank }, alpha, scaling }: ResolvedAdapterConfig,
): Promise<AdapterState> {
  const copies: AdapterLayer[] = [];
  for (const { name, inFeatures, outFeatures, a, b } of layers)
    copies.push({
      name,
      inFeatures,
      outFeatures,
      a: await numbersOf(memory, a),
      b: await numbersOf(memory, b),
    });
  return { ranks, maxRank, alpha, scaling, layers: copies };
}

async function loadState(
  memory: Memory,
  layers: readonly DyLoraLinear[],
  { ranks: { maxRank }, alpha, scaling }: ResolvedAdapterConfig,
  state: AdapterState,
): Promise<void> {
  const byName = new Map(state.layers.map((layer) => [layer.name, layer]));
  const problem = (text: string): QdyloraError =>
    new QdyloraError('BAD_ADAPTER', {
      where: 'adapter',
      problem: text,
      nextStep: 'Was the adapter trained on this base model, with these target_modules?',
    });
  if (state.maxRank !== maxRank)
    throw problem(`the adapter must have rank ${maxRank} (got ${state.maxRank})`);
  if (state.alpha !== alpha || state.scaling !== scaling)
    throw problem(
      `the adapter must have alpha ${alpha} and scaling ${scaling}, or it would compute something else ` +
        `(got ${state.alpha} and ${state.scaling})`,
    );
  const unknown = state.layers.find(({ name }) => !layers.some((layer) => layer.name === name));
  if (unknown) throw problem(`this model has no layer ${unknown.name}`);
  for (const layer of layers) {
    const from = byName.get(layer.name);
    if (!from) throw problem(`the adapter has nothing for the layer ${layer.name}`);
    for (const [parameter, values, name] of [
      [layer.a, from.a, 'A'],
      [layer.b, from.b, 'B'],
    ] as const) {
      assertUsable('adapter', parameter.name, parameter.view, memory);
      const length = elementCount(parameter.view.shape);
      if (!values.every(Number.isFinite))
        throw problem(`${name} of ${layer.name} has numbers that are not finite`);
      if (values.length !== length)
        throw problem(
          `${name} of ${layer.name} must have ${length} numbers ${shapeText(parameter.view.shape)} ` +
            `(got ${values.length})`,
        );
    }
  }
  for (const layer of layers) {
    memory.write(layer.a.view, byName.get(layer.name)!.a);
    memory.write(layer.b.view, byName.get(layer.name)!.b);
  }
}
