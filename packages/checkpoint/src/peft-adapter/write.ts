import { join } from 'node:path';
import {
  assertArgument,
  checkOptions,
  numberWithin,
  objectWith,
  required,
  shownValue,
  someText,
  trueOrFalse,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import { writeFolderAtomically } from '../folder/atomic-folder.ts';
import { printedName } from '../bad-file.ts';
import type { TensorEntry } from '../tensor-entry.ts';
import { tensorFrom, tensorOf } from '../safetensors/tensor-of.ts';
import { safetensorsPieces, type TensorToStream } from '../safetensors/write-file.ts';
import { canonicalJson } from '../write/canonical-json.ts';
import { NODE_FILE_SYSTEM, type FileSystem } from '../write/file-system.ts';
import { anyIterable, someFileSystem, someNumbers, listOfTexts } from '../write/option-rules.ts';
import type { TensorSource } from '../write/readable-bytes.ts';
import { writeFileDurably } from '../write/write-file-durably.ts';
import { isSameScale } from './is-same-scale.ts';
import { adapterKey, savedKey } from './key-names.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, SIDECAR_FILE } from './read.ts';

/** An adapted module to write. */
export interface PeftLayerToWrite {
  /** Module name, such as `model.layers.0.self_attn.q_proj`. */
  readonly name: string;
  /** [rank, in]; an array, or a source of F32, BF16 or F16 that is read during the write. */
  readonly a: Float32Array | TensorSource;
  /** [out, rank] */
  readonly b: Float32Array | TensorSource;
}

/**
 * Options of `writePeftAdapter`. A slice of a nested adapter (`sliceRank` of `@qdylora/lora-dynamic`) has the
 * first five of them.
 */
export interface WritePeftAdapterOptions {
  readonly layers: Iterable<PeftLayerToWrite>;
  readonly rank: number;
  /** PEFT scales B·A by loraAlpha / rank. */
  readonly loraAlpha: number;
  /** True: PEFT scales by loraAlpha / √rank instead. */
  readonly useRslora?: boolean;
  /** The factor of B·A, if known: the write is refused if `loraAlpha` and `rank` give another one. */
  readonly scale?: number;
  /** Dropout on the adapter's input, for further training; 0 by default. */
  readonly loraDropout?: number;
  /**
   * True if the base stores its matrices as [in, out] (GPT-2). A and B stay [rank, in] and [out, rank]; PEFT
   * needs the flag for merging.
   */
  readonly fanInFanOut?: boolean;
  /**
   * Suffixes of module names; every layer must match one. Default: the full names of the layers, which match
   * exactly these.
   */
  readonly targetModules?: readonly string[];
  /** Name of the base model on the hub. A local path would not help other people. */
  readonly baseModel?: string;
  /** Further content of the adapter, written as `qdylora.json`; PEFT does not read it. */
  readonly sidecar?: object;
  /** Rank or alpha by full module name, for the layers that differ. */
  readonly rankPattern?: Readonly<Record<string, number>>;
  readonly alphaPattern?: Readonly<Record<string, number>>;
  /** Weights that replace the base's, by the base's names, from `openSavedWeights`. */
  readonly saved?: ReadonlyMap<string, TensorEntry>;
  /** Suffixes of the modules of `saved`, for PEFT's config. */
  readonly modulesToSave?: readonly string[];
  readonly ensureWeightTying?: boolean;
  /** Replaces an adapter that was written here before. */
  readonly replace?: boolean;
  readonly fs?: FileSystem;
}

const RULES: OptionRules<WritePeftAdapterOptions> = {
  layers: required(anyIterable),
  rank: required(wholeNumber(1)),
  loraAlpha: required(numberWithin()),
  useRslora: trueOrFalse,
  scale: numberWithin(),
  loraDropout: numberWithin({ least: 0, most: 1 }),
  fanInFanOut: trueOrFalse,
  targetModules: listOfTexts,
  baseModel: someText,
  sidecar: objectWith(),
  rankPattern: someNumbers,
  alphaPattern: someNumbers,
  saved: objectWith('get', 'entries'),
  modulesToSave: listOfTexts,
  ensureWeightTying: trueOrFalse,
  replace: trueOrFalse,
  fs: someFileSystem,
};

/**
 * Writes a folder that Hugging Face PEFT and vLLM load: `adapter_config.json`, `adapter_model.safetensors`,
 * `qdylora.json` if given, and a manifest with their hashes. The write is atomic, and the same input gives
 * the same bytes: no time, path or host.
 *
 * PEFT sorts pattern keys when it saves and takes the first match when it loads. So keys are written as `^` +
 * full name, and no two match one module.
 *
 * @throws QdyloraError BAD_ARGUMENT for layers, targets, patterns or a scale that do not fit together, and
 * for unknown or invalid options; NOT_EMPTY, WRITE_FAILED.
 * @example
 * await writePeftAdapter('out/r8', { ...sliceRank(await adapted.state(), 8), baseModel: 'org/name' });
 */
export async function writePeftAdapter(folder: string, options: WritePeftAdapterOptions): Promise<void> {
  assertArgument(
    typeof folder === 'string',
    'peft-adapter',
    `The argument must be the path of a folder (got ${shownValue(folder)})`,
  );
  checkOptions('peft-adapter', options, RULES);
  const { fs = NODE_FILE_SYSTEM, replace = false, sidecar } = options;
  const layers = [...options.layers];
  const targetModules = options.targetModules ?? layers.map((layer) => layer?.name);
  checkScale(options);
  checkLayers(layers, targetModules, options);
  const text = (value: unknown): Uint8Array[] => [Buffer.from(canonicalJson(value))];
  await writeFolderAtomically(
    folder,
    async (temporary, files) => {
      const tensors = tensorsOf(layers, options);
      await files.write(ADAPTER_WEIGHTS_FILE, safetensorsPieces(tensors, { metadata: { format: 'pt' } }));
      writeFileDurably(
        join(temporary, ADAPTER_CONFIG_FILE),
        text(configOf({ ...options, targetModules })),
        fs,
      );
      if (sidecar !== undefined) writeFileDurably(join(temporary, SIDECAR_FILE), text(sidecar), fs);
    },
    { replace, fs },
  );
}

function checkScale({ rank, loraAlpha, useRslora = false, scale }: WritePeftAdapterOptions): void {
  if (scale === undefined) return;
  const peftScale = useRslora ? loraAlpha / Math.sqrt(rank) : loraAlpha / rank;
  assertArgument(
    isSameScale(scale, peftScale),
    'peft-adapter',
    `\`scale\` is ${scale}, but PEFT would use ${peftScale} (loraAlpha ${loraAlpha}, rank ${rank}, ` +
      `useRslora ${useRslora}).`,
  );
}

function checkLayers(
  layers: readonly PeftLayerToWrite[],
  targetModules: readonly string[],
  { rankPattern = {}, alphaPattern = {} }: WritePeftAdapterOptions,
): void {
  const check = (condition: boolean, problem: string): void =>
    assertArgument(condition, 'peft-adapter', problem);
  const isRank = (value: number): boolean => Number.isSafeInteger(value) && value >= 1;
  for (const layer of layers)
    for (const part of ['a', 'b'] as const)
      check(
        layer?.[part] instanceof Float32Array || isSource(layer?.[part]),
        `${part} of ${shownValue(layer?.name)} must be a Float32Array or a TensorSource (got ` +
          `${shownValue(layer?.[part])})`,
      );
  const names = new Set(layers.map(({ name }) => name));
  check(
    layers.length > 0 && names.size === layers.length,
    `There must be at least one layer, and each once (got ${layers.length} with ${names.size} names)`,
  );
  for (const name of names)
    check(
      targetModules.some((target) => name === target || name.endsWith(`.${target}`)),
      `${printedName(name)} must end in one of targetModules (${targetModules.join(', ')})`,
    );
  for (const [field, pattern] of [
    ['rankPattern', rankPattern],
    ['alphaPattern', alphaPattern],
  ] as const) {
    for (const [name, value] of Object.entries(pattern)) {
      check(names.has(name), `${field} must hold full names of layers (got ${printedName(name)})`);
      check(
        field === 'rankPattern' ? isRank(value) : Number.isFinite(value),
        `${printedName(name)} in ${field} must be ` +
          `${field === 'rankPattern' ? 'a whole number ≥ 1' : 'a finite number'} (got ${value})`,
      );
    }
  }
}

const SOURCE_DTYPES = ['F32', 'BF16', 'F16'];

const isSource = (value: unknown): value is TensorSource =>
  typeof value === 'object' && value !== null && 'read' in value && typeof value.read === 'function';

function* tensorsOf(
  layers: readonly PeftLayerToWrite[],
  { rank, rankPattern = {}, saved = new Map() }: WritePeftAdapterOptions,
): Generator<TensorToStream> {
  for (const { name, a, b } of layers) {
    const layerRank = Object.hasOwn(rankPattern, name) ? rankPattern[name] : rank;
    yield matrixTensor(adapterKey(name, 'a'), a, { rows: layerRank });
    yield matrixTensor(adapterKey(name, 'b'), b, { columns: layerRank });
  }
  for (const [name, { dtype, shape, readBytes }] of saved)
    yield { name: savedKey(name), dtype, shape, bytes: readBytes };
}

/** A matrix of a layer; one of its sizes is the rank. */
function matrixTensor(
  name: string,
  values: Float32Array | TensorSource,
  size: { readonly rows: number } | { readonly columns: number },
): TensorToStream {
  const isByRows = 'rows' in size;
  const rank = isByRows ? size.rows : size.columns;
  if (values instanceof Float32Array) {
    assertArgument(
      values.length > 0 && values.length % rank === 0,
      'peft-adapter',
      `${printedName(name)} must hold whole rows of rank ${rank} (got ${values.length} values).`,
    );
    const other = values.length / rank;
    return tensorOf(name, isByRows ? [rank, other] : [other, rank], values);
  }
  const { dtype, shape } = values;
  assertArgument(
    shape.length === 2 && shape[isByRows ? 0 : 1] === rank && SOURCE_DTYPES.includes(dtype),
    'peft-adapter',
    `${printedName(name)} must be ${isByRows ? `[${rank}, in]` : `[out, ${rank}]`} of ` +
      `${SOURCE_DTYPES.join(', ')} (got ${dtype} [${shape.join(', ')}]).`,
  );
  return tensorFrom(name, values);
}

/** The config: only fields that PEFT 0.21 knows and that decide how the adapter loads. */
function configOf({
  rank,
  loraAlpha,
  useRslora = false,
  loraDropout = 0,
  fanInFanOut = false,
  targetModules,
  baseModel,
  rankPattern = {},
  alphaPattern = {},
  modulesToSave = [],
  ensureWeightTying = false,
}: WritePeftAdapterOptions & { readonly targetModules: readonly string[] }): Record<string, unknown> {
  const pinned = (pattern: Readonly<Record<string, number>>): Record<string, number> =>
    Object.fromEntries(Object.entries(pattern).map(([name, value]) => [`^${name}`, value]));
  return {
    alpha_pattern: pinned(alphaPattern),
    base_model_name_or_path: baseModel ?? null,
    bias: 'none',
    fan_in_fan_out: fanInFanOut,
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: loraAlpha,
    lora_bias: false,
    lora_dropout: loraDropout,
    modules_to_save: modulesToSave.length === 0 ? null : [...modulesToSave].sort(),
    ...(ensureWeightTying && { ensure_weight_tying: true }),
    peft_type: 'LORA',
    r: rank,
    rank_pattern: pinned(rankPattern),
    revision: null,
    target_modules: [...new Set(targetModules)].sort(),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: useRslora,
  };
}
