import { mergeConfig } from 'vitest/config';
import { testProject } from '../../vitest.base.ts';

/**
 * eventsource-parser, which the client of @ai-sdk/openai-compatible reads streams with, has TypeScript under
 * the condition `source`: Vite has to load it.
 */
export default mergeConfig(testProject('qdylora'), {
  test: { server: { deps: { inline: [/eventsource-parser/, /@ai-sdk/] } } },
});
