import type { ComputeDtype } from '@qdylora/tensor';
import type { ChosenBackend } from '../opening/choose-backend.ts';
import type { ModelSource } from '../opening/open-source.ts';
import type { AssembledRun } from './assemble-run.ts';
import type { RunData } from './load-data.ts';
import type { OpProfile } from './steps/op-profile.ts';
import type { RatedConfig } from './steps/default-learning-rate.ts';
import type { PreparedRun } from './prepare-run.ts';

/** A run up to its first step: rows read, model built and adapted. Disposing ends the backend. */
export interface OpenedRun extends Disposable {
  /** As requested, with the values that depend on the model and the machine. */
  readonly config: PreparedRun & RatedConfig & { readonly computeDtype: ComputeDtype };
  readonly source: ModelSource;
  readonly chosen: ChosenBackend;
  readonly data: RunData;
  readonly run: AssembledRun;
  /** Times of every op, where the run asks for them. */
  readonly profile: OpProfile | null;
}
