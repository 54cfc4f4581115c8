import type * as nodeFs from 'node:fs';
import { dirname, basename } from 'node:path';
import { createRng } from '@qdylora/contract';

interface FileNode {
  kind: 'file';
  data: Uint8Array;
  durable: Uint8Array;
}
/** `states`: the entries as they were last synced, and after each change since. */
interface FolderNode {
  kind: 'folder';
  entries: Map<string, Node>;
  states: Map<string, Node>[];
}
type Node = FileNode | FolderNode;

/**
 * What a power cut does to what was not synced: it is all `lost`, or all `kept`; `mixed`: each file is there
 * or not, and each folder has the first so many of its changes (a change of names is one entry of a journal);
 * `torn`: as mixed, and of a file that is there each sector is new, old, or garbage.
 */
export type PowerCut = 'lost' | 'kept' | 'mixed' | 'torn';
export const POWER_CUTS: readonly PowerCut[] = ['lost', 'kept', 'mixed', 'torn'];

/** Smaller than a disk's, so that small files tear too. */
const SECTOR_BYTES = 64;

/** Thrown at the moment of a crash, and by every call after it: no clean-up code gets to run. */
export class Crash extends Error {}

/**
 * A file system that remembers what was synced: a write is lost in a power cut until fsync of the file, and a
 * name until fsync of its folder.
 */
export class MemoryFileSystem {
  /** The calls that saving a checkpoint needs. */
  readonly fs = this as unknown as typeof nodeFs;
  /** Calls so far, those that only look included. */
  calls = 0;
  /** How much the disk holds. */
  capacityBytes = Infinity;
  private readonly root = newFolder();
  private readonly open = new Map<number, { readonly node: Node; readonly path: string }>();
  private nextFd = 3;
  private failing: { readonly call: number; readonly error: string } | null = null;

  /**
   * The call number `call` fails: with a system error, as a `crash`, or, where it writes, by taking one byte
   * (`short`).
   */
  failAt(call: number, error: string): void {
    this.failing = { call, error };
  }

  /** The power comes back, after a cut of this kind; a seed decides what is left to chance. */
  restart(cut: PowerCut, seed = 0): void {
    const rng = createRng(seed);
    let drawn = 0;
    this.failing = null;
    this.open.clear();
    settle(this.root, cut, () => rng.uniform(drawn++));
  }

  /** Every file by its path. */
  files(node: Node = this.root, path = ''): [string, Uint8Array][] {
    return node.kind === 'file'
      ? [[path, node.data]]
      : [...node.entries].flatMap(([name, inner]) => this.files(inner, `${path}/${name}`));
  }

  openSync(path: string, flags: string): number {
    this.step(path);
    if (flags === 'wx') {
      if (this.find(path)) throw fault('EEXIST', path);
      this.change(dirname(path), basename(path), {
        kind: 'file',
        data: new Uint8Array(0),
        durable: new Uint8Array(0),
      });
    }
    this.open.set(this.nextFd, { node: this.get(path), path });
    return this.nextFd++;
  }

  /** Always takes half, as a nearly full disk does. */
  // oxlint-disable-next-line max-params -- as in node:fs
  writeSync(
    fd: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number | null = null,
  ): number {
    const { node, path } = this.open.get(fd)!;
    this.step(path);
    const isShort = this.failing?.error === 'short' && this.calls === this.failing.call;
    const wrote = isShort ? Math.min(1, length) : Math.ceil(length / 2);
    const file = node as FileNode;
    if (this.usedBytes() + wrote > this.capacityBytes) throw fault('ENOSPC', path);
    const at = position ?? file.data.length;
    const data = new Uint8Array(Math.max(file.data.length, at + wrote));
    data.set(file.data);
    data.set(bytes.subarray(offset, offset + wrote), at);
    file.data = data;
    return wrote;
  }

  /** Takes half too. The bytes are there when it says so. */
  writev(
    fd: number,
    pieces: readonly Uint8Array[],
    position: number,
    callback: (error: Error | null, count: number) => void,
  ): void {
    const bytes = Buffer.concat(pieces);
    inTurn(
      () => {
        const count = this.writeSync(fd, bytes, 0, bytes.length, position);
        return () => callback(null, count);
      },
      (error) => callback(error, 0),
    );
  }

  // oxlint-disable-next-line max-params -- as in node:fs
  readSync(fd: number, target: Uint8Array, offset: number, length: number, position: number): number {
    const { node, path } = this.open.get(fd)!;
    this.step(path);
    const piece = (node as FileNode).data.subarray(position, position + length);
    target.set(piece, offset);
    return piece.length;
  }

  fsyncSync(fd: number): void {
    const { node, path } = this.open.get(fd)!;
    this.step(path);
    if (node.kind === 'file') node.durable = node.data;
    else node.states = [new Map(node.entries)];
  }

  /** Durable when it says so, not when it is called. */
  fsync(fd: number, callback: (error: Error | null) => void): void {
    const { node, path } = this.open.get(fd)!;
    const data = node.kind === 'file' ? node.data : null;
    let failure: Error | null = null;
    try {
      this.step(path);
    } catch (error) {
      failure = error as Error;
    }
    queueMicrotask(() => {
      try {
        if (failure) throw failure;
        this.alive();
        if (node.kind === 'file') node.durable = data!;
        else node.states = [new Map(node.entries)];
        callback(null);
      } catch (error) {
        callback(error as Error);
      }
    });
  }

  closeSync(fd: number): void {
    const { path } = this.open.get(fd)!;
    this.open.delete(fd);
    this.step(path);
  }

  renameSync(from: string, to: string): void {
    this.step(from);
    const node = this.get(from);
    const there = this.find(to);
    if (there?.kind === 'folder' && there.entries.size > 0) throw fault('ENOTEMPTY', to);
    if (dirname(from) !== dirname(to)) throw fault('EXDEV', to); // two folders would be two changes
    this.folderAt(dirname(from)).entries.delete(basename(from));
    this.change(dirname(to), basename(to), node);
  }

  rmSync(path: string): void {
    this.step(path);
    if (this.find(path)) this.change(dirname(path), basename(path), null);
  }

  mkdirSync(path: string, options?: { recursive?: boolean }): string | undefined {
    this.step(path);
    if (this.find(path) && options?.recursive) return undefined;
    if (this.find(path)) throw fault('EEXIST', path);
    const firstFolder = options?.recursive ? this.mkdirSync(dirname(path), options) : undefined;
    this.change(dirname(path), basename(path), newFolder());
    return firstFolder ?? path;
  }

  readdirSync(path: string, options?: { withFileTypes?: boolean }): unknown {
    this.step(path);
    const entries = [...this.folderAt(path).entries];
    return options?.withFileTypes
      ? entries.map(([name, node]) => ({ name, ...kindOf(node) }))
      : entries.map(([name]) => name);
  }

  /** Says false where it cannot tell, as Node's does, so it never fails. */
  existsSync(path: string): boolean {
    this.alive();
    return this.find(path) !== undefined;
  }

  lstatSync(path: string): unknown {
    this.step(path);
    const node = this.get(path);
    return { ...kindOf(node), size: node.kind === 'file' ? node.data.length : 0, mtimeMs: 0 };
  }

  statfsSync(): unknown {
    return { bsize: 1, bavail: this.capacityBytes - this.usedBytes() };
  }

  readFileSync(path: string): string {
    this.step(path);
    return Buffer.from((this.get(path) as FileNode).data).toString('utf8');
  }

  private usedBytes(): number {
    return this.capacityBytes === Infinity
      ? 0
      : this.files().reduce((sum, [, bytes]) => sum + bytes.length, 0);
  }

  private step(path: string): void {
    this.calls++;
    if (!this.failing || this.calls < this.failing.call) return;
    if (this.failing.error === 'crash') throw new Crash(path);
    if (this.failing.error !== 'short' && this.calls === this.failing.call)
      throw fault(this.failing.error, path);
  }

  /** One entry of a folder's journal; null removes. */
  private change(folder: string, name: string, node: Node | null): void {
    const at = this.folderAt(folder);
    if (node) at.entries.set(name, node);
    else at.entries.delete(name);
    at.states.push(new Map(at.entries));
  }

  private alive(): void {
    if (this.failing?.error === 'crash' && this.calls >= this.failing.call)
      throw new Crash('after the crash');
  }

  private find(path: string): Node | undefined {
    let node: Node | undefined = this.root;
    for (const part of path.split('/').filter(Boolean))
      node = node?.kind === 'folder' ? node.entries.get(part) : undefined;
    return node;
  }

  private get(path: string): Node {
    const node = this.find(path);
    if (!node) throw fault('ENOENT', path);
    return node;
  }

  private folderAt(path: string): FolderNode {
    const node = this.get(path);
    if (node.kind !== 'folder') throw fault('ENOTDIR', path);
    return node;
  }
}

/** As a thread of the system's would: after the call, and once. */
function inTurn(work: () => () => void, fail: (error: Error) => void): void {
  queueMicrotask(() => {
    let tell: () => void;
    try {
      tell = work();
    } catch (error) {
      return fail(error as Error);
    }
    tell();
  });
}

const fault = (code: string, path: string): Error =>
  Object.assign(new Error(`${code}: simulated, ${path}`), { code });
const kindOf = (node: Node) => ({
  isFile: () => node.kind === 'file',
  isDirectory: () => node.kind === 'folder',
});
const newFolder = (): FolderNode => ({
  kind: 'folder',
  entries: new Map<string, Node>(),
  states: [new Map<string, Node>()],
});

function settle(node: Node, cut: PowerCut, draw: () => number): void {
  if (node.kind === 'file') {
    if (node.data !== node.durable) node.data = fileAfter(cut, node, draw);
    node.durable = node.data;
    return;
  }
  const { states } = node;
  const last = states.length - 1;
  node.entries = new Map(
    states[cut === 'kept' ? last : cut === 'lost' ? 0 : Math.floor(draw() * states.length)],
  );
  node.states = [new Map(node.entries)];
  for (const inner of node.entries.values()) settle(inner, cut, draw);
}

function fileAfter(cut: PowerCut, { data, durable }: FileNode, draw: () => number): Uint8Array {
  if (cut === 'kept' || (cut === 'mixed' && draw() < 0.5)) return data;
  if (cut !== 'torn') return durable;
  const torn = data.slice();
  for (let at = 0; at < torn.length; at += SECTOR_BYTES) {
    const sector = torn.subarray(at, at + SECTOR_BYTES);
    const luck = draw();
    if (luck < 1 / 3) sector.set(durable.subarray(at, at + sector.length));
    else if (luck < 2 / 3)
      sector.forEach((_, i) => {
        sector[i] = Math.floor(draw() * 256);
      });
  }
  return torn;
}
