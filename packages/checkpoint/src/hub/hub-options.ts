import {
  abortSignal,
  numberWithin,
  orNull,
  required,
  someFunction,
  someText,
  trueOrFalse,
  type OptionRules,
} from '@qdylora/contract';

/** Progress of a download: received and total bytes of one file. */
export interface HubProgress {
  readonly repository: string;
  readonly file: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** Source and cache of models. */
export interface HubOptions {
  /** The cache's folder: `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`. */
  readonly cacheFolder: string;
  /** `https://huggingface.co`, or a mirror. */
  readonly endpoint: string;
  /** Sent to the endpoint's own host only. */
  readonly token: string | null;
  /** True: no request to any server. */
  readonly isOffline: boolean;
  readonly onProgress?: (progress: HubProgress) => void;
  /**
   * Called with one line for the user, for example that a cached model is used because the hub does not
   * answer.
   */
  readonly onNotice?: (message: string) => void;
  readonly signal?: AbortSignal;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
  /** Longest silence of a server before it counts as unreachable. Default: a minute. */
  readonly longestSilenceMs?: number;
  /** Waits between two tries; tests replace it. */
  readonly sleep?: (milliseconds: number) => Promise<void>;
}

export const HUB_RULES: OptionRules<HubOptions> = {
  cacheFolder: required(someText),
  endpoint: required(someText),
  token: required(orNull(someText)),
  isOffline: required(trueOrFalse),
  onProgress: someFunction,
  onNotice: someFunction,
  signal: abortSignal,
  fetch: someFunction,
  longestSilenceMs: numberWithin({ above: 0 }),
  sleep: someFunction,
};
