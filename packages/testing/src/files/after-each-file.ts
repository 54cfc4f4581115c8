// What vitest runs beside each test file (`setupFiles` in vitest.base.ts), also where files share modules.
import { afterAll } from 'vitest';
import { removeTemporaryFolders } from './temporary-folder.ts';

afterAll(removeTemporaryFolders);
