import * as nodeFs from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import {
  assertArgument,
  checkOptions,
  QdyloraError,
  shownValue,
  trueOrFalse,
  type OptionRules,
} from '@qdylora/contract';
import { checkpointOf, type Checkpoint } from './checkpoint.ts';
import { readHfConfig } from './config/hf-config.ts';
import { openGgufCheckpoint } from './gguf/to-checkpoint.ts';
import { isHubName } from './hub/hub-name.ts';
import { readJsonObject } from './json/read-json-file.ts';
import { pathInside } from './path-inside.ts';
import { ADAPTER_CONFIG_FILE } from './peft-adapter/read.ts';
import { openSafetensors } from './safetensors/open-safetensors.ts';
import { openShards, type Shards } from './safetensors/shard-index.ts';
import { folderTokenizerFiles } from './tokenizer/folder-tokenizer.ts';
import { once } from './once.ts';

/** Options of `openCheckpoint`: which symbolic links it follows. */
export interface OpenCheckpointOptions {
  /**
   * Follows links that lead out of the folder. Default: only inside it, or inside the Hugging Face cache of
   * the same repository.
   */
  readonly followLinks?: boolean;
}

const RULES: OptionRules<OpenCheckpointOptions> = { followLinks: trueOrFalse };

const MODEL_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';
const CONFIG_FILE = 'config.json';

/**
 * Opens a model: a Hugging Face folder (one or several safetensors files), a single `.safetensors` or `.gguf`
 * file, or a folder with one `.gguf`. Reads the config and the headers, and no tensor.
 *
 * @throws QdyloraError MISSING_FILE if there is nothing to open; BAD_FILE, BAD_CONFIG, MISSING_TENSOR for
 * a damaged checkpoint; UNSUPPORTED_ARCHITECTURE for a GGUF file of an unknown architecture; UNSUPPORTED
 * for one that is an adapter, a part of a split model, or has experts; BAD_ARGUMENT for an invalid path,
 * and for unknown or invalid options.
 * @example
 * using checkpoint = await openCheckpoint('models/smollm2');
 * checkpoint.tensors.get('model.norm.weight')?.shape;   // [576]
 */
export async function openCheckpoint(
  source: string,
  options: OpenCheckpointOptions = {},
): Promise<Checkpoint> {
  assertArgument(
    typeof source === 'string',
    'checkpoint',
    'The argument must be the path of a folder, a .safetensors or a .gguf file (got ' +
      `${shownValue(source)})`,
  );
  checkOptions('open-checkpoint', options, RULES);
  const stats = nodeFs.statSync(source, { throwIfNoEntry: false });
  if (!stats) throw nothingAt(source);
  if (stats.isDirectory()) return openFolder(source, options);
  const extension = extname(source).toLowerCase();
  if (extension === '.safetensors') return openFolder(dirname(source), options, basename(source));
  if (extension === '.gguf') return openGgufCheckpoint(source);
  throw new QdyloraError('BAD_FILE', {
    where: 'checkpoint',
    problem:
      `${source} must be a folder, a .safetensors or a .gguf file (got ` +
      `${extension || 'a file without extension'}).`,
    nextStep: 'Name the folder that holds config.json.',
    details: { path: source },
  });
}

/** Opens a folder. With `file`, only that file of it, and the files beside it are optional. */
function openFolder(
  folder: string,
  { followLinks = false }: OpenCheckpointOptions,
  file?: string,
): Checkpoint {
  const inside = (name: string): string => pathInside(folder, name, 'checkpoint', followLinks);
  const exists = (name: string): boolean => nodeFs.existsSync(inside(name));
  const weightFile = file ?? weightFileOf(folder, exists);
  const hasConfig = exists(CONFIG_FILE);
  if (weightFile?.endsWith('.gguf')) return openGgufCheckpoint(inside(weightFile));
  if (!hasConfig && !file) throw missing(folder, 'config.json', withoutConfig(exists));

  const config = once(() => readHfConfig(inside(CONFIG_FILE)));
  if (hasConfig) config(); // reports an invalid config immediately
  const shards = weightFile ? openWeights(folder, weightFile, followLinks) : null;
  return checkpointOf({
    name: file ? basename(file, extname(file)) : folderName(folder),
    path: file ? join(folder, file) : folder,
    format: 'safetensors',
    config,
    tensors: () => {
      if (!shards) throw withoutWeights(folder);
      return shards.tensors;
    },
    tokenizerFiles: folderTokenizerFiles(folder, followLinks),
    generationConfig: once(() =>
      exists('generation_config.json') ? readJsonObject(inside('generation_config.json'), 'config') : null,
    ),
    close: () => shards?.files.forEach((open) => open.dispose()),
  });
}

/**
 * The weight file: `model.safetensors`, else its index, else the only `.safetensors`, else the only `.gguf`;
 * null if there is none.
 *
 * @throws QdyloraError MISSING_FILE if there are several of one kind
 */
function weightFileOf(folder: string, exists: (name: string) => boolean): string | null {
  if (exists(MODEL_FILE)) return MODEL_FILE;
  if (exists(INDEX_FILE)) return INDEX_FILE;
  const names = nodeFs.readdirSync(folder);
  for (const extension of ['.safetensors', '.gguf']) {
    const found = names.filter((name) => name.endsWith(extension) && !name.startsWith('adapter_model'));
    if (found.length === 1) return found[0];
    if (found.length > 1)
      throw new QdyloraError('MISSING_FILE', {
        where: 'checkpoint',
        problem:
          `${folder} must have ${MODEL_FILE}, its index, or a single ${extension} file (got ` +
          `${found.length} ${extension} files).`,
        nextStep: 'Name the one that you mean.',
        details: { folder, found },
      });
  }
  return null;
}

function openWeights(folder: string, name: string, followLinks: boolean): Shards {
  const path = pathInside(folder, name, 'checkpoint', followLinks);
  if (name === INDEX_FILE) return openShards(folder, path, followLinks);
  const file = openSafetensors(path);
  return { tensors: file.tensors, files: [file] };
}

function withoutConfig(exists: (name: string) => boolean): string {
  if (exists(ADAPTER_CONFIG_FILE))
    return 'This is a PEFT adapter: name its base as the model, and this folder as the adapter (--adapter).';
  if (exists('params.json'))
    return (
      "params.json is Meta's or Mistral's own format: take the folder of the same model in Hugging " +
      "Face's, which has config.json."
    );
  return 'Name the folder that holds config.json and the weights.';
}

/** Weight files of PyTorch, which are pickles. */
const PICKLES = /\.(bin|pth|pt|ckpt)$/;
/** Weight files of TensorFlow, Flax and ONNX. */
const OTHER_WEIGHTS = /\.(h5|msgpack|onnx)$/;

function withoutWeights(folder: string): QdyloraError {
  const other = nodeFs
    .readdirSync(folder)
    .filter((name) => PICKLES.test(name) || OTHER_WEIGHTS.test(name))
    .filter((name) => !/^(training_args|optimizer|scheduler)\./.test(name))
    .sort();
  return new QdyloraError('MISSING_FILE', {
    where: 'checkpoint',
    problem:
      `${folder} has neither ${MODEL_FILE} nor ${INDEX_FILE}` +
      (other.length === 0 ? '.' : `, only ${other.slice(0, 3).join(', ')}${other.length > 3 ? ', …' : ''}.`),
    details: { folder, found: other },
    nextStep: nextStepAfter(other),
  });
}

function nextStepAfter(otherWeights: readonly string[]): string {
  if (otherWeights.length === 0) return 'Download the weights.';
  return otherWeights.some((name) => PICKLES.test(name))
    ? 'Such a file can run code when it is read, and is not read here. Convert it with transformers: ' +
        'AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder).'
    : 'Weights of TensorFlow, Flax and ONNX are not read. Take the safetensors files of the same model.';
}

/**
 * The name of the folder; `org/name` for a snapshot in the Hugging Face cache
 * (`models--org--name/snapshots/<revision>`).
 */
function folderName(folder: string): string {
  const path = resolve(folder);
  const cached = /^models--(.+)$/.exec(basename(dirname(dirname(path))));
  return cached && basename(dirname(path)) === 'snapshots' ? cached[1].replaceAll('--', '/') : basename(path);
}

const missing = (folder: string, content: string, nextStep: string): QdyloraError =>
  new QdyloraError('MISSING_FILE', {
    where: 'checkpoint',
    problem: `${folder} has no ${content}.`,
    nextStep,
    details: { folder },
  });

function nothingAt(source: string): QdyloraError {
  return new QdyloraError('MISSING_FILE', {
    where: 'checkpoint',
    problem: `There is no folder, .safetensors or .gguf file at ${source}.`,
    details: { source },
    nextStep: isHubName(source)
      ? 'It looks like a name on the Hugging Face hub: fetchModel downloads it and returns a folder.'
      : 'Check the path.',
  });
}
