import { createServer, type Server } from 'node:net';
import { QdyloraError } from '@qdylora/contract';

/** Where a server listens. */
interface Address {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/**
 * Listens at an address and stops at once, so that a taken port is noticed before a model is loaded. The
 * server itself listens only when it can answer, so its `/health` is true.
 *
 * @throws QdyloraError BAD_CONFIG for an address where it cannot listen
 */
export async function assertCanListen(address: Address): Promise<void> {
  const probe = createServer();
  await listen(probe, address);
  await new Promise((resolve) => probe.close(resolve));
}

/**
 * Starts to listen, and resolves to the port: that of the address, or the free one in place of 0.
 *
 * @throws QdyloraError BAD_CONFIG for an address where it cannot listen
 */
export function listen(server: Server, { host, port }: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new QdyloraError('BAD_CONFIG', {
          where: isPortProblem(cause) ? 'port' : 'host',
          problem: `The server cannot listen on ${host}:${port}: ${cause.message}.`,
          nextStep: isPortProblem(cause)
            ? 'Choose another port: --port 0 takes any free one.'
            : 'Choose another --host: an address or a name of this machine.',
          cause,
        }),
      ),
    );
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

/** The port is taken, or needs other rights. Otherwise the host is no address of this machine. */
const isPortProblem = ({ code }: NodeJS.ErrnoException): boolean =>
  code === 'EADDRINUSE' || code === 'EACCES';
