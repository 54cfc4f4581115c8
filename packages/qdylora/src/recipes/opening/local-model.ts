import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fetchConfig, fetchModel, isHubName, type HubProgress } from '@qdylora/checkpoint';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { hubSettings, type HubEnvironment } from '../../config/hub-settings.ts';
import type { Warn } from '../hooks.ts';

/** Smaller files are not reported. */
const TOLD_FROM_BYTES = 10 * 2 ** 20;
const TENTHS = 10;

export interface LocalModelOptions {
  /** Called for downloads: when a large file begins, and at each tenth of it. */
  readonly tell?: Warn;
  readonly signal?: AbortSignal;
  /** Where the hub, its cache and its token are; the process's own by default. */
  readonly env?: HubEnvironment;
}

/**
 * The path of a model: a folder or file as it is. A name on the hub (`org/name[@revision]`), where no such
 * path exists, is downloaded into the cache.
 *
 * @throws QdyloraError as `fetchModel` does
 */
export async function localModel(
  model: string,
  { tell, signal, env = process.env }: LocalModelOptions = {},
): Promise<string> {
  if (existsSync(model) || !isHubName(model)) return model;
  return fetchModel(model, {
    ...hubSettings(env),
    signal,
    onNotice: tell,
    onProgress: tell && tenthsOf(tell),
  });
}

/**
 * The path of a model's description: `config.json` of a folder, or of a name on the hub, whose weights are
 * not downloaded; a file as it is.
 *
 * @throws QdyloraError as `fetchConfig` does
 */
export async function localConfig(
  model: string,
  { tell, signal, env = process.env }: LocalModelOptions = {},
): Promise<string> {
  if (!existsSync(model) && isHubName(model))
    return fetchConfig(model, { ...hubSettings(env), signal, onNotice: tell });
  return existsSync(model) && statSync(model).isDirectory() ? join(model, 'config.json') : model;
}

/** Progress as a few lines of text. */
function tenthsOf(tell: Warn): (progress: HubProgress) => void {
  let last = '';
  return ({ repository, file, doneBytes, totalBytes }) => {
    const tenth = Math.floor((TENTHS * doneBytes) / totalBytes);
    const key = `${file} ${tenth}`;
    if (totalBytes < TOLD_FROM_BYTES || key === last) return;
    last = key;
    tell(`${repository} ${file}: ${byteSizeText(doneBytes)} of ${byteSizeText(totalBytes)}`);
  };
}
