import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { assertArgument, QdyloraError, shownValue } from '@qdylora/contract';
import { printedName } from '../bad-file.ts';
import { readJson } from '../json/read-json-file.ts';
import { openSafetensors } from '../safetensors/open-safetensors.ts';
import type { TensorEntry } from '../tensor-entry.ts';
import { badAdapter, unsupportedAdapter } from './bad-adapter.ts';
import { readAdapterConfig, type PeftAdapterConfig } from './config.ts';
import { exclusionOf } from './exclusion-of.ts';
import { readAdapterKey } from './key-names.ts';
import { modulePattern } from './module-pattern.ts';

/** PEFT's name for the config of an adapter. */
export const ADAPTER_CONFIG_FILE = 'adapter_config.json';
/** PEFT's name for the weights of an adapter, a safetensors file. */
export const ADAPTER_WEIGHTS_FILE = 'adapter_model.safetensors';
/** A third file, which PEFT ignores: how qdylora trained the adapter. */
export const SIDECAR_FILE = 'qdylora.json';

/** The two matrices of an adapted module, which adds `scale · b · a · x`. */
export interface PeftLayer {
  /** [rank, inFeatures] */
  readonly a: Float32Array;
  /** [outFeatures, rank] */
  readonly b: Float32Array;
  readonly rank: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly scale: number;
}

/** The content of a PEFT LoRA adapter folder; the matrices of its layers are in memory. */
export interface PeftAdapter {
  readonly config: PeftAdapterConfig;
  /** By module name (`model.layers.0.self_attn.q_proj`), in file order. */
  readonly layers: ReadonlyMap<string, PeftLayer>;
  /**
   * Shapes of weights that replace the base's, by the base's names (`lm_head.weight`); `openSavedWeights`
   * reads them.
   */
  readonly saved: ReadonlyMap<string, readonly number[]>;
  /**
   * Fields of the config with an expression that is not read, so that PEFT may ignore some of `layers`. Such
   * a field excludes nothing here.
   */
  readonly unreadFields: readonly string[];
  /** Content of `qdylora.json`; null if there is none. */
  readonly sidecar: unknown;
}

/**
 * Reads a PEFT LoRA adapter folder.
 *
 * @throws QdyloraError MISSING_FILE; UNSUPPORTED that names a feature (DoRA, lora_bias, …) that is not read
 * and would change the model; BAD_ADAPTER if config and weights disagree; BAD_CONFIG, BAD_FILE.
 */
export function readPeftAdapter(folder: string): PeftAdapter {
  assertArgument(
    typeof folder === 'string',
    'peft-adapter',
    `The argument must be the path of an adapter's folder (got ${shownValue(folder)})`,
  );
  const config = readAdapterConfig(join(folder, ADAPTER_CONFIG_FILE));
  const path = join(folder, ADAPTER_WEIGHTS_FILE);
  if (!existsSync(path) && existsSync(join(folder, 'adapter_model.bin'))) {
    throw new QdyloraError('MISSING_FILE', {
      where: 'peft-adapter',
      problem: `${folder} has adapter_model.bin but no ${ADAPTER_WEIGHTS_FILE}.`,
      nextStep:
        'A .bin file can run code when it is read; load it with PEFT and save it again as safetensors.',
      details: { folder },
    });
  }
  const file = openSafetensors(path);
  try {
    const sidecar = join(folder, SIDECAR_FILE);
    const { pairs, saved } = sortTensors(path, file.tensors);
    const unreadFields = checkExclusions(folder, config, pairs);
    return {
      config,
      layers: readLayers(path, config, pairs),
      saved: new Map([...saved].map(([name, { shape }]) => [name, shape])),
      unreadFields,
      sidecar: existsSync(sidecar) ? readJson(sidecar, 'peft-adapter') : null,
    };
  } finally {
    file.dispose();
  }
}

/** True for a folder with an adapter's config; its weights are not looked at. */
export const isPeftAdapter = (folder: string): boolean =>
  existsSync(join(folder, ADAPTER_CONFIG_FILE)) && statSync(join(folder, ADAPTER_CONFIG_FILE)).isFile();

/** Opens the weights of an adapter that replace the base's; each is read on request. */
export function openSavedWeights(
  folder: string,
): { readonly tensors: ReadonlyMap<string, TensorEntry> } & Disposable {
  const path = join(folder, ADAPTER_WEIGHTS_FILE);
  const file = openSafetensors(path);
  return { tensors: sortTensors(path, file.tensors).saved, [Symbol.dispose]: file.dispose };
}

type Pairs = ReadonlyMap<string, { readonly a?: TensorEntry; readonly b?: TensorEntry }>;

/** Sorts tensors into LoRA matrices by module, and whole weights by name. */
function sortTensors(
  path: string,
  tensors: ReadonlyMap<string, TensorEntry>,
): { readonly pairs: Pairs; readonly saved: ReadonlyMap<string, TensorEntry> } {
  const pairs = new Map<string, { a?: TensorEntry; b?: TensorEntry }>();
  const saved = new Map<string, TensorEntry>();
  const copies: { readonly name: string; readonly of: string }[] = [];
  for (const [name, entry] of tensors) {
    const key = readAdapterKey(name);
    if (key.kind === 'unsupported') throw unsupportedAdapter(path, `${key.feature}: ${printedName(name)}`);
    if (key.kind === 'copy') {
      copies.push(key);
      continue;
    }
    if (key.kind === 'saved') {
      if (saved.has(key.name)) throw badAdapter(path, `the weight ${printedName(key.name)} occurs twice`);
      saved.set(key.name, entry);
      continue;
    }
    const pair = pairs.get(key.module) ?? {};
    if (pair[key.kind])
      throw badAdapter(path, `${printedName(key.module)} has two matrices ${key.kind.toUpperCase()}`);
    pair[key.kind] = entry;
    pairs.set(key.module, pair);
  }
  const alone = copies.find(({ of }) => !saved.has(of));
  if (alone)
    throw badAdapter(
      path,
      `${printedName(alone.name)} is in the file, but ${printedName(alone.of)}, which PEFT loads, is not`,
      { missing: alone.of },
    );
  return { pairs, saved };
}

/** Refuses layers in the file that PEFT would ignore. Returns the fields that are not read. */
function checkExclusions(folder: string, config: PeftAdapterConfig, pairs: Pairs): readonly string[] {
  const configPath = join(folder, ADAPTER_CONFIG_FILE);
  const exclusionOfModule = exclusionOf(configPath, config);
  const unread = new Set<string>();
  for (const module of pairs.keys()) {
    const { field, unreadFields } = exclusionOfModule(module);
    for (const name of unreadFields) unread.add(name);
    if (field !== null)
      throw badAdapter(
        configPath,
        `${field} excludes ${printedName(module)}, which is in ${ADAPTER_WEIGHTS_FILE}. PEFT would ignore ` +
          `that layer. Correct ${field}, or load the adapter with PEFT and save it again`,
        { module, field },
      );
  }
  return [...unread];
}

function readLayers(path: string, config: PeftAdapterConfig, pairs: Pairs): Map<string, PeftLayer> {
  const rankOf = modulePattern(path, 'rank_pattern', config.rankPattern);
  const alphaOf = modulePattern(path, 'alpha_pattern', config.alphaPattern);
  const layers = new Map<string, PeftLayer>();
  for (const [module, { a, b }] of pairs) {
    if (!a || !b)
      throw badAdapter(
        path,
        `${printedName(module)} must have the matrices A and B (got only ${a ? 'A' : 'B'})`,
        { module },
      );
    const rank = rankOf(module) ?? config.r;
    const alpha = alphaOf(module) ?? config.loraAlpha;
    const scale = config.useRslora ? alpha / Math.sqrt(rank) : alpha / rank;
    layers.set(module, readLayer(path, module, { a, b, rank, scale }));
  }
  return layers;
}

/** A layer whose matrices are not read yet. */
interface StoredLayer {
  readonly a: TensorEntry;
  readonly b: TensorEntry;
  readonly rank: number;
  readonly scale: number;
}

function readLayer(path: string, module: string, { a, b, rank, scale }: StoredLayer): PeftLayer {
  const [aRows, inFeatures] = a.shape;
  const [outFeatures, bColumns] = b.shape;
  if (a.shape.length !== 2 || b.shape.length !== 2)
    throw unsupportedAdapter(
      path,
      `matrices with other than two dimensions (a convolution?) for ${printedName(module)}`,
    );
  if (aRows !== rank || bColumns !== rank) {
    throw badAdapter(
      path,
      `${printedName(module)} must have A [${rank}, in] and B [out, ${rank}] (got ` +
        `[${a.shape.join(', ')}] and [${b.shape.join(', ')}])`,
      { module, rank, a: a.shape, b: b.shape },
    );
  }
  return {
    a: a.readFloat32(),
    b: b.readFloat32(),
    rank,
    inFeatures: inFeatures!,
    outFeatures: outFeatures!,
    scale,
  };
}
