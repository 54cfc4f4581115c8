import { resortBySvd, sliceRank, type AdapterState, type SlicedAdapter } from '@qdylora/lora-dynamic';
import { checkValues, type InputOf } from '../config/check-values.ts';
import { givenByOptions, type GivenValues } from '../config/given-values.ts';
import { EXPORT_KEYS } from '../config/verb-keys.ts';
import { missingKey } from './stages/load-data.ts';
import { ranksOf, readAdapter, type ReadAdapter } from './stages/read-adapter.ts';
import { targetNames, writeSliced } from './stages/write-adapter.ts';

export type ExportAdapterOptions = InputOf<typeof EXPORT_KEYS>;

export interface ExportedAdapter { readonly outputDir: string; readonly rank: number; readonly layers: number; readonly loraAlpha: number; readonly useRslora: boolean; readonly bytes: number }

/**
 * Cuts an adapter at one rank and writes it for PEFT: the same numbers that training saw at that rank, or, with `svd`, the best rank-r approximation of the whole.
 * The base model is not needed.
 *
 * @throws QdyloraError BAD_CONFIG, MISSING_FILE, BAD_ADAPTER; BAD_ARGUMENT for rank 0 or above the largest; NOT_EMPTY, WRITE_FAILED
 * @example
 * await exportAdapter({ adapter: 'runs/smol/adapter', rank: 8, outputDir: 'runs/smol-r8' });
 */
export const exportAdapter = (options: ExportAdapterOptions): Promise<ExportedAdapter> => exportGiven(givenByOptions(options));

/** The same for values that stand elsewhere (flags). */
export async function exportGiven(given: GivenValues): Promise<ExportedAdapter> {
  const { adapter: folder, outputDir, rank: asked, svd } = checkValues(EXPORT_KEYS, given);
  if (!folder) throw missingKey('adapter', 'Name the adapter to cut: --adapter runs/first/adapter.');
  if (!outputDir) throw missingKey('output_dir', 'Name a folder for the result: --output-dir adapters/first-r8.');
  const adapter = readAdapter(folder), { state } = adapter, [rank] = ranksOf(adapter, [asked ?? state.maxRank]) as [number];
  const sliced = svd ? resortBySvd(state, rank) : sliceRank(state, rank);
  await writeSliced(outputDir, sliced, { baseModel: adapter.baseModel, targetModules: adapter.sidecar?.target_modules ?? targetNames(state.layers.map(({ name }) => name), []), sidecar: sidecarAt(adapter, sliced, svd) });
  const { layers, loraAlpha, useRslora } = sliced;
  return { outputDir, rank, layers: layers.length, loraAlpha, useRslora, bytes: layers.reduce((sum, { a, b }) => sum + a.byteLength + b.byteLength, 0) };
}

/** What is cut off still serves the smaller ranks; sorted anew, its scale is part of it, so it is the same at every rank. */
function sidecarAt({ sidecar, state }: ReadAdapter, { rank, loraAlpha }: SlicedAdapter, svd: boolean): ReadAdapter['sidecar'] {
  if (!sidecar) return null;
  const ranks = [...new Set([...state.ranks.filter((smaller) => smaller < rank), rank])], scaling: AdapterState['scaling'] = svd ? 'constant' : state.scaling;
  return { ...sidecar, ranks, lora_alpha: loraAlpha, lora_scaling: scaling };
}
