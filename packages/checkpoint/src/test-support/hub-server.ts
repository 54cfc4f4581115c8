import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const COMMIT = 'a'.repeat(40);

/**
 * A repository as the hub would serve it; large files (`lfs`) are redirected to a storage of another host
 * name.
 */
export interface HubRepository {
  readonly files: Readonly<Record<string, Buffer>>;
  readonly lfs?: readonly string[];
  readonly needsToken?: string;
}

/**
 * What goes wrong, by file: the connection breaks after some bytes (once, or always), the content is other
 * than listed, or ranges are not understood.
 */
export interface HubFaults {
  breakAfter?: number;
  breaks?: number;
  content?: Buffer;
  ignoresRange?: boolean;
}

export interface HubServer extends AsyncDisposable {
  readonly endpoint: string;
  /** `GET path range`, and the authorization that came with it. */
  readonly requests: {
    readonly line: string;
    readonly host: string;
    readonly authorization: string | undefined;
  }[];
  readonly faults: Map<string, HubFaults>;
  stop(): Promise<void>;
}

/** A server on this machine that answers as the hub does. `moved`: new names of repositories. */
export async function hubServer(
  repositories: Readonly<Record<string, HubRepository>>,
  moved: Readonly<Record<string, string>> = {},
): Promise<HubServer> {
  const requests: HubServer['requests'] = [];
  const faults = new Map<string, HubFaults>();
  const answer = answerer(repositories, moved, faults);
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://x').pathname);
    const { range, authorization, host } = request.headers;
    // otherwise a process that was stopped for seconds finds its connection closed
    response.shouldKeepAlive = false;
    requests.push({
      line: `${request.method} ${path}${range ? ` ${range}` : ''}`,
      host: host!,
      authorization,
    });
    answer(path, request, response);
  });
  await new Promise<void>((done) => {
    server.listen(0, done);
  });
  const stop = (): Promise<void> =>
    new Promise((done) => {
      server.closeAllConnections();
      server.close(() => done());
    });
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    faults,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

type Answer = (path: string, request: IncomingMessage, response: ServerResponse) => void;

/** Answers listings (`/api/models`), files (`/resolve`) and the storage of large files. */
function answerer(
  repositories: Readonly<Record<string, HubRepository>>,
  moved: Readonly<Record<string, string>>,
  faults: ReadonlyMap<string, HubFaults>,
): Answer {
  return (path, request, response) => {
    const end = (status: number, headers: Record<string, string> = {}): void => {
      response.writeHead(status, headers).end();
    };
    const [, storedName, storedFile] = /^\/storage\/([^/]+\/[^/]+)\/(.+)$/.exec(path) ?? [];
    if (storedFile)
      return send(request, response, repositories[storedName!].files[storedFile], faults.get(storedFile));
    const [, api, revision] = /^\/api\/(?:models|datasets)\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path) ?? [];
    const [, name = api, , file] =
      /^(?:\/datasets)?\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? [];
    if (name && moved[name]) return end(307, { location: path.replace(name, moved[name]) });
    const repository = name ? repositories[name] : undefined;
    if (!repository || revision === 'missing') return end(404);
    if (repository.needsToken && request.headers.authorization !== `Bearer ${repository.needsToken}`)
      return end(401);
    if (api) {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(listing(repository)));
      return;
    }
    const content = repository.files[file!];
    if (!content) return end(404);
    if (repository.lfs?.includes(file!))
      return end(302, {
        location: `http://localhost:${request.socket.localPort}/storage/${name}/${file}`,
        'x-linked-size': String(content.length),
      });
    send(request, response, content, faults.get(file!));
  };
}

export const gitHash = (content: Buffer): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
export const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

const listing = ({ files, lfs = [] }: HubRepository): unknown => ({
  sha: COMMIT,
  siblings: Object.entries(files).map(([rfilename, content]) =>
    lfs.includes(rfilename)
      ? {
          rfilename,
          size: content.length,
          blobId: 'b'.repeat(40),
          lfs: { sha256: sha256(content), size: content.length, pointerSize: 130 },
        }
      : { rfilename, size: content.length, blobId: gitHash(content) },
  ),
});

function send(
  request: IncomingMessage,
  response: ServerResponse,
  listed: Buffer,
  fault: HubFaults | undefined,
): void {
  const content = fault?.content ?? listed;
  const from = fault?.ignoresRange ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const rest = content.subarray(from);
  response.writeHead(from > 0 ? 206 : 200, {
    'content-length': String(rest.length),
    ...(from > 0 ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {}),
  });
  if (fault?.breakAfter !== undefined && (fault.breaks ?? Infinity) > 0) {
    fault.breaks = (fault.breaks ?? Infinity) - 1;
    response.write(rest.subarray(0, fault.breakAfter), () => setImmediate(() => response.destroy()));
  } else response.end(rest);
}
