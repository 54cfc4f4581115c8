import { stepsOf, type HalvingPlan } from './plan-halving.ts';

/** What a search tries: a learning rate, and the alpha that it is tried with. */
export interface Candidate {
  /** Position in the grid of rates; 0 is the rate of the run. */
  readonly exponent: number;
  readonly learningRate: number;
  readonly loraAlpha: number;
}

/** How far a candidate came. */
export interface TriedCandidate extends Candidate {
  readonly steps: number;
  /** The newest judged loss; NaN where a step overflowed. */
  readonly loss: number;
  /** The loss is NaN, or above that of the start. */
  readonly hasDiverged: boolean;
  /** Losses after each of its rounds. */
  readonly history: readonly { readonly step: number; readonly loss: number }[];
}

/** Trains one candidate from where it stopped, and frees what it needs. */
export interface Trial {
  /** Trains up to `step` and judges. `loss` is NaN, with fewer steps, if a step overflows before. */
  trainTo(step: number): Promise<{ readonly steps: number; readonly loss: number }>;
  dispose(): void;
}

export interface SearchOptions {
  readonly plan: HalvingPlan;
  /** Optimizer steps of all candidates together. */
  readonly budget: number;
  /** Loss before any step: a candidate above it has diverged. */
  readonly startLoss: number;
  /** The candidate at a place beyond the grid, beside the best one. */
  readonly neighbour: (candidate: Candidate, direction: -1 | 1) => Candidate;
  readonly open: (candidate: Candidate) => Promise<Trial>;
}

export interface SearchResult {
  /** The best one of the last round; null where every candidate diverged. */
  readonly best: TriedCandidate | null;
  /** All of them, by rate and alpha. */
  readonly tried: readonly TriedCandidate[];
  readonly spentSteps: number;
  /** Candidates that were added because the best one was at the edge. */
  readonly extensions: readonly Candidate[];
}

interface Running {
  tried: TriedCandidate;
  readonly trial: Trial;
}

/**
 * Successive halving over candidates (Jamieson & Talwalkar 2016, "Non-stochastic best arm identification").
 * All candidates of a round reach the same step; the better half goes on. A diverged candidate ends at once.
 * While the best one is at the edge of the grid and the budget has room, its neighbour beyond the edge is
 * trained to the same step and takes part. Only candidates that may still go on are held in memory.
 *
 * It never takes more optimizer steps than `budget`.
 */
export async function halveCandidates(
  grid: readonly Candidate[],
  options: SearchOptions,
): Promise<SearchResult> {
  const { rounds } = options.plan;
  const extensions: Candidate[] = [];
  const field = openField(options);
  try {
    for (const [k, { untilStep }] of rounds.entries()) {
      const round = { untilStep, places: rounds[k + 1]?.candidates ?? 1 };
      if (k === 0) for (const candidate of grid) await field.enter(candidate, round);
      else await field.advanceAll(round);
      const laterSteps = stepsOf(rounds) - stepsOf(rounds.slice(0, k + 1));
      for (;;) {
        const extension = field.missingNeighbour();
        if (!extension || field.spentSteps() + untilStep + laterSteps > options.budget) break;
        extensions.push(extension);
        await field.enter(extension, round);
      }
    }
    return { best: field.best(), tried: field.tried(), spentSteps: field.spentSteps(), extensions };
  } finally {
    field.dispose();
  }
}

/** The step that a round reaches, and how many go on after it. */
interface Round {
  readonly untilStep: number;
  readonly places: number;
}

/** The candidates that have ended, and those that still run, best first. */
interface Field {
  /** Trains a new candidate up to the step of the round; it takes a place if it is good enough. */
  enter(candidate: Candidate, round: Round): Promise<void>;
  /** Trains all running candidates on, and ends those without a place. */
  advanceAll(round: Round): Promise<void>;
  /** The candidate that the grid lacks: beside the best one, or below a grid that diverged as a whole. */
  missingNeighbour(): Candidate | null;
  best(): TriedCandidate | null;
  /** All of them, by rate and alpha. */
  tried(): TriedCandidate[];
  spentSteps(): number;
  dispose(): void;
}

function openField({ startLoss, neighbour, open }: Omit<SearchOptions, 'plan' | 'budget'>): Field {
  const ended: TriedCandidate[] = [];
  const openTrials = new Set<Trial>();
  let running: Running[] = [];
  let spentSteps = 0;
  const end = ({ trial, tried }: Running): void => {
    openTrials.delete(trial);
    trial.dispose();
    ended.push(tried);
  };
  const tried = (): TriedCandidate[] => [...ended, ...running.map((one) => one.tried)].sort(byValue);

  async function advance(one: Running, { untilStep, places }: Round): Promise<void> {
    const { steps, loss } = await one.trial.trainTo(untilStep);
    spentSteps += steps - one.tried.steps;
    const history = [...one.tried.history, { step: steps, loss }];
    one.tried = { ...one.tried, steps, loss, hasDiverged: !(loss <= startLoss), history };
    if (one.tried.hasDiverged) return end(one);
    running = [...running, one].sort(byLoss);
    running.splice(places).forEach(end);
  }

  return {
    async enter(candidate, round) {
      const untried = { ...candidate, steps: 0, loss: NaN, hasDiverged: false, history: [] };
      const trial = await open(candidate);
      openTrials.add(trial);
      await advance({ tried: untried, trial }, round);
    },
    async advanceAll(round) {
      for (const one of running.splice(0)) await advance(one, round);
    },
    missingNeighbour() {
      const all = tried();
      const best = running[0]?.tried;
      const beside = best ? [neighbour(best, 1), neighbour(best, -1)] : [neighbour(all[0], -1)];
      return beside.find((candidate) => !all.some((other) => isSame(candidate, other))) ?? null;
    },
    best: () => running[0]?.tried ?? null,
    tried,
    spentSteps: () => spentSteps,
    dispose: () => openTrials.forEach((trial) => trial.dispose()),
  };
}

const byLoss = (a: Running, b: Running): number => a.tried.loss - b.tried.loss || byValue(a.tried, b.tried);

const byValue = (a: Candidate, b: Candidate): number =>
  a.learningRate - b.learningRate || a.loraAlpha - b.loraAlpha;

const isSame = (a: Candidate, b: Candidate): boolean =>
  a.exponent === b.exponent && a.loraAlpha === b.loraAlpha;
