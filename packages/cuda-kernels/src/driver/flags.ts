/** Of `cuStreamCreate`: the stream does not wait for work of others on the default stream. */
export const STREAM_NON_BLOCKING = 1;

/** Of `cuEventCreate`: a thread that waits for the event sleeps. */
export const EVENT_BLOCKING_SYNC = 1;
/** Of `cuEventCreate`: the event only orders work. */
export const EVENT_DISABLE_TIMING = 2;
