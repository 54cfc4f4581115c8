import { join } from 'node:path';
import { checkOptions, numberWithin, type OptionRules } from '@qdylora/contract';
import { canonicalJson } from '../write/canonical-json.ts';
import { streamFile } from '../write/stream-file.ts';
import { cutByBytes } from './cut-by-bytes.ts';
import {
  SAFETENSORS_RULES,
  tensorByteLength,
  safetensorsPieces,
  type TensorToStream,
  type WriteSafetensorsOptions,
} from './write-file.ts';

/**
 * Hugging Face's default size of a shard (decimal). The tensors of a shard have at most this many bytes,
 * unless one tensor alone is larger.
 */
const SHARD_BYTES = 5_000_000_000;

/** Options of `writeShards`: the size of a shard, and the options of each file. */
export interface WriteShardsOptions extends WriteSafetensorsOptions {
  /** Largest total of the tensor bytes in one shard. Default: 5,000,000,000, as in transformers. */
  readonly shardBytes?: number;
}

const RULES: OptionRules<WriteShardsOptions> = {
  ...SAFETENSORS_RULES,
  shardBytes: numberWithin({ above: 0 }),
};

/**
 * Writes a model's tensors into a folder: `model.safetensors`, or `model-00001-of-0000N.safetensors` and
 * their index if they are too large for one file. Tensors keep their order across shards; each is created
 * when it is written.
 *
 * @throws QdyloraError BAD_ARGUMENT, WRITE_FAILED
 */
export async function writeShards(
  folder: string,
  tensors: Iterable<TensorToStream>,
  options: WriteShardsOptions = {},
): Promise<void> {
  checkOptions('shards', options, RULES);
  const { shardBytes = SHARD_BYTES, metadata, isSynced, fs } = options;
  const shards = cutByBytes(tensors, tensorByteLength, shardBytes);
  const write = (name: string, shard: readonly TensorToStream[]): Promise<void> =>
    streamFile(join(folder, name), safetensorsPieces(shard, { metadata }), { isSynced, fs });
  if (shards.length === 1) return write('model.safetensors', shards[0]);
  const digits = (n: number): string => String(n).padStart(5, '0');
  const weightMap: Record<string, string> = Object.create(null) as Record<string, string>;
  let total = 0;
  for (const [i, shard] of shards.entries()) {
    const name = `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
    await write(name, shard);
    for (const tensor of shard) {
      weightMap[tensor.name] = name;
      total += tensorByteLength(tensor);
    }
  }
  await streamFile(
    join(folder, 'model.safetensors.index.json'),
    [Buffer.from(canonicalJson({ metadata: { total_size: total }, weight_map: weightMap }))],
    { isSynced, fs },
  );
}
