import './page-globals.ts';
import { hfConfigOf, memoryByteSource, safetensorsOf, type Checkpoint } from '@qdylora/checkpoint';
import { createHostBackend } from '@qdylora/contract';
import { loadTokenizer, type Tokenizer } from '@qdylora/data';
import {
  adapterStateOf,
  attachDyLora,
  type Adapted,
  type AdapterState,
  type RankScaling,
} from '@qdylora/lora-dynamic';
import { buildModel, type CausalLm } from '@qdylora/models';

/** Reads a file beside the page. */
export type Fetch = (path: string) => Promise<ArrayBuffer>;

export interface EmbeddedBase {
  readonly adapted: Adapted<CausalLm>;
  readonly tokenizer: Tokenizer;
  readonly state: AdapterState;
}

const json = async (read: Fetch, path: string): Promise<Record<string, unknown>> =>
  JSON.parse(new TextDecoder().decode(await read(path))) as Record<string, unknown>;

const weights = async (read: Fetch, path: string): Promise<Checkpoint['tensors']> =>
  safetensorsOf(memoryByteSource(new Uint8Array(await read(path)), path, 'safetensors')).tensors;

/** The small model of the repository in NF4, and the adapter of the demo on it, on the TypeScript backend. */
export async function openEmbeddedBase(read: Fetch): Promise<EmbeddedBase> {
  const checkpoint = {
    name: 'embedded base',
    path: 'model',
    format: 'safetensors',
    config: hfConfigOf('config.json', await json(read, 'model/config.json')),
    tensors: await weights(read, 'model/model.safetensors'),
  } as Checkpoint;
  const tokenizer = loadTokenizer({
    tokenizerJson: await json(read, 'model/tokenizer.json'),
    tokenizerConfig: await json(read, 'model/tokenizer_config.json'),
    chatTemplate: null,
  });
  const model = await buildModel(checkpoint, {
    backend: createHostBackend(),
    quantization: { kind: 'nf4', doubleQuantization: true, blockSize: 64 },
  });
  const state = await readDemoAdapter(read);
  const adapted = attachDyLora(model, {
    ranks: state.ranks,
    alpha: state.alpha,
    scaling: state.scaling,
    targetModules: state.layers.map(({ name }) => name),
  });
  await adapted.load(state);
  return { adapted, tokenizer, state };
}

interface Sidecar {
  readonly ranks: readonly number[];
  readonly lora_alpha: number;
  readonly lora_scaling: RankScaling;
}

/** The adapter of the demo, in the layout of PEFT. */
export async function readDemoAdapter(read: Fetch): Promise<AdapterState> {
  const tensors = await weights(read, 'demo/adapter/adapter_model.safetensors');
  const sidecar = (await json(read, 'demo/adapter/qdylora.json')) as unknown as Sidecar;
  const { ranks, lora_alpha: alpha, lora_scaling: scaling } = sidecar;
  const rank = ranks.at(-1)!;
  const layers = [...tensors.keys()].flatMap((key) => {
    const name = /^base_model\.model\.(.+)\.lora_A\.weight$/.exec(key)?.[1];
    if (!name) return [];
    const a = tensors.get(key)!;
    const b = tensors.get(key.replace('lora_A', 'lora_B'))!;
    return [
      { name, inFeatures: a.shape[1], outFeatures: b.shape[0], a: a.readFloat32(), b: b.readFloat32() },
    ];
  });
  return adapterStateOf(
    { rank, scale: 1, loraAlpha: alpha, useRslora: scaling === 'sqrt', layers },
    { ranks, alpha, scaling },
  );
}
