import { listCudaDevices } from '@qdylora/cuda-kernels';
import { describe, expect, test } from 'vitest';
import { buildFakeDriver, commandsWithGpu } from './fake-cuda.ts';
import { command, type Ended } from './run-command.ts';
import { tinyCommands } from './tiny-commands.ts';

// What the program says of GPUs: without a driver, and with the fake driver of cuda-kernels, which the loader
// of the system finds as it finds a real one.

const { model } = tinyCommands();
const plan = ['plan', '--model', `${model}/config.json`];

const found = listCudaDevices();
const hasDriver = found.available || found.hasDriver;

const driver = buildFakeDriver();

interface CudaDiagnosis {
  readonly backend: string;
  readonly compute_dtype: string;
  readonly cuda: {
    readonly driver: string | null;
    readonly devices: readonly object[];
    readonly missing_ops: readonly string[];
    readonly not_used: string;
  };
}

describe.skipIf(hasDriver)('without a driver', () => {
  test('auto computes on the CPU and says that there is no GPU', async () => {
    const { cuda, backend } = JSON.parse((await command('doctor', '--json')).out) as CudaDiagnosis;
    expect(backend).toMatch(/^cpu .* \(no GPU\)$|^host/);
    expect(cuda).toMatchObject({
      driver: null,
      devices: [],
      not_used: expect.stringMatching(
        /^there is no NVIDIA driver here \(.*\)\. Install the driver/,
      ) as string,
    });
  });

  test('cuda is refused in one line', async () => {
    const { code, err } = await command(...plan, '--backend', 'cuda');
    expect([code, err]).toEqual([2, expect.stringMatching(/there is no NVIDIA driver here/) as string]);
  });
});

const diagnosisOf = ({ out }: Ended): CudaDiagnosis => JSON.parse(out) as CudaDiagnosis;

test.skipIf(!driver)('with a GPU, doctor, auto and cuda say why it is not used', async () => {
  const settings = 'capability=8.6 memory=8589934592 driver=12040';
  const [json, text, auto, explicit, old, turing, older, half] = await commandsWithGpu(driver!, [
    [settings, 'doctor', '--json'],
    [settings, 'doctor'],
    [settings, ...plan],
    [settings, ...plan, '--backend', 'cuda'],
    ['capability=6.1', ...plan],
    ['capability=7.5', ...plan, '--backend', 'cuda', '--compute-dtype', 'bf16'],
    ['capability=7.5', 'doctor', '--json'],
    ['capability=7.0', ...plan, '--backend', 'cuda'],
  ]);
  const { cuda, backend } = diagnosisOf(json);
  expect(cuda).toMatchObject({
    driver: '12.4',
    devices: [{ index: 0, name: 'Fake GPU', capability: '8.6', memory_bytes: 8589934592, kernels: 'sm_86' }],
  });
  expect(text.out).toMatch(/ {2}GPU 0 +Fake GPU, 8\.\d+ GB, capability 8\.6, kernels sm_86\n/);
  expect(text.out).toMatch(
    /multiplication +own kernels: libcublasLt\.so\.12 12\.9\.5 is there, but not measured on this GPU\n/,
  );
  expect(old).toMatchObject({
    code: 0,
    err: expect.stringMatching(
      /The GPU is not used: there are no kernels for Fake GPU, of compute capability 6\.1/,
    ) as string,
  });
  const { missing_ops: missing } = cuda;
  const notUsed = `${missing.length} ops have no CUDA kernel yet`;
  if (missing.length === 0) {
    expect([cuda.not_used, backend.startsWith('cuda '), auto.code, explicit.code]).toEqual(['', true, 0, 0]);
    expect(auto.err.replaceAll(/\s+/g, ' ')).toContain(
      'The GPU is used: Fake GPU. The CUDA kernels have run in an emulator only',
    );
    expect(explicit.err).not.toContain('The GPU is used');
    expect(explicit.out).toMatch(
      /total of the GPU, about .*\n\nbeside the GPU:\n(.*\n)+total of the process, about/,
    );
    expect(explicit.out).toContain('The run fits into 8.59 GB, which this GPU has free: ');
    expect([turing.code, turing.err.replaceAll(/\s+/g, ' ')]).toEqual([
      0,
      expect.stringContaining('Fake GPU has no bfloat16 instructions (compute capability 7.5)'),
    ]);
    expect([diagnosisOf(json).compute_dtype, diagnosisOf(older).compute_dtype]).toEqual(['bf16', 'f16']);
    expect([half.code, half.out]).toEqual([0, expect.stringContaining('f16')]);
    return;
  }
  expect([cuda.not_used, backend.startsWith('cuda ')]).toEqual([`${notUsed}.`, false]);
  expect([auto.code, auto.err]).toEqual([0, expect.stringContaining(`The GPU is not used: ${notUsed}.\n`)]);
  expect([explicit.code, explicit.err.replaceAll(/\s+/g, ' ')]).toEqual([
    1,
    expect.stringContaining(`${notUsed}: ${missing.join(', ')}`),
  ]);
});
