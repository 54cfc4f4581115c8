import { QdyloraError } from '@qdylora/contract';
import type { Tokenizer } from '@qdylora/data';
import type { Adapted } from '@qdylora/lora-dynamic';
import { familyOf, type CausalLm } from '@qdylora/models';
import { mergeExplicit, valuesOfFlags, type ExplicitValues } from '../config/explicit-values.ts';
import type { OutputOf } from '../config/values/check-values.ts';
import { SERVE_KEYS } from '../config/serve-keys.ts';
import type { AdapterSidecar, StoredTemplate } from '../recipes/adapter/adapter-sidecar.ts';
import { baseQuantization, quantizationText } from '../recipes/adapter/base-quantization.ts';
import { attachAdapter } from '../recipes/adapter/attach-adapter.ts';
import { readAdapter, type ReadAdapter } from '../recipes/adapter/read-adapter.ts';
import { chosenTemplate, closingNote } from '../recipes/opening/chosen-template.ts';
import { openTokenizer } from '../recipes/opening/open-base.ts';
import {
  checkModelValues,
  openModel,
  openModelSource,
  type OpenModel,
} from '../recipes/opening/open-model.ts';
import type { ModelSource } from '../recipes/opening/open-source.ts';
import { promptStyle } from '../recipes/opening/prompt-style.ts';
import { assertBaseExists } from '../recipes/finish/read-finished-run.ts';
import { stopIdsOf } from '../recipes/outputs/stop-ids.ts';
import type { AdapterSource } from './adapter-source.ts';
import { assertGuarded } from './assert-guarded.ts';
import { assertCanListen } from './listen.ts';
import { serverSizes, type ServerSizes } from './server-sizes.ts';
import { servedModels, type ServedAdapter, type ServedModels } from './served-models.ts';
import type { Warn } from '../recipes/hooks.ts';

export type ServeConfig = OutputOf<typeof SERVE_KEYS>;

/** A base in memory with all adapters around it. */
export interface OpenServedModels extends Disposable {
  readonly config: ServeConfig;
  readonly opened: OpenModel;
  readonly models: ServedModels;
  readonly sizes: ServerSizes;
}

/**
 * Loads the base once and attaches all adapters to it.
 *
 * @throws QdyloraError BAD_CONFIG, MISSING_FILE, BAD_ADAPTER, …
 */
export async function openServedModels(
  sources: readonly AdapterSource[],
  explicit: ExplicitValues,
  warn: Warn,
): Promise<OpenServedModels> {
  assertDistinct(sources);
  const reads = sources.map(({ folder }) => readAdapter(folder));
  assertOneBase(reads, explicit.has('quantization'));
  const [first] = sources;
  const { folder } = reads.find(({ sidecar }) => sidecar !== null) ?? reads[0];
  const config = checkModelValues(SERVE_KEYS, mergeExplicit(explicit, valuesOfFlags({ adapter: folder })));
  assertGuarded(config.host, config.apiKey);
  await assertCanListen(config);
  const model = config.model ?? first.model ?? reads[0].baseModel;
  if (config.model === null) assertBaseExists(first.folder, first.model);
  const opening = { adapter: reads[0], warn };
  const openedSource = await openModelSource({ ...config, model }, opening);
  const { config: files, name } = openedSource;
  // what may be refused, before the weights
  const sizes = serverSizes(config, familyOf(files.modelType, name).readConfig(files));
  const tokenizers: ServedTokenizer[] = [];
  for (const source of sources) tokenizers.push(await servedTokenizer(openedSource, source.folder, config));
  const opened = await openModel({ ...config, model }, { ...opening, source: openedSource });
  try {
    const adapters: ServedAdapter[] = [];
    for (const [i, source] of sources.entries()) {
      const facts = { ...opened.source, warn };
      const adapted = i === 0 ? opened.adapter!.adapted : await attachAdapter(opened.model, reads[i], facts);
      adapters.push(servedAdapter(opened, { source, read: reads[i], adapted, config, warn }, tokenizers[i]));
    }
    const models = servedModels(adapters, opened.level);
    return { config, opened, models, sizes, [Symbol.dispose]: opened.dispose };
  } catch (error) {
    opened.dispose();
    throw error;
  }
}

interface ServedTokenizer {
  readonly tokenizer: Tokenizer;
  /** That of the command or of the adapter; null: that of the tokenizer. */
  readonly template: StoredTemplate | null;
}

/** @throws QdyloraError BAD_CONFIG for a model without a tokenizer */
async function servedTokenizer(
  { tokenizerFolder, name }: ModelSource,
  adapter: string,
  { chatTemplate }: ServeConfig,
): Promise<ServedTokenizer> {
  const template = chosenTemplate({ chatTemplate, adapter });
  const tokenizer = await openTokenizer(tokenizerFolder, template);
  if (tokenizer) return { tokenizer, template };
  throw new QdyloraError('BAD_CONFIG', {
    where: name,
    problem: 'The model has no tokenizer, so it cannot be served.',
    nextStep: 'Put tokenizer.json beside its weights.',
  });
}

interface AdapterParts {
  readonly source: AdapterSource;
  readonly read: ReadAdapter;
  readonly adapted: Adapted<CausalLm>;
  readonly config: ServeConfig;
  readonly warn: Warn;
}

function servedAdapter(
  { source: { stopIds } }: OpenModel,
  { source, read, adapted, config: { chatTemplate }, warn }: AdapterParts,
  { tokenizer, template }: ServedTokenizer,
): ServedAdapter {
  const { ranks, maxRank } = read.state;
  const trained = chatTemplate === null ? (read.sidecar?.prompt ?? null) : null;
  const style = promptStyle(tokenizer, trained, false);
  const endless = style.usesTemplate ? closingNote(tokenizer, template) : null;
  if (endless !== null) warn(`${source.name}: ${endless}`);
  const recommended = source.recommendedRank;
  return {
    name: source.name,
    adapted,
    ranks,
    isNested: ranks.length > 1,
    recommendedRank: recommended !== null && ranks.includes(recommended) ? recommended : maxRank,
    tokenizer,
    style,
    stopIds: [...new Set([...stopIds, ...(tokenizer.eosId === null ? [] : [tokenizer.eosId])])],
    chatStopIds: stopIdsOf(stopIds, tokenizer),
  };
}

function assertDistinct(sources: readonly AdapterSource[]): void {
  const names = sources.map(({ name }) => name);
  const repeated = names.find((name, i) => names.indexOf(name) < i);
  if (repeated === undefined) return;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'adapter',
    problem: `Two adapters are called ${repeated}.`,
    nextStep: 'Give each a name of its own: --adapter first=runs/a --adapter second=runs/b.',
  });
}

/**
 * All adapters are served on one base, in memory once.
 *
 * @param isChosen whether the storage of the base was chosen, so that no adapter decides about it
 * @throws QdyloraError BAD_ADAPTER for one that was trained on a base stored otherwise, or that replaces
 * weights
 */
function assertOneBase(reads: readonly ReadAdapter[], isChosen: boolean): void {
  const [first] = reads.filter(({ sidecar }) => sidecar !== null);
  const other = reads.find(({ sidecar }) => sidecar && storageText(sidecar) !== storageText(first.sidecar!));
  if (other && !isChosen)
    throw new QdyloraError('BAD_ADAPTER', {
      where: other.folder,
      problem:
        `It was trained on a base in ${storageText(other.sidecar!)}, and ${first.folder} on one in ` +
        `${storageText(first.sidecar!)}: a server uses one base.`,
      nextStep: 'Serve them separately, or choose the storage of the base with --quantization.',
    });
  const whole = reads.find(({ saved }) => saved !== null);
  if (!whole || reads.length === 1) return;
  throw new QdyloraError('BAD_ADAPTER', {
    where: whole.folder,
    problem: 'The adapter replaces weights of the base, so it cannot be served beside another one.',
    nextStep: 'Serve it alone.',
  });
}

/** How a run stored the base of its adapter: `nf4 with double quantization, blocks of 64`. */
const storageText = (sidecar: AdapterSidecar): string =>
  quantizationText(baseQuantization(sidecar)) +
  (sidecar.base.level === undefined ? '' : `, at ${sidecar.base.level} bits`);
