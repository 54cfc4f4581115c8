import { QdyloraError } from '../errors/errors.ts';
import { CONTRACT_VERSION, type Backend } from './backend.ts';

/**
 * Refuses a backend of another version of the contract. Called where a backend enters: as an option, or with
 * a model.
 *
 * @throws QdyloraError UNSUPPORTED with both versions
 */
export function assertContractVersion(
  where: string,
  { name, contractVersion }: Pick<Backend, 'name' | 'contractVersion'>,
): void {
  if (contractVersion === CONTRACT_VERSION) return;
  throw new QdyloraError('UNSUPPORTED', {
    where,
    problem:
      `The backend ${name} was written for version ${String(contractVersion)} of the contract of backends, ` +
      `but this is version ${CONTRACT_VERSION}`,
    nextStep: 'Install versions of @qdylora/contract and of the backend that go together.',
    details: { backend: name, contractVersion, supported: CONTRACT_VERSION },
  });
}
