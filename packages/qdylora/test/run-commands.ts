import { command, type Ended } from './run-command.ts';

// Runs command lines, each with its settings of the fake driver of cuda-kernels, and prints how they ended.

const calls = JSON.parse(process.argv[2]) as readonly (readonly [string, ...string[]])[];
const ended: Ended[] = [];
for (const [settings, ...words] of calls) {
  process.env.QDYLORA_FAKE_CUDA = settings;
  ended.push(await command(...words));
}
process.stdout.write(JSON.stringify(ended));
