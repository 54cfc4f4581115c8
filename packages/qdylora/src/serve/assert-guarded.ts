import { QdyloraError } from '@qdylora/contract';

/** Addresses and names that only this machine can reach. */
export const LOCAL_NAMES = ['127.0.0.1', 'localhost', '::1'];

/** A host as it is written in a URL, and in the Host of a request. */
export const nameInUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** @throws QdyloraError BAD_CONFIG for a host that other machines can reach, without a key */
export function assertGuarded(host: string, apiKey: string | null): void {
  if (LOCAL_NAMES.includes(host) || apiKey !== null) return;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'host',
    problem: `Other machines can reach ${host}, so a server there needs an API key.`,
    nextStep: 'Set one: --api-key, or leave --host out to serve this machine only.',
  });
}
