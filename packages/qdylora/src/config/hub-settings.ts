import { homedir } from 'node:os';
import { join } from 'node:path';
import type { HubOptions } from '@qdylora/checkpoint';

/** Variables of Hugging Face's own libraries; equal ones mean the same here. */
export type HubEnvironment = Readonly<Record<string, string | undefined>>;

const isTrue = (value: string | undefined): boolean => /^(1|true|yes|on)$/i.test(value ?? '');

/**
 * Cache, endpoint, token and offline mode: `HF_HUB_CACHE`, `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`,
 * `HF_HUB_OFFLINE`.
 */
export function hubSettings(
  env: HubEnvironment,
): Pick<HubOptions, 'cacheFolder' | 'endpoint' | 'token' | 'isOffline'> {
  const home = env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
  return {
    cacheFolder: env.HF_HUB_CACHE || join(home, 'hub'),
    endpoint: (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, ''),
    token: env.HF_TOKEN?.trim() || null, // one read from a file ends with a line break
    isOffline: isTrue(env.HF_HUB_OFFLINE),
  };
}
