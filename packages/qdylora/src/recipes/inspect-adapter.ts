import { rankSet, scaleAt } from '@qdylora/lora-dynamic';
import { readAdapter } from './adapter/read-adapter.ts';

/** What an adapter is. */
export interface AdapterFacts {
  readonly kind: 'adapter';
  readonly baseModel: string | null;
  /** Null for an adapter from elsewhere. */
  readonly baseFingerprint: string | null;
  readonly ranks: readonly number[];
  /** The rank of each layer where they differ; else null. */
  readonly layerRanks: Readonly<Record<string, number>> | null;
  readonly scaling: string;
  readonly alpha: number;
  /** Factor on B·A, by rank. */
  readonly scales: Readonly<Record<number, number>>;
  readonly layers: number;
  /** Weights that stand in place of the base's. */
  readonly saved: readonly string[];
  readonly parameters: number;
}

/** @throws QdyloraError MISSING_FILE, BAD_ADAPTER, UNSUPPORTED */
export function inspectAdapter(folder: string): AdapterFacts {
  const { state, layerRanks, sidecar, baseModel, saved } = readAdapter(folder);
  const { ranks, maxRank, alpha, scaling, layers } = state;
  return {
    kind: 'adapter',
    baseModel: sidecar?.base.name ?? baseModel,
    baseFingerprint: sidecar?.base.fingerprint ?? null,
    ranks: [...rankSet(ranks)],
    layerRanks: layerRanks && Object.fromEntries(layerRanks),
    scaling,
    alpha,
    scales: Object.fromEntries(ranks.map((rank) => [rank, scaleAt(scaling, alpha, rank, maxRank)])),
    layers: layers.length,
    saved: saved?.names ?? [],
    parameters: layers.reduce(
      (sum, { name, inFeatures, outFeatures }) =>
        sum + (layerRanks?.get(name) ?? maxRank) * (inFeatures + outFeatures),
      0,
    ),
  };
}
