import { wrapBackend } from '@qdylora/contract';
import type { Tokenizer } from '@qdylora/data';
import type { Recompute } from '@qdylora/tensor';
import type { PreparedRun } from './prepare-run.ts';
import { assembleRun, type AssembledRun } from './assemble-run.ts';
import type { Warn } from '../adapter/attach-adapter.ts';
import { chooseBackend, type BackendChoice, type ChosenBackend } from '../opening/choose-backend.ts';
import { forecastMemory } from '../memory-plan/forecast-memory.ts';
import { loadRunData, type RunData } from './load-data.ts';
import { openProfile, type OpProfile } from './op-profile.ts';
import type { ModelSource } from '../opening/open-source.ts';
import { warnOfPositions } from '../opening/warn-of-positions.ts';

/**
 * A run up to its first step: rows read, backend chosen, model built and adapted. Disposing ends the backend.
 */
export interface OpenRun extends Disposable {
  /** As it was asked for, with `computeDtype` resolved. */
  readonly config: PreparedRun & { readonly computeDtype: 'f32' | 'bf16' };
  readonly data: RunData;
  readonly chosen: ChosenBackend;
  readonly run: AssembledRun;
  /** Of every op that the model runs, where the run asks for it. */
  readonly profile: OpProfile | null;
}

export interface OpenRunOptions {
  /** Asked once; the result is not held, so its memory can go before the model is built. */
  readonly openTokenizer: () => Promise<Tokenizer | null>;
  readonly choice: BackendChoice;
  readonly signal?: AbortSignal;
  /** Told everything that the user should know before the run begins. */
  readonly warn: Warn;
  /** Told when something that stays is there, for the books of the process's memory. */
  readonly onPart?: (part: string) => void;
}

/** @throws QdyloraError whatever reading, choosing and building throw */
export async function openRun(
  asked: PreparedRun,
  source: ModelSource,
  { openTokenizer, choice, signal, warn, onPart }: OpenRunOptions,
): Promise<OpenRun> {
  const chosen = await chooseBackend(choice, {
    numThreads: asked.numThreads,
    batchInvariant: asked.batchInvariant,
    warn,
  });
  let opened: RunData | null = null;
  const dispose = (): void => {
    opened?.[Symbol.dispose]();
    chosen.dispose();
  };
  try {
    onPart?.('kernels');
    const data = (opened = await loadRunData(asked, await openTokenizer(), {
      vocabularySize: source.vocabularySize,
      signal,
    }));
    onPart?.('tokenizer and rows');
    const computeDtype = chosen.computeDtype(asked.computeDtype);
    const config = { ...asked, computeDtype };
    data.notes.forEach((note) => {
      warn(note);
    });
    const { dry: dryBackend } = chosen;
    const needOf =
      dryBackend &&
      (async (own: AssembledRun, recompute: Recompute) =>
        (
          await forecastMemory(
            config,
            { run: own, data },
            { dryBackend, model: source.config.raw, marks: [], recompute },
          )
        ).totalBytes);
    const profile = asked.profile ? openProfile() : null;
    const backend = profile ? wrapBackend(chosen.backend, { measure: profile.measure }) : chosen.backend;
    const run = await assembleRun(config, source, data, { backend, computeDtype, warn, signal, needOf });
    const narrow = run.adapted?.report.widerThanLayer ?? [];
    if (narrow.length > 0)
      warn(
        `lora_r ${config.loraR} is more than ${narrow.length} layers are wide (${narrow[0]}, …): allowed, ` +
          `as in PEFT; the rows beyond add nothing new there.`,
      );
    warnOfPositions(run.model.config, data, config.maxSeqLength, warn);
    return {
      config,
      data,
      chosen,
      run,
      profile,
      [Symbol.dispose]: () => {
        run.training.optimizer.dispose();
        dispose();
      },
    }; // the optimizer closes its page file
  } catch (error) {
    dispose();
    throw error;
  }
}
