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

/** What a download is told about: bytes of one file so far, and how many it has. */
export interface HubProgress {
  readonly repository: string;
  readonly file: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** Where models come from and where they are kept. */
export interface HubOptions {
  /** The cache's folder: `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`. */
  readonly cacheFolder: string;
  /** `https://huggingface.co`, or a mirror. */
  readonly endpoint: string;
  /** Sent to the endpoint's own host only. */
  readonly token: string | null;
  /** Nothing is asked of any server. */
  readonly isOffline: boolean;
  readonly onProgress?: (progress: HubProgress) => void;
  /**
   * Told in one line what a person should know: that a cached model is used because the hub does not answer,
   * for one.
   */
  readonly onNotice?: (message: string) => void;
  readonly signal?: AbortSignal;
  /** Default: the global one. */
  readonly fetch?: typeof globalThis.fetch;
  /** How long a server may send nothing until it counts as gone: a minute by default. */
  readonly longestSilenceMs?: number;
  /** Waits between two tries; a test needs no waiting. */
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
