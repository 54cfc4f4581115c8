import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { temporaryFolder } from '@qdylora/testing/node';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { cpuStopwatch } from '../test-support/cpu-stopwatch.ts';
import { rejectionOf } from '../test-support/error-of.ts';
import { COMMIT, gitHash } from '../test-support/hub-server.ts';
import { fetchModel } from './fetch-model.ts';
import type { HubOptions } from './hub-options.ts';
import { machineTag } from '../write/machine-tag.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, path: string) => void;

const config = Buffer.from('{"model_type":"llama"}');
const weights = Buffer.alloc(300_000, 5);
const WEIGHTS = 'model.safetensors';
const listing = (
  files: Readonly<Record<string, Buffer>> = { 'config.json': config, [WEIGHTS]: weights },
): string =>
  JSON.stringify({
    sha: COMMIT,
    siblings: Object.entries(files).map(([rfilename, content]) => ({
      rfilename,
      size: content.length,
      blobId: gitHash(content),
    })),
  });

let answer: Answer = (_, response) => void response.end();
let cacheFolder: string;
let waits: number[];
const server = createServer((request, response) => {
  response.shouldKeepAlive = false; // else a process that stood still finds its connection closed
  answer(request, response, request.url!);
});
await new Promise<void>((done) => {
  server.listen(0, done);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  cacheFolder = temporaryFolder();
  waits = [];
});

const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const options = (more: Partial<HubOptions> = {}): HubOptions => ({
  cacheFolder,
  endpoint,
  token: null,
  isOffline: false,
  sleep: async (ms) => void waits.push(ms),
  ...more,
});
const fetchFrom = (serverAnswer: Answer, more?: Partial<HubOptions>): Promise<string> => {
  answer = serverAnswer;
  return fetchModel('org/name', options(more));
};
/** A correct hub, but for what `weightsAnswer` does when it is asked for the weights. */
const wellBut =
  (weightsAnswer: Answer): Answer =>
  (request, response, path) => {
    if (path.startsWith('/api')) response.end(listing());
    else if (path.endsWith('config.json')) response.end(config);
    else weightsAnswer(request, response, path);
  };
const blobs = (): string => join(cacheFolder, 'models--org--name/blobs');
const blob = (): string => join(blobs(), gitHash(weights));
const isWhole = (path: string): boolean => readFileSync(path).equals(weights);
const offsetOf = ({ headers: { range } }: IncomingMessage): number =>
  Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
const breaking = (response: ServerResponse, bytes: number): void => {
  response.writeHead(200, { 'content-length': weights.length });
  response.write(weights.subarray(0, bytes), () => setImmediate(() => response.destroy()));
};

describe('a listing', () => {
  it.each<[string, Answer, RegExp]>([
    [
      'that redirects to itself for ever',
      (_, response, path) => response.writeHead(302, { location: path }).end(),
      /more than 8 redirects/,
    ],
    [
      'that redirects to no address',
      (_, response) => response.writeHead(302, { location: 'http://[' }).end(),
      /redirects to "http:\/\/\[", which is not an address/,
    ],
    [
      'that redirects into the file system',
      (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
      /must lead to https \(got file:/,
    ],
    [
      'that breaks off',
      (_, response) => {
        response.writeHead(200, { 'content-length': 1000 });
        response.write('{"sha":', () => setImmediate(() => response.destroy()));
      },
      /connection broke/,
    ],
    [
      'with too many requests before it',
      (_, response) => response.writeHead(429, { 'retry-after': '7' }).end(),
      /status 429/,
    ],
    [
      'behind a header of 100 kB',
      (_, response) => response.setHeader('x-huge', 'y'.repeat(100_000)).end('{}'),
      /does not answer/,
    ],
  ])('%s is an error that says so', async (_, serverAnswer, message) => {
    const elapsed = cpuStopwatch();
    const error = await rejectionOf(fetchFrom(serverAnswer), 'MISSING_FILE');
    expect(error.message).toMatch(
      /the hub cannot be reached to look for a model of that name\..*The hub: \[hub\] /,
    );
    expect(error.message).toMatch(message);
    expect(elapsed()).toBeLessThan(1000);
  });

  it.each([
    ['brackets inside brackets', '['.repeat(2_000_000), /lists inside each other|deep|levels/],
    ['300,000 files', `[${'{},'.repeat(300_000)}{}]`, /262144|262,144/],
  ])('of %s is refused by its limit, as BAD_FILE, whatever is cached', async (_, body, message) => {
    const elapsed = cpuStopwatch();
    const error = await rejectionOf(
      fetchFrom((_request, response) => response.end(body)),
      'BAD_FILE',
    );
    expect(error.message).toMatch(message);
    expect(elapsed()).toBeLessThan(1000);
  });

  it('that asks to wait is asked for once more after that time, and no longer than a minute', async () => {
    let requests = 0;
    const good = wellBut((_, response) => response.end(weights));
    const busyFirst: Answer = (...request) =>
      requests++ === 0 ? request[1].writeHead(503, { 'retry-after': '900' }).end() : good(...request);
    expect(isWhole(join(await fetchFrom(busyFirst), WEIGHTS))).toBe(true);
    expect(waits).toEqual([60_000]);
  });
});

it('an abort ends the wait that a server asks for', async () => {
  const controller = new AbortController();
  const reason = new Error('stop');
  const busy: Answer = (_, response) => {
    response.writeHead(503, { 'retry-after': '50' }).end();
    setTimeout(() => controller.abort(reason), 50);
  };
  await expect(fetchFrom(busy, { sleep: undefined, signal: controller.signal })).rejects.toBe(reason);
});

describe('the file of the weights', () => {
  it('is waited for as long as the server asks', async () => {
    let requests = 0;
    await fetchFrom(
      wellBut((_, response) =>
        requests++ < 2 ? response.writeHead(429, { 'retry-after': '3' }).end() : response.end(weights),
      ),
    );
    expect([waits, isWhole(blob())]).toEqual([[3000, 3000], true]);
  });

  it.each<[string, Answer]>([
    [
      'another part than was asked for',
      (request, response) =>
        response
          .writeHead(206, { 'content-range': `bytes 7-${weights.length - 1}/${weights.length}` })
          .end(weights.subarray(offsetOf(request) - 50_000)),
    ],
    ['a refusal of every part', (_, response) => response.writeHead(416).end()],
  ])('%s makes the next try begin anew', async (_, onPart) => {
    let isFirst = true;
    await fetchFrom(
      wellBut((request, response, path) => {
        if (offsetOf(request) > 0) return onPart(request, response, path);
        if (isFirst) breaking(response, 100_000);
        else response.end(weights);
        isFirst = false;
      }),
    );
    expect([isWhole(blob()), readdirSync(blobs()).length]).toEqual([true, 2]);
  });

  it.each<[string, number | null]>([
    ['before its answer', null],
    ['in the middle of it', 100_000],
  ])('is asked for again where the server falls silent %s', async (_, firstBytes) => {
    const froms: number[] = [];
    // No server and no connection: where this process stands still, nothing but the silent answer is late.
    const fetch = (async (
      url: URL,
      { headers, signal }: { headers: Record<string, string>; signal: AbortSignal },
    ) => {
      if (url.pathname.startsWith('/api')) return new Response(listing());
      if (url.pathname.endsWith('config.json')) return new Response(config);
      const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
      froms.push(from);
      if (froms.length > 1)
        return new Response(
          weights.subarray(from),
          from > 0
            ? {
                status: 206,
                headers: { 'content-range': `bytes ${from}-${weights.length - 1}/${weights.length}` },
              }
            : {},
        );
      if (firstBytes === null)
        return await new Promise((__, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        });
      return new Response(
        new ReadableStream({
          start(stream) {
            stream.enqueue(weights.subarray(0, firstBytes));
            signal.addEventListener('abort', () => stream.error(signal.reason));
          },
        }),
      );
    }) as unknown as typeof globalThis.fetch;
    await fetchModel('org/name', options({ fetch, longestSilenceMs: 20 }));
    expect([froms, isWhole(blob())]).toEqual([[0, firstBytes ?? 0], true]);
  });

  it('other content in the second part is found by its hash, and nothing of it is kept', async () => {
    const other = Buffer.alloc(weights.length, 6);
    const otherContent = wellBut((request, response) => {
      const from = offsetOf(request);
      if (from === 0) breaking(response, 100_000);
      else
        response
          .writeHead(206, {
            'content-range': `bytes ${from}-${weights.length - 1}/${weights.length}`,
            etag: '"other"',
          })
          .end(other.subarray(from));
    });
    expect((await rejectionOf(fetchFrom(otherContent), 'BAD_FILE')).message).toMatch(/must have git hash/);
    expect(readdirSync(blobs())).toEqual([gitHash(config)]);
  });

  it('that comes zipped is unzipped, and one that swells past its size is stopped', async () => {
    const zipped = (content: Buffer): Answer =>
      wellBut((_, response) => response.setHeader('content-encoding', 'gzip').end(gzipSync(content)));
    expect((await rejectionOf(fetchFrom(zipped(Buffer.alloc(50_000_000))), 'BAD_FILE')).message).toMatch(
      /must have 300000 bytes \(got more/,
    );
    expect(isWhole(join(await fetchFrom(zipped(weights)), WEIGHTS))).toBe(true);
  });

  it("of a name under another file's is WRITE_FAILED", async () => {
    const files = {
      'config.json': config,
      'model.safetensors.index.json': Buffer.from('{"weight_map":{"a":"config.json/x"}}'),
      'config.json/x': Buffer.from('q'),
    };
    const serverAnswer: Answer = (_, response, path) =>
      response.end(
        path.startsWith('/api')
          ? listing(files)
          : files[path.slice(path.indexOf(COMMIT) + COMMIT.length + 1) as 'config.json'],
      );
    await rejectionOf(fetchFrom(serverAnswer), 'WRITE_FAILED');
  });
});

describe('what a person may set wrong', () => {
  it.each([['foo'], ['ftp://host'], ['http://']])('the endpoint %s is refused by name', async (bad) => {
    expect(
      (
        await rejectionOf(
          fetchFrom(
            wellBut(() => {}),
            { endpoint: bad },
          ),
          'BAD_ARGUMENT',
        )
      ).message,
    ).toMatch(/must be like https:\/\/huggingface\.co/);
  });

  it.each([['hf_secret\nx'], ['hf_sécret'], ['hf secret'], ['']])(
    'a token that no header can hold is refused, and not told (%j)',
    async (token) => {
      const error = await rejectionOf(
        fetchFrom(
          wellBut(() => {}),
          { token },
        ),
        'BAD_ARGUMENT',
      );
      expect(error.message).toMatch(/HF_TOKEN/);
      expect(JSON.stringify(error) + error.message).not.toMatch(/cret/);
    },
  );

  it('a cache where a file stands is WRITE_FAILED', async () => {
    writeFileSync(join(cacheFolder, 'file'), '');
    await rejectionOf(
      fetchFrom(
        wellBut((_, response) => response.end(weights)),
        { cacheFolder: join(cacheFolder, 'file') },
      ),
      'WRITE_FAILED',
    );
  });
});

describe('two downloads of one file', () => {
  it('at the same time keep apart, and both end with the whole', async () => {
    const half: Answer = (_, response) => {
      // the second half only when both have asked
      response.writeHead(200, { 'content-length': weights.length });
      response.write(weights.subarray(0, 150_000));
      open.push(response);
      if (open.length === 2) for (const one of open) one.end(weights.subarray(150_000));
    };
    const open: ServerResponse[] = [];
    answer = wellBut(half);
    const folders = await Promise.all([fetchModel('org/name', options()), fetchModel('org/name', options())]);
    expect([folders[0], isWhole(blob())]).toEqual([folders[1], true]);
    expect(readdirSync(blobs()).sort()).toEqual([gitHash(config), gitHash(weights)].sort());
  });

  const gone = 2 ** 22 + 1; // above the largest number of a process
  const otherMachine = machineTag() === '012345' ? '543210' : '012345';
  const part = (pid: number, machine = machineTag()): string =>
    `${blob()}.incomplete-${machine}-${pid}-0123456789ab`;
  it.each([
    ['a dead process', () => part(gone)],
    ['another machine, a day old,', () => part(process.pid, otherMachine)],
  ])('the part of %s is continued; parts that may be written to are left alone', async (_, abandoned) => {
    mkdirSync(blobs(), { recursive: true });
    writeFileSync(part(process.pid), weights.subarray(0, 250_000));
    writeFileSync(part(gone, otherMachine), weights.subarray(0, 250_000));
    writeFileSync(abandoned(), weights.subarray(0, 200_000));
    if (abandoned() !== part(gone)) utimesSync(abandoned(), 1, 1);
    const offsets: number[] = [];
    await fetchFrom(
      wellBut((request, response) => {
        const from = offsetOf(request);
        offsets.push(from);
        response
          .writeHead(206, { 'content-range': `bytes ${from}-${weights.length - 1}/${weights.length}` })
          .end(weights.subarray(from));
      }),
    );
    expect([offsets, isWhole(blob())]).toEqual([[200_000], true]);
    expect(
      [abandoned(), part(process.pid), part(gone, otherMachine)].map((path) => existsSync(path)),
    ).toEqual([false, true, true]);
  });
});
