import { fileURLToPath } from 'node:url';
import { QdyloraError } from '@qdylora/contract';
import { installedLaunchers, launch, temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { connectNccl, oneProcess } from '../src/index.ts';
import { buildFakeNccl } from '../scripts/build-fake-nccl.mjs';

const fake = buildFakeNccl(temporaryFolder());
if (!fake) console.log('skipped: NCCL on a fake library (it needs Linux and a C++ compiler)');
const [launcher] = installedLaunchers();

/** A worker starts in a second; machines with other work take longer. */
const TIMEOUT = 120_000;

const failureOf = async (work: Promise<unknown>): Promise<QdyloraError> => {
  try {
    await work;
  } catch (error) {
    if (QdyloraError.isInstance(error)) return error;
    throw error;
  }
  throw new Error('It did not fail.');
};

/** Runs `body` while the fake library fails in this way. */
async function failing<T>(order: string, body: () => Promise<T>): Promise<T> {
  process.env.QDYLORA_FAKE_NCCL = order;
  try {
    return await body();
  } finally {
    delete process.env.QDYLORA_FAKE_NCCL;
  }
}

describe.runIf(fake && launcher)('NCCL', () => {
  it.each([1, 3])(
    'runs every collective on %i workers',
    async (count) => {
      const path = fileURLToPath(new URL('every-collective.ts', import.meta.url));
      const node = ['--conditions=source', '--import', 'tsx', path, fake!.ncclPath, fake!.cudaPath];
      const { status, output } = await launch(launcher, count, node);
      expect(output.match(/all right \(NCCL 2\.32\.3\)/g), output).toHaveLength(count);
      expect(status).toBe(0);
    },
    TIMEOUT,
  );
});

describe.runIf(fake)('NCCL on one worker', () => {
  it.each([
    [1, 'unhandled cuda error'],
    [2, 'unhandled system error'],
    [3, 'internal error'],
    [4, 'invalid argument'],
    [5, 'invalid usage'],
    [6, 'remote process error'],
  ])('reports result %i of a call with its name', async (result, text) => {
    await using world = await connectNccl(oneProcess(), fake!);
    const { code, message, details } = await failing(`ncclAllReduce:${result}`, () =>
      failureOf(world.allReduce(new Float32Array(4))),
    );
    expect(code).toBe('COLLECTIVE_FAILED');
    expect(message).toContain(`The collective all-reduce failed: ncclAllReduce: ${text}`);
    expect(details).toMatchObject({ call: 'ncclAllReduce', result });
  });

  it('reports a failure of the driver, and one while it connects', async () => {
    const noDevice = await failureOf(connectNccl(oneProcess(), { ...fake!, device: 99 }));
    expect(noDevice.details).toMatchObject({ collective: 'connect', call: 'cuDeviceGet', result: 101 });
    const noId = await failing('ncclGetUniqueId:2', () => failureOf(connectNccl(oneProcess(), fake!)));
    expect(noId.details).toMatchObject({ call: 'ncclGetUniqueId', result: 2 });
  });

  it('is refused where there is no library, with what to install', async () => {
    const { code, message } = await failureOf(
      connectNccl(oneProcess(), { ...fake!, ncclPath: 'libnccl-nowhere.so' }),
    );
    expect(code).toBe('UNSUPPORTED');
    expect(message).toMatch(/NCCL or the CUDA driver cannot be opened: libnccl-nowhere\.so.*Install NCCL/s);
  });
});
