// What vitest runs before each test file (`setupFiles` in vitest.base.ts), also where files share modules.
import { afterAll } from 'vitest';
import { removeTemporaryFolders } from '../files/temporary-folder.ts';
import './compare-bytes.ts';

afterAll(removeTemporaryFolders);
