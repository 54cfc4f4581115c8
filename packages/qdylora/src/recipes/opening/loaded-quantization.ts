import type { CausalLm } from '@qdylora/models';
import { isPacked, Linear, modulesOf } from '@qdylora/tensor';
import { methodOf, type RunConfig } from '../../config/resolve-run.ts';
import { quantizationText, type MatrixQuantization } from '../adapter/base-quantization.ts';
import type { Warn } from '../hooks.ts';

/** How the matrices of a model in memory are quantized; null: none is in 4 bits. */
function loadedQuantization({ modules }: Pick<CausalLm, 'modules'>): MatrixQuantization | null {
  for (const layer of modulesOf(modules)) {
    if (!(layer instanceof Linear) || !isPacked(layer.weight)) continue;
    const { kind, operands, attributes } = layer.weight;
    if (kind !== 'nf4' && kind !== 'fp4') continue;
    return {
      quantization: kind,
      doubleQuantization: operands.absmaxCodes !== undefined,
      quantizationBlockSize: attributes.blockSize as number,
    };
  }
  return null;
}

/**
 * The values of a run with the quantization that the weights in memory have, and its method. A checkpoint in
 * 4 bits stays as it is stored, whatever was asked for; a notice says so where that differs.
 */
export function withLoadedQuantization<C extends MatrixQuantization & Pick<RunConfig, 'method' | 'ranks'>>(
  config: C,
  model: CausalLm,
  warn: Warn,
): C {
  const loaded = noticeLoadedQuantization(config, model, warn);
  return loaded ? { ...config, ...loaded, method: methodOf(true, (config.ranks?.length ?? 1) > 1) } : config;
}

/** The quantization of the weights in memory, null for none; a notice where it is not what was asked for. */
export function noticeLoadedQuantization(
  requested: MatrixQuantization,
  model: CausalLm,
  warn: Warn,
): MatrixQuantization | null {
  const loaded = loadedQuantization(model);
  if (loaded && quantizationText(loaded) !== quantizationText(requested))
    warn(
      `The weights of ${model.name} are already stored in ${quantizationText(loaded)} and are used as they ` +
        `are: ${quantizationText(requested)}, which the run or its adapter asks for, has no effect.`,
    );
  return loaded;
}
