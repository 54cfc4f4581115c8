import { join } from 'node:path';
import * as z from 'zod';
import type { RatedConfig } from '../run/steps/default-learning-rate.ts';
import type { EventLine } from '../run-folder/event-line.ts';
import { jsonInFile } from '../run-folder/json-in-file.ts';

/** How near the learning rate of a run was to the edge beyond which training diverges, as far as is known. */
export interface RateReport {
  /** The peak of the schedule. */
  readonly learningRate: number;
  /** The default for this model (`defaultLearningRate`). */
  readonly defaultRate: number;
  /** learningRate / defaultRate */
  readonly ratio: number;
  /**
   * Share of the updates whose gradient was clipped, because its global norm was above `max_grad_norm`. Null
   * where clipping is off, or without an update.
   */
  readonly clippedShare: number | null;
  /**
   * The largest rise of the smoothed training loss above its lowest value so far: max over steps of
   * smoothed / lowest − 1, and its step. Null without a step.
   */
  readonly largestRise: { readonly share: number; readonly step: number } | null;
  /** What `qdylora tune` found in the folder of the run; null where it did not run there. */
  readonly tuned: TunedEdge | null;
}

/** The edge between learning rates that a search tried, at the `lora_alpha` of the run. */
export interface TunedEdge {
  readonly method: 'successive_halving' | 'range_test';
  /** The highest rate that did not diverge; null where all diverged. */
  readonly highestStable: number | null;
  /** Steps that it was trained for; null for a range test, which changes the rate at each step. */
  readonly steps: number | null;
  /** The lowest rate above it that diverged; null where none did. */
  readonly lowestDiverged: number | null;
}

export interface RateReportParts {
  readonly config: Pick<RatedConfig, 'learningRate' | 'maxGradNorm' | 'loraAlpha'>;
  /** The default for the model. */
  readonly defaultRate: number;
  readonly modelName: string;
  readonly events: readonly EventLine[];
  /** The folder of `tune`. */
  readonly tuneFolder: string;
}

export function rateReport({
  config,
  defaultRate,
  modelName,
  events,
  tuneFolder,
}: RateReportParts): RateReport {
  const { learningRate, maxGradNorm, loraAlpha } = config;
  return {
    learningRate,
    defaultRate,
    ratio: learningRate / defaultRate,
    clippedShare: clippedShare(events, maxGradNorm),
    largestRise: largestRise(events),
    tuned: tunedEdge(join(tuneFolder, 'tune.json'), modelName, loraAlpha),
  };
}

function clippedShare(events: readonly EventLine[], maxGradNorm: number): number | null {
  const norms = events.flatMap((event) =>
    event.type === 'step' && event.loss !== null && event.grad_norm !== null ? [event.grad_norm] : [],
  );
  if (maxGradNorm === 0 || norms.length === 0) return null;
  return norms.filter((norm) => norm > maxGradNorm).length / norms.length;
}

function largestRise(events: readonly EventLine[]): RateReport['largestRise'] {
  let lowest = Infinity;
  let largest: RateReport['largestRise'] = null;
  for (const event of events) {
    if (event.type !== 'step' || event.smoothed_loss === null) continue;
    lowest = Math.min(lowest, event.smoothed_loss);
    const share = lowest > 0 ? event.smoothed_loss / lowest - 1 : 0;
    if (share > (largest?.share ?? -1)) largest = { share, step: event.step };
  }
  return largest;
}

/** The parts of `tune.json` that tell the edge. */
const tuneJson = z.object({
  method: z.enum(['successive_halving', 'range_test']),
  model: z.string(),
  /** Absent in files of earlier versions. */
  previous_alpha: z.number().optional(),
  candidates: z.array(
    z.object({
      learning_rate: z.number(),
      lora_alpha: z.number(),
      steps: z.number(),
      has_diverged: z.boolean(),
    }),
  ),
  range: z.array(z.object({ learning_rate: z.number() })),
  divergence: z.number().nullable(),
});

/** Null for a file that is missing or damaged, or about another model or alpha. */
function tunedEdge(path: string, modelName: string, loraAlpha: number): TunedEdge | null {
  const { success, data } = tuneJson.safeParse(jsonInFile(path));
  if (!success || data.model !== modelName) return null;
  const { method, range, divergence, previous_alpha: testedAlpha = loraAlpha } = data;
  if (method === 'range_test') {
    if (testedAlpha !== loraAlpha) return null;
    return {
      method,
      highestStable: range.at(-1)?.learning_rate ?? null,
      steps: null,
      lowestDiverged: divergence,
    };
  }
  const tried = data.candidates.filter((candidate) => candidate.lora_alpha === loraAlpha);
  if (tried.length === 0) return null;
  const rising = [...tried].sort((a, b) => a.learning_rate - b.learning_rate);
  const stable = rising.findLast((candidate) => !candidate.has_diverged);
  const diverged = rising.find(
    (candidate) => candidate.has_diverged && candidate.learning_rate > (stable?.learning_rate ?? 0),
  );
  return {
    method,
    highestStable: stable?.learning_rate ?? null,
    steps: stable?.steps ?? null,
    lowestDiverged: diverged?.learning_rate ?? null,
  };
}
