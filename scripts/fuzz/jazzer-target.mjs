// Bundled into one CommonJS file, which Jazzer.js instruments: one reader, named by the environment.
import { judge } from './judge.mjs';
import { readersOf } from './readers.mjs';

const {
  QDYLORA_FUZZ_READER: name,
  QDYLORA_FUZZ_FIXTURES: fixtures,
  QDYLORA_FUZZ_SCRATCH: scratch,
} = process.env;
const { run } = readersOf({ fixtures, scratch })[name];

export async function fuzz(bytes) {
  const { wrong } = await judge(run, bytes);
  if (wrong) throw new Error(wrong);
}
