import {
  elementCount,
  objectWith,
  oneOf,
  runOp,
  shapeOnly,
  someFunction,
  type ArrayView,
  type Backend,
  type DType,
  type OptionRules,
  type PackedWeight,
  type Shape,
} from '@qdylora/contract';
import {
  leveledWeight,
  packedWeight,
  quantizeBlockwise,
  quantizeScales,
  shapeMatrix,
  STORED_LEVEL,
  type QuantizedMatrix,
} from '@qdylora/quant';
import { Linear, Parameter } from '@qdylora/tensor';
import { checkBuildOptions, someBackend, someQuantization } from '../quantize/check-build-options.ts';
import type { Quantization } from '../quantize/quantization.ts';
import type { WeightSource } from './weight-source.ts';

/** Options of `shapeWeights`: how the weights would be stored, and where their arrays are counted. */
export interface ShapeWeightsOptions {
  /**
   * A dry backend, which then records every array of the weights and every temporary array of loading them.
   * Without it nothing is allocated.
   */
  readonly backend?: Backend;
  /** Storage of linear layers; `none` by default. Without a backend it has no effect. */
  readonly quantization?: Quantization;
  /** Names of linear layers that are not quantized. Default: none. */
  readonly isPlain?: (name: string) => boolean;
  /**
   * Element type of tables and matrices, in the checkpoint and, unless quantized, in memory; `f32` by
   * default.
   */
  readonly dtype?: 'f32' | 'bf16';
  /**
   * Element types of single tables and matrices, by tensor name: those that an adapter stores whole, and
   * those that a 4-bit checkpoint keeps in higher precision.
   */
  readonly dtypes?: ReadonlyMap<string, 'f32' | 'bf16'>;
}

export const SHAPE_RULES: OptionRules<ShapeWeightsOptions> = {
  backend: someBackend,
  quantization: someQuantization,
  isPlain: someFunction,
  dtype: oneOf(['f32', 'bf16']),
  dtypes: objectWith('get', 'has'),
};

/** Weights without numbers: names and shapes of a model of any size, for counting and planning. */
export function shapeWeights(options: ShapeWeightsOptions = {}): WeightSource {
  checkBuildOptions('shape-weights', options, SHAPE_RULES);
  const { backend, quantization = { kind: 'none' }, isPlain = () => false, dtype = 'f32', dtypes } = options;
  const array = <D extends DType>(type: D, shape: Shape): ArrayView<D> =>
    backend ? lasting(backend, type, shape) : shapeOnly(type, shape);
  const parameter = (name: string, shape: Shape, type: 'f32' | 'bf16' = 'f32'): Parameter =>
    new Parameter(name, array(type, shape));
  const typeOf = (name: string): 'f32' | 'bf16' => dtypes?.get(name) ?? dtype;
  return {
    linear(name, shape, { bias = false } = {}) {
      const weight =
        backend && quantization.kind !== 'none' && !isPlain(name)
          ? leveled(backend, quantization, { shape, dtype })
          : parameter(`${name}.weight`, shape, typeOf(`${name}.weight`));
      return new Linear(name, weight, bias ? parameter(`${name}.bias`, [shape[0]]) : null);
    },
    table: (name, shape) => parameter(`${name}.weight`, shape, typeOf(`${name}.weight`)),
    vector: (name, size) => parameter(name, [size]),
  };
}

function lasting<D extends DType>({ memory }: Backend, dtype: D, shape: Shape): ArrayView<D> {
  const view = memory.allocate(dtype, shape);
  memory.persist(view);
  return view;
}

/** A matrix to quantize. */
interface Dense {
  readonly shape: readonly [number, number];
  readonly dtype: 'f32' | 'bf16';
}

/** A packed weight with its levels. All arrays are allocated in the order of `quantizeLevels`. */
function leveled(backend: Backend, quantization: Quantization, dense: Dense): PackedWeight {
  const matrix = packed(backend, quantization, dense);
  const { levels = [] } = quantization;
  const { memory } = backend;
  if (levels.every((level) => level === STORED_LEVEL)) return packedWeight(matrix);
  const allocateBriefly = (dtype: 'f32'): void => {
    memory.release(memory.allocate(dtype, dense.shape));
  };
  allocateBriefly('f32'); // decoded
  allocateBriefly('f32'); // what was quantized
  const threeBits = levels.includes(3) ? { ...matrix, ...levelsAndScales(backend, matrix) } : undefined;
  const residual = levels.includes(8) ? packed(backend, quantization, { ...dense, dtype: 'f32' }) : undefined;
  return leveledWeight(matrix, { threeBits, residual });
}

/** A packed matrix. It and its temporary arrays are allocated in the order of `matrixQuantizer`. */
function packed(
  backend: Backend,
  { kind, blockSize = 64, doubleQuantization = true }: Quantization,
  { shape, dtype }: Dense,
): QuantizedMatrix {
  return backend.memory.scoped(() => {
    const matrix = shapeMatrix({
      kind: kind as 'nf4',
      shape,
      blockSize,
      doubleQuantization,
      tiled: backend.packedLayout === 'tiles',
      array: (type, size) => lasting(backend, type, size),
    });
    const { codes, absmax: plain, doubleQuantized: nested } = matrix;
    const absmax = plain ?? backend.memory.allocate('f32', nested!.codes.shape);
    backend.memory.scoped(() =>
      runOp(
        backend,
        quantizeBlockwise,
        { values: backend.memory.allocate(dtype, [elementCount(shape)]) as ArrayView<'f32'> },
        { kind: kind as 'nf4', blockSize },
        { codes, absmax },
      ),
    );
    if (nested)
      runOp(backend, quantizeScales, { absmax }, {}, { codes: nested.codes, nestedAbsmax: nested.absmax });
    return matrix;
  });
}

/** The codebook and scales of a matrix at another level, in the order of `moveLevelsAndScales`. */
function levelsAndScales(
  backend: Backend,
  { levels, absmax, doubleQuantized: nested }: QuantizedMatrix,
): Pick<QuantizedMatrix, 'levels' | 'absmax' | 'doubleQuantized'> {
  const like = <D extends DType>(view: ArrayView<D>): ArrayView<D> =>
    lasting(backend, view.dtype, view.shape);
  return {
    levels: like(levels),
    absmax: absmax && like(absmax),
    doubleQuantized: nested && {
      ...nested,
      codes: like(nested.codes),
      absmax: like(nested.absmax),
      map: like(nested.map),
    },
  };
}
