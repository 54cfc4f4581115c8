import { expect, test } from 'vitest';
import { assertContractVersion, CONTRACT_VERSION, createHostBackend } from '../index.ts';

test('a backend of another contract version is refused with both versions', () => {
  const backend = createHostBackend();
  assertContractVersion('train', backend);
  for (const contractVersion of [CONTRACT_VERSION + 1, undefined])
    expect(() => {
      assertContractVersion('train', { ...backend, contractVersion: contractVersion! });
    }).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED',
        details: { backend: 'host', contractVersion, supported: CONTRACT_VERSION },
      }),
    );
});
