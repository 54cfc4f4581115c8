/** Detects a server that no longer sends anything. */
export interface Listening {
  /** Aborts after too long a silence, or with the caller's signal. */
  readonly signal: AbortSignal;
  /** Restarts the wait; call it for each received part. */
  heard(): void;
  end(): void;
}

/** Creates the detector. @param longestMs longest silence in milliseconds */
export function listenFor(longestMs: number, signal: AbortSignal | undefined): Listening {
  const silence = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => clearTimeout(timer);
  const heard = (): void => {
    end();
    timer = setTimeout(() => silence.abort(new Error(`nothing for ${longestMs / 1000} s`)), longestMs);
  };
  heard();
  return { signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal, heard, end };
}
