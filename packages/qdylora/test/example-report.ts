import { createRng } from '@qdylora/contract';
import { rankReport, type ExampleLosses, type RankReport } from '@qdylora/eval';
import type { BudgetReport } from '../src/recipes/budgets/budget-report.ts';
import type { ReportData, ReportEvaluation, ReportSamples, ReportStep } from '../src/report/report-data.ts';

/** Losses of seven ranks and of the base as a run on SmolLM2-135M and GSM8K has given them. */
const LOSSES: Readonly<Record<number, number>> = {
  1: 0.94,
  2: 0.9,
  4: 0.876,
  8: 0.86,
  16: 0.842,
  32: 0.824,
  64: 0.809,
};

export interface ExampleOptions {
  readonly losses?: Readonly<Record<number, number>>;
  readonly base?: number | null;
  readonly examples?: number;
  readonly steps?: number;
  /** How much examples differ in what a rank does for them. */
  readonly noise?: number;
}

/**
 * Data as a run makes them, for tests and for looking at the page: the statistics are real, the examples are
 * drawn.
 */
export function exampleReport({ steps = 150, ...options }: ExampleOptions = {}): ReportData {
  const ranks = exampleRanks(options);
  const chosen = ranks.smallestGoodRank;
  return {
    model: 'SmolLM2-135M-Instruct',
    dataset: 'gsm8k.jsonl',
    ranks,
    steps: exampleSteps(steps),
    evaluations: exampleEvaluations(steps, Object.keys(options.losses ?? LOSSES).map(Number)),
    notes: [],
    settings: Object.entries({
      Method: 'qdylora, sandwich',
      Ranks: '1 2 4 8 16 32 64',
      Scaling: 'sqrt, alpha 8',
      'Base weights': 'nf4, double quantization',
      'Adapted layers': '210 (all-linear)',
      Trainable: '19.5 M parameters',
      Steps: String(steps),
      Tokens: '184,320',
      'Rows a step': '8',
      'Learning rate': '2e-4, cosine, 5 % warm-up',
      Optimizer: 'adamw_32bit',
      'Held out': '200 rows',
      Backend: 'cpu amx_bf16, 2 threads',
      Seed: '0',
    }).map(([name, value]) => ({ name, value })),
    samples: exampleSamples(chosen),
    rate: {
      learningRate: 2e-3,
      defaultRate: 1.3e-3,
      ratio: 2e-3 / 1.3e-3,
      clippedShare: 0.12,
      largestRise: { share: 0.06, step: 41 },
      tuned: { method: 'successive_halving', highestStable: 4e-3, steps: 24, lowestDiverged: 8e-3 },
    },
    finish: {
      rank: chosen,
      share: 0.1,
      steps: Math.ceil(steps / 10),
      seconds: 50,
      command: `npx qdylora finish runs/smol --rank ${chosen} --output-dir runs/smol-r${chosen}-finished`,
    },
    nextCommand:
      `npx qdylora export --adapter runs/smol/adapter --rank ${chosen} --format peft --output-dir ` +
      `runs/smol-r${chosen}`,
  };
}

const exampleSamples = (chosen: number): ReportSamples => ({
  prompts: [
    {
      prompt:
        'Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in ' +
        'May. How many clips did Natalia sell altogether in April and May?',
      expected:
        'Natalia sold 48/2 = 24 clips in May.\nNatalia sold 48+24 = 72 clips altogether in April and ' +
        'May.\n#### 72',
      byRank: [
        {
          rank: 1,
          text:
            'Natalia sold 48 clips in April.\nShe sold half as many in May, so she sold 48 ' +
            'clips.\n#### 96',
        },
        {
          rank: chosen,
          text: 'In May she sold 48/2 = 24 clips.\nAltogether she sold 48+24 = 72 clips.\n#### 72',
        },
        {
          rank: 64,
          text: 'Natalia sold 48/2 = 24 clips in May.\nIn total she sold 48+24 = 72 clips.\n#### 72',
        },
      ],
    },
  ],
});

export function exampleRanks({
  losses = LOSSES,
  base = 1.93,
  examples = 200,
  noise = 0.08,
}: ExampleOptions = {}): RankReport {
  const rng = createRng(7);
  const lengths = rng.named('lengths');
  const hardness = rng.named('hardness');
  const counts = Array.from({ length: examples }, (_, i) => 60 + Math.round(80 * lengths.uniform(i)));
  const drawn = (mean: number, spread: number): ExampleLosses => {
    const noise = rng.named(`loss ${mean}`);
    const raw = counts.map((_, i) => 0.28 * hardness.normal(i) + spread * noise.normal(i));
    const centre =
      raw.reduce((sum, x, i) => sum + x * counts[i], 0) / counts.reduce((sum, count) => sum + count, 0);
    return {
      sums: Float64Array.from(counts, (count, i) => count * (mean + raw[i] - centre)),
      counts: Float64Array.from(counts),
    };
  };
  return rankReport({
    task: 'perplexity',
    base: base === null ? null : drawn(base, 0.15),
    adapterBytes: (rank) => rank * 305_280,
    measured: Object.entries(losses).map(([rank, mean]) => ({
      rank: Number(rank),
      losses: drawn(mean, noise),
    })),
  });
}

/** Sizes with a rank for each layer, which do as well as one rank of `saving` times their bytes. */
export function exampleBudgets(ranks: RankReport, saving = 1.6): BudgetReport {
  const cuts = ranks.ranks.slice(0, -1).map(({ rank, adapterBytes }, i) => ({
    ...ranks.ranks[i],
    budgetBytes: adapterBytes!,
    adapterBytes: Math.round(0.998 * adapterBytes!),
    smallestRank: Math.floor(rank / 4),
    largestRank: Math.min(64, 4 * rank),
  }));
  const next = (i: number) => ranks.ranks[Math.min(i + 1, ranks.ranks.length - 1)];
  return {
    rows: 64,
    budgets: cuts.map(({ budgetBytes, adapterBytes, smallestRank, largestRank, loss, standardError }, i) => {
      const cutLoss = loss + Math.log2(saving) * (next(i).loss - loss);
      return {
        budgetBytes,
        adapterBytes,
        smallestRank,
        largestRank,
        loss: cutLoss,
        standardError,
        perplexity: Math.exp(cutLoss),
      };
    }),
    smallestNotWorse: ranks.ranks.map(({ rank }, i) => {
      const cut = i === ranks.ranks.length - 1 ? null : cuts[Math.max(0, i - 1)];
      return {
        rank,
        budgetBytes: cut?.budgetBytes ?? null,
        difference: cut && { mean: 0.001, standardError: 0.002, pValue: 0.6 },
      };
    }),
  };
}

/** Steps as the default takes them: rank 64 alone at first, then also a drawn rank and rank 1. */
function exampleSteps(count: number): ReportStep[] {
  const rng = createRng(11);
  const drawn = [2, 4, 8, 16, 32, 64, 64, 64, 64, 64];
  return Array.from({ length: count }, (_, i) => {
    const rank = drawn[Math.floor(rng.uniform(i) * drawn.length)];
    const fall = Math.exp((-18 * i) / Math.max(count, 100));
    return {
      step: i + 1,
      ranks: 2 * i < count ? [64] : [...new Set([64, rank, 1])],
      loss: 0.83 + 0.9 * fall + 0.02 * (6 - Math.log2(rank)) + 0.16 * (rng.uniform(i, 1) - 0.5),
      learningRate: 2e-4,
    };
  });
}

/** An evaluation every tenth of the run: larger ranks start slower and end lower. */
function exampleEvaluations(steps: number, ranks: readonly number[]): ReportEvaluation[] {
  const at = [...new Set(Array.from({ length: 10 }, (_, i) => Math.ceil(((i + 1) * steps) / 10)))];
  return at.map((step) => {
    const byRank = ranks.map((rank) => ({
      rank,
      loss:
        0.8 +
        0.15 / Math.sqrt(rank) +
        (0.25 + 0.05 * Math.log2(rank)) * Math.exp((-4 * step) / Math.max(steps, 1)),
    }));
    return {
      step,
      byRank,
      bestRank: byRank.reduce((best, one) => (one.loss < best.loss ? one : best)).rank,
      aurac: 1.93 - byRank.reduce((sum, { loss }) => sum + loss, 0) / byRank.length,
    };
  });
}
