import type { TensorToWrite } from '@qdylora/checkpoint';
import { runOp, type ArrayView, type Backend } from '@qdylora/contract';
import { mergeAtRank, type Adapted, type DyLoraLinear } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { dequantizeBlockwise } from '@qdylora/quant';
import { modulesOf, readElement, type Linear, type Module, type Parameter } from '@qdylora/tensor';
import { bytesIn, type SaveDtype } from './write-model.ts';

/** All weights of an adapted model with its adapters folded in at `rank`, made one after the other as the file is written. */
export function mergedTensors({ model }: { readonly model: CausalLm }, adapted: Adapted<CausalLm>, rank: number, dtype: SaveDtype): TensorToWrite[] {
  const layers = new Map(adapted.layers.map((layer) => [layer.name, layer])), tensors = new Map<string, TensorToWrite>();
  const add = (name: string, shape: readonly number[], values: () => Float32Array): void => {
    tensors.set(name, { name, dtype: dtype === 'bf16' ? 'BF16' : 'F32', shape, bytes: () => bytesIn(values(), dtype) });
  };
  for (const module of modulesOf(model.modules)) {
    const own = layers.get(module.name), weight = packedOf(module);
    for (const { name, view } of module.parameters()) add(name, view.shape, () => decoded(view));
    if (own) add(`${module.name}.weight`, [own.outFeatures, own.inFeatures], () => mergedWeight(adapted, own, rank));
    else if (weight) add(`${module.name}.weight`, weight.shape, () => unpacked(weight, model.backend));
  }
  return [...tensors.values()];
}

/** The merged matrix of one layer. */
function mergedWeight(adapted: Adapted<CausalLm>, layer: DyLoraLinear, rank: number): Float32Array {
  const { name, inFeatures, outFeatures, a, b } = layer;
  const state = { ranks: adapted.ranks.ranks, maxRank: adapted.ranks.maxRank, alpha: adapted.config.alpha, scaling: adapted.config.scaling, layers: [{ name, inFeatures, outFeatures, a: a.view.data as Float32Array, b: b.view.data as Float32Array }] };
  const [merged] = mergeAtRank({ ...adapted, layers: [layer], state: () => state }, rank);
  return merged!.weight;
}

type Packed = Exclude<Linear['weight'], Parameter>;

function packedOf(module: Module): Packed | null {
  const { weight } = module as Partial<Linear>;
  return weight && !('view' in weight) ? weight : null;
}

const unpacked = ({ operands, attributes }: Packed, backend: Backend): Float32Array =>
  backend.memory.scoped(() => Float32Array.from(runOp(backend, dequantizeBlockwise, operands as never, attributes as never).values.data));

function decoded(view: ArrayView): Float32Array {
  const at = readElement(view as ArrayView<'f32'>);
  return Float32Array.from({ length: view.shape.reduce((product, size) => product * size, 1) }, (_, i) => at(i));
}
