import { QdyloraError } from '@qdylora/contract';

/** 499 is nginx's: the client closed the connection. Nobody reads that answer, but `/metrics` counts it. */
type Status = 400 | 401 | 403 | 404 | 413 | 415 | 499 | 500 | 503 | 504;

/** An answer that refuses a request, in the form of OpenAI's errors. */
export class ApiError extends Error {
  readonly status: Status;
  readonly code: string;
  readonly param: string | null;

  constructor(status: Status, code: string, message: string, param: string | null = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
  }
}

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

export const errorBody = ({ status, code, message, param }: ApiError): ErrorBody => ({
  error: { message, type: status < 500 ? 'invalid_request_error' : 'server_error', param, code },
});

export const clientClosed = (): ApiError =>
  new ApiError(499, 'client_closed', 'The client closed the connection.');

/** The message without the place in the program, which means nothing to a client. */
export const plainMessage = ({ where, message }: QdyloraError): string =>
  message.startsWith(`[${where}] `) ? message.slice(`[${where}] `.length) : message;

/** Codes of errors whose cause is the request. */
const BAD_REQUEST: ReadonlySet<string> = new Set(['BAD_ARGUMENT', 'BAD_DATA', 'BAD_CONFIG', 'UNSUPPORTED']);

/**
 * Any error as an answer. What a client caused is told with its message; anything else is told without one,
 * because messages may name files.
 *
 * @param onInternal receives the errors that the client is not told
 */
export function apiErrorOf(error: unknown, onInternal: (error: unknown) => void): ApiError {
  if (error instanceof ApiError) return error;
  if (QdyloraError.isInstance(error)) {
    if (error.code === 'BUSY')
      return new ApiError(503, 'queue_full', 'Too many requests wait already. Try again later.');
    if (error.code === 'ABORTED') return new ApiError(503, 'shutting_down', 'The server is shutting down.');
    if (BAD_REQUEST.has(error.code)) return new ApiError(400, error.code.toLowerCase(), plainMessage(error));
  }
  // the only connections here are those of clients: one closed while its body was read
  if ((error as NodeJS.ErrnoException | null)?.code === 'ECONNRESET') return clientClosed();
  onInternal(error);
  return new ApiError(500, 'internal_error', 'The server could not answer the request.');
}
