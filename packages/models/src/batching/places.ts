import type { DecodeRequest } from './decode-request.ts';
import { reusableTokens, type DecodeRow } from './decode-row.ts';
import { createKeptPrompts, LEAST_SHARED, sharedTokens, type KeptPrompt } from './kept-prompts.ts';
import type { KvPool } from './kv-pool.ts';
import type { TokenRange } from './token-ranges.ts';

/** The place of a request in the pool. */
export interface Place {
  readonly range: TokenRange;
  /** First tokens of its prompt whose keys and values are there already. */
  readonly filled: number;
}

/** Gives requests their places in a pool, and copies what their prompts have in common with others. */
export interface Places {
  /** Places of the pool that running requests have. */
  readonly reservedTokens: number;
  /** Tokens of prompts that were taken over from other ones. */
  readonly sharedTokens: number;
  /** True where a running request still reads tokens that this one could take over. */
  isBeingRead(request: DecodeRequest): boolean;
  /** Null: there is no room. */
  take(request: DecodeRequest): Place | null;
  /** Takes back the place of a request that is over, and keeps its prompt as long as there is room. */
  giveBack(row: DecodeRow): void;
}

/** Tokens in the pool with which a request begins. */
interface Beginning {
  /** The kept prompt that has them; null: a running request has them. */
  readonly kept: KeptPrompt | null;
  readonly range: TokenRange | null;
  readonly tokens: number;
}

const NOTHING: Beginning = { kept: null, range: null, tokens: 0 };

export function createPlaces(pool: KvPool, running: () => readonly DecodeRow[]): Places {
  const { ranges } = pool;
  const keptPrompts = createKeptPrompts(ranges);
  let taken = 0;

  /** Places for a request. Kept prompts give way, but not `spared`. */
  function reserve(places: number, spared: KeptPrompt | null): TokenRange | null {
    for (;;) {
      const range = ranges.reserve(places);
      if (range || !keptPrompts.evict(spared)) return range;
    }
  }

  /** The range in the pool that begins most like the request, and how many tokens can be taken over. */
  function beginningOf(request: DecodeRequest): Beginning {
    const kept = keptPrompts.longestOf(request);
    const candidates: Beginning[] = running().map(({ request: other, range, promptTokensRead }) => ({
      kept: null,
      range,
      tokens: Math.min(sharedTokens(other, request), promptTokensRead),
    }));
    if (kept) candidates.push({ kept, range: kept.range, tokens: sharedTokens(kept, request) });
    const best = candidates.reduce((most, each) => (each.tokens > most.tokens ? each : most), NOTHING);
    const tokens = Math.min(best.tokens, reusableTokens(request));
    return tokens < LEAST_SHARED ? NOTHING : { ...best, tokens };
  }

  return {
    get reservedTokens() {
      return ranges.capacity - ranges.freeTokens - keptPrompts.tokens;
    },
    get sharedTokens() {
      return taken;
    },
    isBeingRead(request) {
      const readers = running().filter((row) => row.promptTokensRead < row.request.prompt.length);
      if (readers.length === 0) return false;
      const reusable = reusableTokens(request);
      const worthwhile = beginningOf(request).tokens + LEAST_SHARED;
      return readers.some((row) => Math.min(sharedTokens(row.request, request), reusable) >= worthwhile);
    },
    take(request) {
      const beginning = beginningOf(request);
      if (beginning.kept) keptPrompts.touch(beginning.kept);
      const range = reserve(request.places, beginning.kept);
      if (range) {
        copyBeginning(pool, beginning, range);
        taken += beginning.tokens;
        return { range, filled: beginning.tokens };
      }
      const emptied = beginning.kept && reserve(request.places, null);
      return emptied && { range: emptied, filled: 0 };
    },
    giveBack({ request, range, promptTokensRead }) {
      keptPrompts.keep(request, promptTokensRead, range);
    },
  };
}

/** Copies the tokens of a beginning to a new range, which is released if that fails. */
function copyBeginning(pool: KvPool, { range: from, tokens }: Beginning, to: TokenRange): void {
  try {
    if (from) pool.copyTokens(from, to, tokens);
  } catch (error) {
    pool.ranges.release(to);
    throw error;
  }
}
