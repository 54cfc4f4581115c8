import type { CausalLm } from '../decoder/causal-lm.ts';
import type { TokenRange, TokenRanges } from './token-ranges.ts';

/** A prompt at one rank of one model. */
export interface RankedPrompt {
  readonly model: CausalLm;
  readonly rank: number;
  readonly prompt: readonly number[];
}

/** A prompt whose keys and values are in a range of the pool. */
export interface KeptPrompt extends RankedPrompt {
  readonly range: TokenRange;
}

/**
 * Prompts of requests that are over, whose keys and values are still in the pool: a later request that begins
 * alike need not compute them again. They give way when a request needs the room.
 */
export interface KeptPrompts {
  /** Places in the pool that they take. */
  readonly tokens: number;
  /** Takes over the range of a request whose first `tokens` tokens are read. */
  keep(request: RankedPrompt, tokens: number, range: TokenRange): void;
  /** The prompt that has the most first tokens in common; of equal ones the one that was used last. */
  longestOf(request: RankedPrompt): KeptPrompt | null;
  /** The prompt is used now: it is the last one to be evicted. */
  touch(prompt: KeptPrompt): void;
  /** Releases the prompt that was used longest ago, but not `spared`. False: there is none. */
  evict(spared: KeptPrompt | null): boolean;
}

/** Shorter beginnings are computed again: that takes as long as to copy them. */
export const LEAST_SHARED = 16;

export function createKeptPrompts(ranges: TokenRanges): KeptPrompts {
  /** The one that was used longest ago first. */
  const kept = new Set<KeptPrompt>();
  const drop = (prompt: KeptPrompt): void => {
    kept.delete(prompt);
    ranges.release(prompt.range);
  };
  return {
    get tokens() {
      return [...kept].reduce((sum, { range }) => sum + range.length, 0);
    },
    keep({ model, rank, prompt }, tokens, range) {
      const read: RankedPrompt = { model, rank, prompt: prompt.slice(0, tokens) };
      const covering = [...kept].find((other) => sharedTokens(other, read) === tokens);
      if (tokens < LEAST_SHARED || covering) return ranges.release(range);
      for (const other of [...kept]) if (sharedTokens(other, read) === other.prompt.length) drop(other);
      kept.add({ ...read, range: ranges.shrink(range, tokens) });
    },
    longestOf(request) {
      let longest: KeptPrompt | null = null;
      let most = 0;
      for (const prompt of kept) {
        const shared = sharedTokens(prompt, request);
        if (shared === 0 || shared < most) continue;
        longest = prompt;
        most = shared;
      }
      return longest;
    },
    touch(prompt) {
      if (kept.delete(prompt)) kept.add(prompt);
    },
    evict(spared) {
      const oldest = [...kept].find((prompt) => prompt !== spared);
      if (oldest) drop(oldest);
      return oldest !== undefined;
    },
  };
}

/** How many first tokens two prompts have in common: 0 at other ranks. */
export function sharedTokens(a: RankedPrompt, b: RankedPrompt): number {
  if (a.model !== b.model || a.rank !== b.rank) return 0;
  const most = Math.min(a.prompt.length, b.prompt.length);
  let count = 0;
  while (count < most && a.prompt[count] === b.prompt[count]) count++;
  return count;
}
