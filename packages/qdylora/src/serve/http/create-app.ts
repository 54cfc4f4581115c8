import type { QdyloraError } from '@qdylora/contract';
import type { Context, Hono, MiddlewareHandler } from 'hono';
import type { SSEStreamingApi } from 'hono/streaming';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { ListedModel, ServedModel } from '../served-models.ts';
import { ApiError, apiErrorOf, errorBody, plainMessage } from './api-error.ts';
import { beginChatCompletion } from './chat-completions.ts';
import { readChatRequest } from './chat-request.ts';
import { completionRequest } from './completion-request.ts';
import { beginCompletion, type Completion } from './completions.ts';
import { demandKey, demandLocalName, jsonBody, type JsonBody } from './guards.ts';
import { checkBody } from './request-fields.ts';
import { requestLife, type RequestLife } from './request-life.ts';
import type { Service } from './service.ts';

/** A static file of the page. */
export interface PageFile {
  readonly type: string;
  readonly text: string;
}

export interface AppOptions {
  /** Null: requests need no key, and must name one of `hosts`. */
  readonly apiKey: string | null;
  readonly hosts: readonly string[];
  readonly mostBodyBytes: number;
  /** The files of the page by path: `/`, `/chat.js` … */
  readonly page: ReadonlyMap<string, PageFile>;
  readonly memoryUsage: () => { readonly liveBytes: number; readonly reservedBytes: number };
}

/** Nothing but this server is loaded by the page. */
const PAGE_HEADERS = {
  'content-security-policy': "default-src 'self'; img-src data:; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-cache',
};

/** `streamed`: ends with the last chunk of a streamed answer, and says with which status. */
interface AppEnv {
  readonly Variables: { readonly streamed?: Promise<number> };
}
type App = Hono<AppEnv>;

const ROUTES: readonly string[] = ['/v1/models', '/v1/completions', '/v1/chat/completions'];

/** The route that `/metrics` names. A path itself may be anything, also from clients without a key. */
function routeOf(path: string): string {
  if (ROUTES.includes(path)) return path;
  return path.startsWith('/v1/models/') ? '/v1/models/:id' : 'other';
}

/** Counts each request when its answer has ended. */
const countRequests =
  ({ metrics }: Service): MiddlewareHandler<AppEnv> =>
  async (c, next) => {
    const begin = performance.now();
    await next();
    const count = (status: number): void =>
      metrics.addRequest(routeOf(c.req.path), status, (performance.now() - begin) / 1000);
    const streamed = c.get('streamed');
    if (streamed) void streamed.then(count);
    else count(c.res.status);
  };

/** Connections that clients keep open may bring requests after the server has begun to close. */
const refuseWhileDraining =
  ({ draining }: Service): MiddlewareHandler<AppEnv> =>
  async (c, next) => {
    if (draining.aborted) c.header('connection', 'close');
    draining.throwIfAborted();
    await next();
  };

/** The routes of a server. Hono is loaded here, so that other commands do not wait for it. */
export async function createApp(service: Service, options: AppOptions): Promise<App> {
  const { Hono } = await import('hono');
  const { bodyLimit } = await import('hono/body-limit');
  const { streamSSE } = await import('hono/streaming');
  const app: App = new Hono<AppEnv>();
  app.use(countRequests(service));
  app.onError((error, c) => {
    const api = apiErrorOf(error, service.onError);
    if (api.status === 503) c.header('retry-after', '1');
    return c.json(errorBody(api), api.status as ContentfulStatusCode);
  });
  app.notFound((c) =>
    c.json(errorBody(new ApiError(404, 'not_found', `There is no ${c.req.method} ${c.req.path}.`)), 404),
  );
  if (options.apiKey === null) app.use(demandLocalName(options.hosts));
  else for (const path of ['/v1/*', '/metrics']) app.use(path, demandKey(options.apiKey));
  app.use(
    bodyLimit({
      maxSize: options.mostBodyBytes,
      onError: () => {
        throw new ApiError(413, 'body_too_large', `A body has at most ${options.mostBodyBytes} bytes.`);
      },
    }),
  );
  app.use('/v1/*', refuseWhileDraining(service));
  addFacts(app, service, options);
  const answer = async (c: Context<AppEnv>, isStream: boolean, begin: (life: RequestLife) => Completion) => {
    const { closing, timeoutMs } = service;
    const life = requestLife({ client: c.req.raw.signal, closing, timeoutMs });
    try {
      const completion = begin(life);
      if (isStream)
        return streamSSE(c, (sse) => {
          const streamed = streamChunks(sse, completion, { service, life });
          c.set('streamed', streamed);
          return streamed.then(() => {});
        });
      const whole = await completion.whole();
      life.release();
      return c.json(whole);
    } catch (error) {
      life.abort(error);
      life.release();
      throw error;
    }
  };
  app.post('/v1/completions', async (c) => {
    const { value } = await modelBody(c, service);
    const request = checkBody(completionRequest, value);
    return answer(c, request.stream === true, (life) => beginCompletion(service, request, life));
  });
  app.post('/v1/chat/completions', async (c) => {
    const request = readChatRequest(await modelBody(c, service));
    return answer(c, request.stream === true, (life) => beginChatCompletion(service, request, life));
  });
  return app;
}

/** The body of a request for a model that is served. @throws ApiError 404 for another one */
async function modelBody(c: Context, { models }: Service): Promise<JsonBody> {
  const body = await jsonBody(c);
  const { model } = (body.value ?? {}) as { model?: unknown };
  if (typeof model === 'string') servedModel(model, models);
  return body;
}

/** @throws ApiError 404 for a name that is not served */
function servedModel(id: string, models: Service['models']): ServedModel {
  try {
    return models.find(id);
  } catch (error) {
    throw new ApiError(404, 'model_not_found', plainMessage(error as QdyloraError), 'model');
  }
}

/**
 * Writes the chunks of an answer. An error ends its other choices too, and is the last chunk.
 *
 * @returns the status with which it ended
 */
async function streamChunks(
  sse: SSEStreamingApi,
  completion: Completion,
  { service, life }: { readonly service: Service; readonly life: RequestLife },
): Promise<number> {
  const send = (value: unknown): Promise<void> => sse.writeSSE({ data: JSON.stringify(value) });
  try {
    await completion.chunks(send);
    await sse.writeSSE({ data: '[DONE]' });
    return 200;
  } catch (error) {
    life.abort(error);
    const api = apiErrorOf(error, service.onError);
    if (!sse.aborted) await send(errorBody(api));
    return api.status;
  } finally {
    life.release();
  }
}

/** Routes that answer at once: models, health, metrics and the page. */
function addFacts(app: App, service: Service, { page, memoryUsage }: AppOptions): void {
  const { models, engine, metrics, draining } = service;
  const began = service.clock();
  const modelJson = ({ id, rank, adapter, isRecommended, usesTemplate }: ListedModel) => ({
    id,
    object: 'model',
    created: began,
    owned_by: 'qdylora',
    adapter,
    rank,
    recommended: isRecommended,
    chat_template: usesTemplate,
  });
  app.get('/v1/models', (c) => c.json({ object: 'list', data: models.list.map(modelJson) }));
  app.get('/v1/models/:id', (c) => {
    const id = c.req.param('id');
    const { adapter, rank } = servedModel(id, models);
    const isRecommended = rank === adapter.recommendedRank;
    const { usesTemplate } = adapter.style;
    return c.json(modelJson({ id, rank, adapter: adapter.name, isRecommended, usesTemplate }));
  });
  app.get('/health', (c) =>
    draining.aborted ? c.json({ status: 'shutting down' }, 503) : c.json({ status: 'ok' }),
  );
  app.get('/metrics', (c) => {
    c.header('content-type', 'text/plain; version=0.0.4; charset=utf-8');
    return c.body(metrics.text(engine.usage(), memoryUsage()));
  });
  for (const [path, { type, text }] of page)
    app.get(path, (c) => c.body(text, 200, { ...PAGE_HEADERS, 'content-type': type }));
}
