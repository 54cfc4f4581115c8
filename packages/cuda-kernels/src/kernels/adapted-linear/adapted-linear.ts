import { bindKernel, type BoundKernel, type FloatView } from '@qdylora/contract';
import {
  adaptedLinear,
  adaptedLinearBackward,
  adaptedLinearGroup,
  adaptedLinearGroupBackward,
  layerOperands,
} from '@qdylora/lora-dynamic';
import type { CudaDoor } from '../../launch/launch.ts';
import { launchProduct, withMatrix } from '../linear/launch-product.ts';
import { addAdapterGradients, innerGradient, inputGradient, type LayerCall } from './layer-backward.ts';
import { forwardLayer } from './layer-forward.ts';
import { onePart } from './scale-ranks.ts';

const forwardKernels = (door: CudaDoor): BoundKernel[] => [
  bindKernel(adaptedLinear, (operands, { y, u }, attributes) =>
    forwardLayer(door, { ...operands, y, u }, attributes),
  ),
  bindKernel(adaptedLinearGroup, (inputs, outputs, { layers, ...attributes }) => {
    layers.forEach((layer, i) => {
      const { y, u, ...operands } = { ...layerOperands(inputs, i), ...layerOperands(outputs, i) };
      forwardLayer(door, { ...operands, x: inputs.x as FloatView, y, u }, { ...attributes, ...layer });
    });
  }),
];

const backwardKernel = (door: CudaDoor): BoundKernel =>
  bindKernel(
    adaptedLinearBackward,
    ({ dy, x, xAdapter = x, u, a, b, ...weight }, { dx, dxAdapter, da, db }, attributes) => {
      const [tokens, r] = u.shape as [number, number];
      const { trainFrom, accumulate, parts = onePart(tokens, r, trainFrom) } = attributes;
      const layer: LayerCall = { dy, x: xAdapter, u, a, b, weight, da, db, parts, trainFrom, attributes };
      innerGradient(door, layer, (g) => {
        if (dx)
          inputGradient(door, layer, {
            g: dxAdapter ? undefined : g,
            before: accumulate ? dx : undefined,
            dx,
          });
        if (dxAdapter)
          launchProduct(door, {
            form: 'Nn',
            computeDtype: attributes.computeDtype,
            a: g,
            b: a,
            c: dxAdapter,
          });
        addAdapterGradients(door, layer, g);
      });
    },
  );

const groupBackwardKernel = (door: CudaDoor): BoundKernel =>
  bindKernel(adaptedLinearGroupBackward, (inputs, outputs, attributes) => {
    const { layers, cols, accumulate } = attributes;
    const x = inputs.x as FloatView;
    const dx = outputs.dx as FloatView | undefined;
    const tokens = x.shape[0];
    /** Adds all layers to dx. `sum`: the dx of all layers but the last one. */
    const addLayers = (sum: FloatView | undefined): void =>
      layers.forEach((layer, i) => {
        const { dy, u, a, b, da, db, ...weight } = {
          ...layerOperands(inputs, i),
          ...layerOperands(outputs, i),
        };
        const r = a?.shape[0] ?? 0;
        const trainFrom = Math.min(attributes.trainFrom, r);
        const parts = attributes.parts ?? onePart(tokens, r, trainFrom);
        const call: LayerCall = {
          dy: dy!,
          x,
          u,
          a,
          b,
          weight,
          da,
          db,
          parts,
          trainFrom,
          attributes: { ...attributes, ...layer },
        };
        innerGradient(door, call, (g) => {
          if (dx)
            inputGradient(door, call, {
              g,
              before: i > 0 ? sum : accumulate ? dx : undefined,
              dx: i + 1 < layers.length ? sum! : dx,
            });
          addAdapterGradients(door, call, g);
        });
      });
    if (dx && dx.dtype !== 'f32' && layers.length > 1)
      withMatrix(door, { dtype: 'f32', shape: [tokens, cols] }, addLayers);
    else addLayers(dx);
  });

export const adaptedLinearKernels = (door: CudaDoor): BoundKernel[] => [
  ...forwardKernels(door),
  backwardKernel(door),
  groupBackwardKernel(door),
];
