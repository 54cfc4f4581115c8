// Writes events.schema.json from src/recipes/run-folder/event-line.ts: `npm run schema` in packages/qdylora.
// A test compares the two.
import { writeFileSync } from 'node:fs';
import { eventLineJsonSchema } from '../src/recipes/run-folder/event-line.ts';

writeFileSync(
  new URL('../events.schema.json', import.meta.url),
  `${JSON.stringify(eventLineJsonSchema(), null, 2)}\n`,
);
