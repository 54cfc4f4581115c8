import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { canonicalJson, openCheckpoint } from '@qdylora/checkpoint';
import type { AnswerCache } from '@qdylora/eval';
import { STORED_LEVEL } from '@qdylora/quant';
import type { OpenModel } from '../opening/open-model.ts';
import { openAnswers } from './open-answers.ts';
import type { EvaluateTasksConfig } from './evaluate-tasks-config.ts';
import { modelName } from './run-facts.ts';
import { sanitizedName } from './write-task-results.ts';

/** Where answers are kept: `cache_requests`, else in `output_dir`; null: nowhere. */
export const answerFolder = ({ cacheRequests, outputDir }: EvaluateTasksConfig): string | null =>
  cacheRequests ?? (outputDir === null ? null : join(outputDir, 'answers'));

/**
 * The answers of each rank, in files where there is a folder for them. A file belongs to everything that
 * decides an answer: weights, tokenizer, config, adapter, rank, storage of the weights, precision and
 * kernels. If one of them changes, so does the file's name.
 */
export async function modelAnswers(
  opened: OpenModel,
  config: EvaluateTasksConfig,
): Promise<(rank: number | null) => AnswerCache> {
  const pathOf = await answerPaths(opened, config);
  const caches = new Map<number | null, AnswerCache>();
  return (rank) => {
    const cache = caches.get(rank) ?? openAnswers(pathOf(rank));
    caches.set(rank, cache);
    return cache;
  };
}

async function answerPaths(
  opened: OpenModel,
  config: EvaluateTasksConfig,
): Promise<(rank: number | null) => string | null> {
  const folder = answerFolder(config);
  if (folder === null) return () => null;
  const { source, adapter, chosen, computeDtype, precision, level } = opened;
  const adapterHash = adapter && (await hashFiles(adapter.read.folder, /\.(safetensors|bin|json)$/));
  const common = {
    weights: source.fingerprint,
    files: await hashDescription(source.tokenizerFolder),
    compute_dtype: computeDtype,
    precision,
    quantization: config.quantization,
    double_quantization: config.doubleQuantization,
    quantization_block_size: config.quantizationBlockSize,
    ...(level !== STORED_LEVEL && { quantization_level: level }),
    backend: chosen.backend.name,
    level: chosen.backend.level ?? null,
    batch_invariant: config.batchInvariant,
  };
  return (rank) => {
    const usesAdapter = rank !== null || source.saved !== null;
    const identity = canonicalJson({ ...common, rank, adapter: usesAdapter ? adapterHash : null });
    const hash = createHash('sha256').update(identity).digest('hex').slice(0, 16);
    return join(folder, `${sanitizedName(modelName(opened, rank))}-${hash}.jsonl`);
  };
}

/**
 * Of a model's folder or file, what decides an answer beside the weights: SHA-256 over the tokenizer and the
 * configs, which a GGUF file contains, and which other files have beside them.
 */
async function hashDescription(path: string): Promise<string> {
  using checkpoint = await openCheckpoint(path);
  const { format, config, tokenizerFiles } = checkpoint;
  if (format !== 'gguf') {
    const folder = statSync(path).isDirectory() ? path : dirname(path);
    return hashFiles(folder, /token|vocab|merges|special|config\.json$/);
  }
  const { tokenizerJson, tokenizerConfig } = tokenizerFiles;
  const description = canonicalJson({ config: config.raw, tokenizerJson, tokenizerConfig });
  return createHash('sha256').update(description).digest('hex');
}

/** Bytes of a file that are in memory while it is hashed. */
const CHUNK_BYTES = 2 ** 20;

/** SHA-256 over the names and bytes of the matching files of a folder, which may have more than 2 GiB. */
async function hashFiles(folder: string, names: RegExp): Promise<string> {
  const files = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && names.test(entry.name))
    .map(({ name }) => name)
    .sort();
  const hash = createHash('sha256');
  for (const file of files) {
    hash.update(`${file}\n`);
    for await (const chunk of createReadStream(join(folder, file), { highWaterMark: CHUNK_BYTES }))
      hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}
