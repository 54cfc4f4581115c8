import { randomBytes, randomInt } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Server } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { QdyloraError } from '@qdylora/contract';
import { createDecodeEngine, type EngineUsage } from '@qdylora/models';
import { LOCAL_NAMES, nameInUrl } from './assert-guarded.ts';
import { listen } from './listen.ts';
import { createApp } from './http/create-app.ts';
import { createMetrics } from './http/metrics.ts';
import type { Service } from './http/service.ts';
import type { OpenServedModels } from './open-served-models.ts';
import { readPage } from './read-page.ts';

/** A server that listens. */
export interface RunningServer {
  /** `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly contextTokens: number;
  readonly capacityTokens: number;
  usage(): EngineUsage;
  /**
   * Takes no new requests, ends the running ones when the grace is over, and releases all memory but the
   * model's.
   */
  close(): Promise<void>;
}

export interface ServerOptions {
  /** Folder of the page's files. */
  readonly page: URL;
  /** Receives errors that clients are not told. */
  readonly onError: (error: unknown) => void;
  /** Milliseconds that running requests get when the server closes. */
  readonly graceMs?: number;
}

const DEFAULT_GRACE_MS = 5000;
const DEFAULT_BODY_BYTES = 4 * 2 ** 20;
/** Longer than proxies and clients keep a connection: they must not send into one that is being closed. */
const KEEP_ALIVE_MS = 65_000;
/** The longest that a client may take to send its request. */
const RECEIVE_MS = 60_000;

/**
 * Serves models over HTTP.
 *
 * @throws QdyloraError BAD_CONFIG for an address where it cannot listen
 */
export async function startServer(served: OpenServedModels, options: ServerOptions): Promise<RunningServer> {
  const { config, opened, models, sizes } = served;
  const { memory } = opened.model.backend;
  const { contextTokens, capacityTokens } = sizes;
  const draining = new AbortController();
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // one for each running request
  const engine = createDecodeEngine(opened.model, {
    capacityTokens,
    maxRunning: config.maxConcurrency,
    maxWaiting: config.maxQueue,
    draftTokens: config.draftTokens,
    computeDtype: opened.computeDtype,
    pause: () => setImmediate(),
  });
  try {
    const service: Service = {
      models,
      engine,
      metrics: createMetrics(),
      contextTokens,
      mostAnswers: config.maxConcurrency + config.maxQueue,
      timeoutMs: config.timeout * 1000,
      clock: () => Math.floor(Date.now() / 1000),
      newId: () => randomBytes(12).toString('hex'),
      newSeed: () => randomInt(2 ** 48 - 1),
      draining: draining.signal,
      closing: closing.signal,
      onError: options.onError,
    };
    const app = await createApp(service, {
      apiKey: config.apiKey,
      hosts: [...LOCAL_NAMES.map(nameInUrl), config.host],
      mostBodyBytes: config.maxBody ?? DEFAULT_BODY_BYTES,
      page: readPage(options.page),
      memoryUsage: () => memory.usage(),
    });
    const { createAdaptorServer } = await import('@hono/node-server');
    const server = createAdaptorServer({ fetch: app.fetch }) as Server;
    server.requestTimeout = RECEIVE_MS;
    server.headersTimeout = RECEIVE_MS;
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    const port = await listen(server, config);
    return {
      url: `http://${nameInUrl(config.host)}:${port}`,
      contextTokens,
      capacityTokens,
      usage: () => engine.usage(),
      close: () =>
        closeServer(server, { engine, draining, closing, graceMs: options.graceMs ?? DEFAULT_GRACE_MS }),
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

interface Closing {
  readonly engine: Service['engine'];
  readonly draining: AbortController;
  readonly closing: AbortController;
  readonly graceMs: number;
}

async function closeServer(server: Server, { engine, draining, closing, graceMs }: Closing): Promise<void> {
  draining.abort(shuttingDown());
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  const grace = setTimeout(() => {
    closing.abort(shuttingDown());
    setTimeout(() => server.closeAllConnections(), LAST_WORDS_MS).unref();
  }, graceMs);
  await closed;
  clearTimeout(grace);
  clearInterval(idle);
  if (!closing.signal.aborted) closing.abort(shuttingDown());
  await engine.close();
}

/** Connections become idle when their last answer is sent. */
const IDLE_CHECK_MS = 50;
/** Time for the error objects of requests that are ended. */
const LAST_WORDS_MS = 500;

const shuttingDown = (): QdyloraError =>
  new QdyloraError('ABORTED', { where: 'serve', problem: 'The server is shutting down' });
