import { join } from 'node:path';
import { checkOptions, numberWithin, type OptionRules } from '@qdylora/contract';
import { canonicalJson } from '../write/canonical-json.ts';
import { writeFileDurably } from '../write/write-file-durably.ts';
import { cutByBytes } from './cut-by-bytes.ts';
import {
  SAFETENSORS_RULES,
  tensorByteLength,
  writeSafetensors,
  type TensorToWrite,
  type WriteSafetensorsOptions,
} from './write-file.ts';

/**
 * What Hugging Face writes per file by default (decimal): a shard stays below, unless one tensor alone is
 * larger.
 */
export const SHARD_BYTES = 5_000_000_000;

export interface WriteShardsOptions extends WriteSafetensorsOptions {
  readonly shardBytes?: number;
}

const RULES: OptionRules<WriteShardsOptions> = {
  ...SAFETENSORS_RULES,
  shardBytes: numberWithin({ above: 0 }),
};

/**
 * Writes a model's tensors into a folder: `model.safetensors`, or `model-00001-of-0000N.safetensors` and
 * their index where they are too large for one file.
 * Tensors keep their order between shards; each is made when its turn comes.
 *
 * @throws QdyloraError BAD_ARGUMENT, WRITE_FAILED
 */
export function writeShards(
  folder: string,
  tensors: Iterable<TensorToWrite>,
  given: WriteShardsOptions = {},
): void {
  checkOptions('shards', given, RULES);
  const { shardBytes = SHARD_BYTES, ...options } = given;
  const shards = cutByBytes(tensors, tensorByteLength, shardBytes);
  const { fs } = options;
  if (shards.length === 1) return writeSafetensors(join(folder, 'model.safetensors'), shards[0]!, options);
  const digits = (n: number): string => String(n).padStart(5, '0');
  const weightMap: Record<string, string> = Object.create(null) as Record<string, string>;
  let total = 0;
  shards.forEach((shard, i) => {
    const name = `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
    writeSafetensors(join(folder, name), shard, options);
    for (const tensor of shard) {
      weightMap[tensor.name] = name;
      total += tensorByteLength(tensor);
    }
  });
  writeFileDurably(
    join(folder, 'model.safetensors.index.json'),
    [Buffer.from(canonicalJson({ metadata: { total_size: total }, weight_map: weightMap }))],
    fs,
  );
}
