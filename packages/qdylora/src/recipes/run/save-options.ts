import { elementCount } from '@qdylora/contract';
import type { SaveOptions } from '@qdylora/trainer';
import { writeAdapted } from '../adapter/write-adapter.ts';
import { absentValues, runIdentity } from '../run-folder/run-identity.ts';
import { adapterMetadata } from './adapter-metadata.ts';
import type { OpenedRun } from './opened-run.ts';
import type { RunSession } from './run-session.ts';
import { hashOfExamples, tokensHash } from './tokens-hash.ts';

/** The last save waits for room on a full disk, so that finished training is not lost. */
const WAIT_FOR_ROOM_SECONDS = 600;

/** Where and how often a run saves, and the values that a resumed run must share with it. */
export function saveOptions(opened: OpenedRun, isJudged: boolean, { fs }: RunSession): SaveOptions {
  const { config, run } = opened;
  const { adapted } = run;
  return {
    folder: config.outputDir,
    every: config.saveSteps || null,
    totalLimit: config.saveTotalLimit,
    fs,
    otherBytes: resultBytes(opened, isJudged),
    waitForRoomSeconds: WAIT_FOR_ROOM_SECONDS,
    config: runIdentityOf(opened),
    absentConfig: absentValues(config),
    writeBest: adapted ? (folder) => writeAdapted(folder, adapted, adapterMetadata(opened)) : undefined,
  };
}

/** The values that make a run what it is: its options, model and rows. */
export const runIdentityOf = ({ config, source, data, run }: OpenedRun) =>
  runIdentity(config, {
    fingerprint: source.fingerprint,
    rows: data.training.length,
    rowsHash: data.report.fingerprint,
    tokensHash: tokensHash(data.training),
    heldOutHash: () => hashOfExamples(data.heldOut),
    totalSteps: run.totalSteps,
  });

/**
 * Bytes beside the checkpoints: the adapter and, where rows are held out, the best one; or the whole model.
 */
function resultBytes(
  { run: { model, adapted, training }, config: { saveDtype } }: OpenedRun,
  isJudged: boolean,
): number {
  const parameters = adapted ? training.optimizer.parameters : model.parameters();
  const elements = parameters.reduce((sum, { view }) => sum + elementCount(view.shape), 0);
  return adapted ? 4 * elements * (isJudged ? 2 : 1) : (saveDtype === 'bf16' ? 2 : 4) * elements;
}
