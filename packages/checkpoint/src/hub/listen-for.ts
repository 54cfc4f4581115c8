/** What tells a server that has gone from one that is slow. */
export interface Listening {
  /** Aborts where nothing was heard for too long, or where the caller's own does. */
  readonly signal: AbortSignal;
  /** Something came: the wait begins anew. */
  heard(): void;
  end(): void;
}

/** @param longestMs how long a server may send nothing */
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
