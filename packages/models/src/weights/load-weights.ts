import type { Linear, Parameter } from '@qdylora/tensor';
import { shapeWeights } from './shape-weights.ts';
import type { AsyncWeightSource, MatrixRequest, WeightSource } from './weight-source.ts';

/**
 * Builds modules from a source that takes time, one weight at a time, in the order in which `build` asks.
 *
 * `build` runs twice: once over shapes alone, to list what it asks for, and once over the loaded weights.
 */
export async function loadWeights<M>(
  source: AsyncWeightSource,
  build: (weights: WeightSource) => M,
): Promise<M> {
  const loads: (() => Promise<void>)[] = [];
  const matrices: MatrixRequest[] = [];
  const linears = new Map<string, Linear>();
  const tables = new Map<string, Parameter>();
  const vectors = new Map<string, Parameter>();
  const shapes = shapeWeights();
  build({
    linear(...request) {
      matrices.push({ name: request[0], shape: request[1] });
      loads.push(async () => void linears.set(request[0], await source.linear(...request)));
      return shapes.linear(...request);
    },
    table(...request) {
      loads.push(async () => void tables.set(request[0], await source.table(...request)));
      return shapes.table(...request);
    },
    vector(...request) {
      loads.push(async () => void vectors.set(request[0], await source.vector(...request)));
      return shapes.vector(...request);
    },
  });
  await source.prepare?.(matrices);
  for (const load of loads) await load();
  return build({
    linear: (name) => linears.get(name)!,
    table: (name) => tables.get(name)!,
    vector: (name) => vectors.get(name)!,
  });
}
