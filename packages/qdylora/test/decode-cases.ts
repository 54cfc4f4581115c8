import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qdylora/checkpoint';
import type { Backend } from '@qdylora/contract';
import { attachDyLora, type Adapted } from '@qdylora/lora-dynamic';
import { buildModel, type CausalLm, type DecodeEvent, type DecodeView } from '@qdylora/models';
import { modelCases } from '@qdylora/testing';

const FOLDER = fileURLToPath(new URL('../../models/fixtures/', import.meta.url));

/** A small model of each family. */
export const DECODE_CASES = modelCases((file) => readFileSync(`${FOLDER}${file}`)).filter(
  ({ name }) => !name.endsWith('hub-names'),
);
export const LLAMA = DECODE_CASES.find(({ name }) => name.startsWith('llama'))!.name;

export async function decodeModel(name: string, backend: Backend): Promise<CausalLm> {
  using checkpoint = await openCheckpoint(`${FOLDER}${name}`);
  return await buildModel(checkpoint, { backend });
}

/** A nested adapter of ranks 1, 2 and 4, whose B is not 0. */
export function adapterAround(model: CausalLm, phase = 0): Adapted<CausalLm> {
  const adapted = attachDyLora(model, { ranks: [1, 2, 4], seed: 7 });
  for (const { view } of adapted.parameters())
    model.backend.memory.fill(view, (values) => {
      for (let i = 0; i < values.length; i++) values[i] = 0.3 * Math.sin(i + phase + values.length);
    });
  return adapted;
}

export const adaptedModel = async (name: string, backend: Backend): Promise<Adapted<CausalLm>> =>
  adapterAround(await decodeModel(name, backend));

/** 0: the base. */
export const viewAt = (adapted: Adapted<CausalLm>, rank: number): DecodeView =>
  rank === 0 ? adapted.base() : adapted.atRank(rank);

export async function eventsOf(events: AsyncIterable<DecodeEvent>): Promise<DecodeEvent[]> {
  const list: DecodeEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}
