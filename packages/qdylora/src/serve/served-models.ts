import { QdyloraError, nearestName } from '@qdylora/contract';
import { rankSet, type Adapted } from '@qdylora/lora-dynamic';
import type { Tokenizer } from '@qdylora/data';
import type { CausalLm, DecodeView } from '@qdylora/models';
import type { PromptStyle } from '../recipes/opening/prompt-style.ts';

/** An adapter of the served base, with all its ranks. */
export interface ServedAdapter {
  readonly name: string;
  readonly adapted: Adapted<CausalLm>;
  /** Ranks that it was trained at, rising. */
  readonly ranks: readonly number[];
  /** False for an adapter of one rank. */
  readonly isNested: boolean;
  /** The rank of the name alone: that of the run's report, else the largest. */
  readonly recommendedRank: number;
  readonly tokenizer: Tokenizer;
  /** How conversations become prompts. */
  readonly style: PromptStyle;
  /** Ids that end a text; `chatStopIds` also has the token with which the chat template ends an answer. */
  readonly stopIds: readonly number[];
  readonly chatStopIds: readonly number[];
}

/** A model as a client names it: an adapter at a rank. */
export interface ServedModel {
  /** As the client wrote it. */
  readonly id: string;
  readonly adapter: ServedAdapter;
  /** 0: the base. */
  readonly rank: number;
  readonly view: DecodeView;
}

/** A model in the list of a server. */
export interface ListedModel {
  readonly id: string;
  readonly adapter: string;
  /** 0: the base. */
  readonly rank: number;
  readonly isRecommended: boolean;
  readonly usesTemplate: boolean;
}

export interface ServedModels {
  /** Of each adapter its name, its ranks and the base. */
  readonly list: readonly ListedModel[];
  /** @throws QdyloraError BAD_CONFIG for a name that is not served */
  find(id: string): ServedModel;
}

/** `smol`, `smol:base`, `smol:r8`. */
const MODEL_ID = /^(?<name>[^:]+)(?::(?:(?<base>base)|r(?<rank>\d{1,6})))?$/;

/**
 * Adapters by the names of their models: `name:r8`, `name:base`; `name` is the recommended rank.
 *
 * @param level bits a weight at which all of them are used
 */
export function servedModels(adapters: readonly ServedAdapter[], level: number): ServedModels {
  const list = adapters.flatMap(listOf);
  const unknown = (id: string): QdyloraError => {
    const nearest = nearestName(
      id,
      list.map((model) => model.id),
    );
    return new QdyloraError('BAD_CONFIG', {
      where: 'model',
      problem: `There is no model ${JSON.stringify(id)}`,
      nextStep: nearest
        ? `Did you mean ${nearest}?`
        : `There are ${list.map((model) => model.id).join(', ')}.`,
    });
  };
  return {
    list,
    find(id) {
      const { name, base, rank: rankText } = MODEL_ID.exec(id)?.groups ?? {};
      const adapter = adapters.find((each) => each.name === name);
      if (!adapter) throw unknown(id);
      const rank = base ? 0 : rankText === undefined ? adapter.recommendedRank : Number(rankText);
      if (rank === 0 && !base) throw unknown(id);
      if (rank > 0) assertRank(adapter, rank);
      const { adapted } = adapter;
      return {
        id,
        adapter,
        rank,
        view: rank === 0 ? adapted.base({ level }) : adapted.atRank(rank, { level }),
      };
    },
  };
}

function listOf({ name, ranks, recommendedRank, style: { usesTemplate } }: ServedAdapter): ListedModel[] {
  const at = (id: string, rank: number, isRecommended = false): ListedModel => ({
    id,
    adapter: name,
    rank,
    isRecommended,
    usesTemplate,
  });
  return [
    at(name, recommendedRank, true),
    at(`${name}:base`, 0),
    ...ranks.map((rank) => at(`${name}:r${rank}`, rank, rank === recommendedRank)),
  ];
}

/** Ranks between the trained ones work too, except for an adapter that is not nested. */
function assertRank({ name, ranks, isNested }: ServedAdapter, rank: number): void {
  const isUsable = isNested ? rank <= rankSet(ranks).maxRank : ranks.includes(rank);
  if (isUsable) return;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'model',
    problem: `The adapter ${name} has no rank ${rank}`,
    nextStep: `It has the ranks ${ranks.join(', ')}.`,
    details: { rank, ranks },
  });
}
