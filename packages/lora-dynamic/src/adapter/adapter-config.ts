import {
  anyValue,
  checkOptions,
  numberWithin,
  optionRule,
  QdyloraError,
  required,
  shownValue,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import { rankSet, type RankSet } from '../ranks/rank-set.ts';
import { RANK_SCALINGS, type RankScaling } from '../ranks/scaling.ts';
import { UPDATE_RULES, type UpdateRule } from '../ranks/update-rule.ts';

/**
 * The linear layers that get an adapter, by the rules of PEFT: `all-linear`, a list of names or dotted name
 * ends, or one regular expression for the whole name. `all-linear` matches every `Linear` of the tree. The
 * head of a model of @qdylora/models is not a `Linear`, so it never matches.
 */
export type TargetModules = 'all-linear' | (string & {}) | readonly string[];

/** Options of an adapter: its ranks, the factor on B·A at each, and the layers that get one. */
export interface AdapterConfig {
  /** The ranks that the adapter is trained for; A and B have as many rows as the largest. */
  readonly ranks: RankSet | readonly number[];
  /** Numerator of the factor on B·A: see `RankScaling`. Default 8. */
  readonly alpha?: number;
  /** Default `sqrt`. */
  readonly scaling?: RankScaling;
  /** Default `all-linear`. */
  readonly targetModules?: TargetModules;
  /** Default `prefix`. */
  readonly updateRule?: UpdateRule;
  /** Probability of dropping an entry of an adapter's input while training. Default 0. */
  readonly dropout?: number;
  /** Seed of the first values of A. Default 0. */
  readonly seed?: number;
}

/** An `AdapterConfig` with all defaults, checked. */
export interface ResolvedAdapterConfig {
  readonly ranks: RankSet;
  readonly alpha: number;
  readonly scaling: RankScaling;
  readonly targetModules: TargetModules;
  readonly updateRule: UpdateRule;
  readonly dropout: number;
  readonly seed: number;
}

const isRanks = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Symbol.iterator in value;
const isTargets = (value: unknown): boolean =>
  typeof value === 'string' || (Array.isArray(value) && value.every((name) => typeof name === 'string'));

/** `resolveAdapterConfig` checks the values with `anyValue` itself. */
const OPTIONS: OptionRules<AdapterConfig> = {
  ranks: required(optionRule('a list of ranks, such as [1, 2, 4, 8]', isRanks)),
  alpha: anyValue,
  scaling: anyValue,
  targetModules: optionRule("'all-linear', a regular expression or a list of names", isTargets),
  updateRule: anyValue,
  dropout: numberWithin({ least: 0, below: 1 }),
  seed: wholeNumber(),
};

/** Fills in the defaults.  @throws QdyloraError BAD_ARGUMENT that names the invalid option */
export function resolveAdapterConfig(config: AdapterConfig): ResolvedAdapterConfig {
  checkOptions('attachDyLora', config, OPTIONS);
  const {
    alpha = 8,
    scaling = 'sqrt',
    targetModules = 'all-linear',
    updateRule = 'prefix',
    dropout = 0,
    seed = 0,
  } = config;
  check(Number.isFinite(alpha) && alpha > 0, 'lora_alpha', '`alpha` must be a number > 0', alpha);
  check(
    RANK_SCALINGS.includes(scaling),
    'lora_scaling',
    `\`scaling\` must be one of ${RANK_SCALINGS.join(', ')}`,
    scaling,
  );
  check(
    UPDATE_RULES.includes(updateRule),
    'update_rule',
    `\`updateRule\` must be one of ${UPDATE_RULES.join(', ')}`,
    updateRule,
  );
  return {
    ranks: 'blockStart' in config.ranks ? config.ranks : rankSet(config.ranks),
    alpha,
    scaling,
    targetModules,
    updateRule,
    dropout,
    seed,
  };
}

function check(holds: boolean, where: string, rule: string, value: unknown): void {
  if (!holds)
    throw new QdyloraError('BAD_ARGUMENT', {
      where,
      problem: `${rule} (got ${shownValue(value)})`,
    });
}
