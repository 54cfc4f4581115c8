import { dirname, resolve } from 'node:path';
import {
  hfConfigOf,
  openCheckpoint,
  readHfConfig,
  type Checkpoint,
  type CheckpointConfig,
} from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { loadTokenizer, type Tokenizer } from '@qdylora/data';
import { familyOf, withOwnHead } from '@qdylora/models';
import type { StoredTemplate } from '../adapter/adapter-sidecar.ts';

/** An opened base model; no weight is loaded. */
export interface Base extends Disposable {
  readonly checkpoint: Checkpoint;
  /** Short name without a path. */
  readonly name: string;
  readonly vocabularySize: number;
  readonly layers: number;
  readonly hiddenSize: number;
  dispose(): void;
}

/**
 * Opens a base model and checks that its architecture is supported, before anything expensive happens.
 *
 * @throws UnsupportedArchitectureError; QdyloraError MISSING_FILE, BAD_FILE, BAD_CONFIG
 */
export async function openBase(model: string): Promise<Base> {
  const opened = await openCheckpoint(model);
  try {
    const checkpoint = withOwnHead(opened);
    const { config } = checkpoint;
    const family = familyOf(config.modelType, checkpoint.name);
    const { vocabularySize, layers, hiddenSize } = family.readConfig(config);
    return {
      checkpoint,
      name: checkpoint.name,
      vocabularySize,
      layers,
      hiddenSize,
      dispose: checkpoint.dispose,
      [Symbol.dispose]: checkpoint.dispose,
    };
  } catch (error) {
    opened.dispose();
    throw error;
  }
}

/**
 * The tokenizer of a folder; null where it has none. The parsed files are not kept.
 *
 * @param template replaces the chat templates of the folder, also the one for conversations with tools
 */
export async function openTokenizer(
  folder: string,
  template: StoredTemplate | null = null,
): Promise<Tokenizer | null> {
  using checkpoint = await openCheckpoint(folder);
  return tokenizerOf(checkpoint, template);
}

function tokenizerOf({ tokenizerFiles }: Checkpoint, template: StoredTemplate | null): Tokenizer | null {
  if (tokenizerFiles.tokenizerJson === null) return null;
  const { bos, eos, pad } = tokenizerFiles.specialTokens;
  return loadTokenizer({
    tokenizerJson: tokenizerFiles.tokenizerJson,
    tokenizerConfig: tokenizerFiles.tokenizerConfig,
    chatTemplate: template?.source ?? tokenizerFiles.chatTemplate,
    toolTemplate: template ? null : tokenizerFiles.toolTemplate,
    specialTokens: { bos: bos ?? undefined, eos: eos ?? undefined, pad: pad ?? undefined },
  });
}

/**
 * Reads a `config.json` without weights, for a run that starts from random ones. Its folder may hold the
 * tokenizer.
 */
export function readInitConfig(path: string): { readonly config: CheckpointConfig; readonly folder: string } {
  const config = readHfConfig(path);
  familyOf(config.modelType, path).readConfig(hfConfigOf(path, config.raw));
  return { config, folder: dirname(resolve(path)) };
}

/**
 * Refuses a tokenizer with ids beyond the embedding of the model. Added tokens may have no row there: a
 * row of data with one is refused, with its line.
 *
 * @throws QdyloraError BAD_CONFIG
 */
export function assertTokenizerFits(tokenizer: Tokenizer | null, vocabularySize: number, name: string): void {
  if (!tokenizer || tokenizer.baseVocabularySize <= vocabularySize) return;
  throw new QdyloraError('BAD_CONFIG', {
    where: name,
    problem:
      `The tokenizer has ${tokenizer.baseVocabularySize} tokens, but the model has embeddings for ` +
      `${vocabularySize} only.`,
    nextStep: 'Check whether tokenizer.json and the weights belong together.',
    details: { vocabularySize, tokenizerSize: tokenizer.baseVocabularySize },
  });
}
