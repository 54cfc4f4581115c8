import { dirname, basename } from 'node:path';
import type { FileSystem } from '../write/file-system.ts';

interface FileNode { kind: 'file'; data: Uint8Array; durable: Uint8Array }
interface FolderNode { kind: 'folder'; entries: Map<string, Node>; durable: Map<string, Node> }
type Node = FileNode | FolderNode;

/** Thrown at the moment of a crash, and by every call after it: no clean-up code gets to run. */
export class Crash extends Error {}

export interface MemoryFileSystem {
  readonly fs: FileSystem;
  /** Calls so far that changed something or made it durable. */
  readonly calls: number;
  /** From now on the call number `call` fails: with a system error, or as a crash. */
  failAt(call: number, error: 'crash' | string): void;
  /** The power comes back: what `survives` says of each file and folder is kept, the rest is as it was when last synced. */
  restart(survives: () => boolean): void;
}

/** A file system that remembers what was synced: a write is lost in a power cut until fsync of the file, and a name until fsync of its folder. */
export function memoryFileSystem(): MemoryFileSystem {
  const root = newFolder(), open = new Map<number, { node: Node; path: string }>();
  let nextFd = 3, calls = 0, failing: { call: number; error: string } | null = null;

  const fault = (code: string, path: string): Error => Object.assign(new Error(`${code}: simulated, ${path}`), { code });
  const step = (path: string): void => {
    calls++;
    if (!failing || calls < failing.call) return;
    if (failing.error === 'crash') throw new Crash(path);
    if (calls === failing.call) throw fault(failing.error, path);
  };
  const alive = (): void => { if (failing?.error === 'crash' && calls >= failing.call) throw new Crash('after the crash'); };
  const find = (path: string): Node | undefined => {
    let node: Node | undefined = root;
    for (const part of path.split('/').filter(Boolean)) node = node?.kind === 'folder' ? node.entries.get(part) : undefined;
    return node;
  };
  const get = (path: string): Node => find(path) ?? raise(fault('ENOENT', path));
  const folderAt = (path: string): FolderNode => {
    const node = get(path);
    return node.kind === 'folder' ? node : raise(fault('ENOTDIR', path));
  };

  const fs = {
    openSync(path: string, flags: string): number {
      alive();
      if (flags === 'wx') {
        step(path);
        if (find(path)) throw fault('EEXIST', path);
        folderAt(dirname(path)).entries.set(basename(path), { kind: 'file', data: new Uint8Array(0), durable: new Uint8Array(0) });
      }
      open.set(nextFd, { node: get(path), path });
      return nextFd++;
    },
    writeSync(fd: number, bytes: Uint8Array, offset: number, length: number): number {
      const { node, path } = open.get(fd)!;
      step(path);
      const wrote = Math.ceil(length / 2), file = node as FileNode; // always short, as a nearly full disk is
      file.data = Uint8Array.from([...file.data, ...bytes.subarray(offset, offset + wrote)]);
      return wrote;
    },
    readSync(fd: number, target: Uint8Array, offset: number, length: number, position: number): number {
      alive();
      const piece = (open.get(fd)!.node as FileNode).data.subarray(position, position + length);
      target.set(piece, offset);
      return piece.length;
    },
    fsyncSync(fd: number): void {
      const { node, path } = open.get(fd)!;
      step(path);
      if (node.kind === 'file') node.durable = node.data;
      else node.durable = new Map(node.entries);
    },
    closeSync(fd: number): void {
      const { path } = open.get(fd)!;
      open.delete(fd);
      step(path);
    },
    renameSync(from: string, to: string): void {
      step(from);
      const node = get(from), there = find(to);
      if (there?.kind === 'folder' && there.entries.size > 0) throw fault('ENOTEMPTY', to);
      folderAt(dirname(from)).entries.delete(basename(from));
      folderAt(dirname(to)).entries.set(basename(to), node);
    },
    rmSync(path: string): void {
      step(path);
      const parent = find(dirname(path));
      if (parent?.kind === 'folder') parent.entries.delete(basename(path));
    },
    mkdirSync(path: string, options?: { recursive?: boolean }): string | undefined {
      alive();
      if (find(path)) return options?.recursive ? undefined : raise(fault('EEXIST', path));
      const made = options?.recursive ? fs.mkdirSync(dirname(path), options) : undefined;
      step(path);
      folderAt(dirname(path)).entries.set(basename(path), newFolder());
      return made ?? path;
    },
    readdirSync(path: string, options?: { withFileTypes?: boolean }): unknown {
      alive();
      const entries = [...folderAt(path).entries];
      return options?.withFileTypes ? entries.map(([name, node]) => ({ name, isFile: () => node.kind === 'file', isDirectory: () => node.kind === 'folder' })) : entries.map(([name]) => name);
    },
    existsSync: (path: string): boolean => find(path) !== undefined,
    lstatSync(path: string): unknown {
      const node = get(path);
      return { isFile: () => node.kind === 'file', isDirectory: () => node.kind === 'folder', size: node.kind === 'file' ? node.data.length : 0, mtimeMs: 0 };
    },
    readFileSync: (path: string): string => Buffer.from((get(path) as FileNode).data).toString('utf8'),
  };

  return {
    fs: fs as unknown as FileSystem,
    get calls() { return calls; },
    failAt(call, error) { failing = { call, error }; },
    restart(survives) {
      failing = null;
      open.clear();
      settle(root, survives);
    },
  };
}

const newFolder = (): FolderNode => ({ kind: 'folder', entries: new Map<string, Node>(), durable: new Map<string, Node>() });

function settle(node: Node, survives: () => boolean): void {
  if (node.kind === 'file') {
    if (!survives()) node.data = node.durable;
    node.durable = node.data;
    return;
  }
  if (!survives()) node.entries = new Map(node.durable);
  node.durable = new Map(node.entries);
  for (const inner of node.entries.values()) settle(inner, survives);
}

function raise(error: Error): never {
  throw error;
}
