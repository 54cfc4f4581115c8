/** One round: so many candidates train up to the same step, then the worse half ends. */
export interface HalvingRound {
  readonly candidates: number;
  /** Step that all candidates of the round reach. */
  readonly untilStep: number;
}

/** The rounds of a search, and the optimizer steps that they take together. */
export interface HalvingPlan {
  readonly rounds: readonly HalvingRound[];
  readonly steps: number;
}

/**
 * Successive halving (Jamieson & Talwalkar 2016): n candidates train f steps, the better half 2f, the better
 * quarter 4f … until two are compared. f is the largest number of steps with which the rounds and one further
 * candidate in the last round stay within the budget:
 *
 *   f · (Σ_k n_k · (2^k − 2^(k−1)) + 2^(K−1)) ≤ budget, n_k = ⌈n / 2^k⌉, with 0 for 2^(−1)
 *
 * @param budget optimizer steps of all candidates together
 * @returns null where the budget is less than one step each
 */
export function planHalving(candidates: number, budget: number): HalvingPlan | null {
  const survivors = survivorsOf(candidates);
  const first = Math.floor(budget / leastBudget(candidates));
  if (first < 1) return null;
  const rounds = survivors.map((count, k) => ({ candidates: count, untilStep: first * 2 ** k }));
  return { rounds, steps: stepsOf(rounds) };
}

/** Least budget with which `planHalving` finds a plan. */
export function leastBudget(candidates: number): number {
  const survivors = survivorsOf(candidates);
  const unit = stepsOf(survivors.map((count, k) => ({ candidates: count, untilStep: 2 ** k })));
  return unit + 2 ** (survivors.length - 1); // and one further candidate in the last round
}

/** Candidates of each round: n, ⌈n/2⌉, … down to 2; a single candidate has one round. */
function survivorsOf(candidates: number): number[] {
  const survivors = [candidates];
  while (survivors.at(-1)! > 2) survivors.push(Math.ceil(survivors.at(-1)! / 2));
  return survivors;
}

/** Steps of all rounds: a candidate continues from where its last round ended. */
export const stepsOf = (rounds: readonly HalvingRound[]): number =>
  rounds.reduce((sum, { candidates, untilStep }, k) => {
    const begin = k === 0 ? 0 : rounds[k - 1].untilStep;
    return sum + candidates * (untilStep - begin);
  }, 0);
