import { readFileSync } from 'node:fs';
import type { PageFile } from './http/create-app.ts';

/** The page's files and their types, by the path at which they are served. */
const FILES = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/chat.css', 'chat.css', 'text/css; charset=utf-8'],
  ['/chat.js', 'chat.js', 'text/javascript; charset=utf-8'],
] as const;

/** Reads the page, so that requests read no files. @param folder ends with a slash */
export const readPage = (folder: URL): ReadonlyMap<string, PageFile> =>
  new Map(
    FILES.map(([path, file, type]) => [path, { type, text: readFileSync(new URL(file, folder), 'utf8') }]),
  );
