import { dirname, basename } from 'node:path';
import type { FileSystem } from '../write/file-system.ts';

interface FileNode { kind: 'file'; data: Uint8Array; durable: Uint8Array }
interface FolderNode { kind: 'folder'; entries: Map<string, Node>; durable: Map<string, Node> }
type Node = FileNode | FolderNode;

/** Thrown at the moment of a crash, and by every call after it: no clean-up code gets to run. */
export class Crash extends Error {}

/** A file system that remembers what was synced: a write is lost in a power cut until fsync of the file, and a name until fsync of its folder. */
export class MemoryFileSystem {
  /** The calls that `FileSystem` names. */
  readonly fs = this as unknown as FileSystem;
  /** Calls so far that changed something or made it durable. */
  calls = 0;
  private readonly root = newFolder();
  private readonly open = new Map<number, { readonly node: Node; readonly path: string }>();
  private nextFd = 3;
  private failing: { readonly call: number; readonly error: string } | null = null;

  /** From now on the call number `call` fails: with a system error, or as a crash. */
  failAt(call: number, error: string): void {
    this.failing = { call, error };
  }

  /** The power comes back: what `survives` says of each file and folder is kept, the rest is as it was when last synced. */
  restart(survives: () => boolean): void {
    this.failing = null;
    this.open.clear();
    settle(this.root, survives);
  }

  openSync(path: string, flags: string): number {
    this.alive();
    if (flags === 'wx') {
      this.step(path);
      if (this.find(path)) throw fault('EEXIST', path);
      this.folderAt(dirname(path)).entries.set(basename(path), { kind: 'file', data: new Uint8Array(0), durable: new Uint8Array(0) });
    }
    this.open.set(this.nextFd, { node: this.get(path), path });
    return this.nextFd++;
  }

  /** Always takes half, as a nearly full disk does. */
  writeSync(fd: number, bytes: Uint8Array, offset: number, length: number): number {
    const { node, path } = this.open.get(fd)!;
    this.step(path);
    const wrote = Math.ceil(length / 2), file = node as FileNode;
    file.data = Uint8Array.from([...file.data, ...bytes.subarray(offset, offset + wrote)]);
    return wrote;
  }

  readSync(fd: number, target: Uint8Array, offset: number, length: number, position: number): number {
    this.alive();
    const piece = (this.open.get(fd)!.node as FileNode).data.subarray(position, position + length);
    target.set(piece, offset);
    return piece.length;
  }

  fsyncSync(fd: number): void {
    const { node, path } = this.open.get(fd)!;
    this.step(path);
    if (node.kind === 'file') node.durable = node.data;
    else node.durable = new Map(node.entries);
  }

  closeSync(fd: number): void {
    const { path } = this.open.get(fd)!;
    this.open.delete(fd);
    this.step(path);
  }

  renameSync(from: string, to: string): void {
    this.step(from);
    const node = this.get(from), there = this.find(to);
    if (there?.kind === 'folder' && there.entries.size > 0) throw fault('ENOTEMPTY', to);
    this.folderAt(dirname(from)).entries.delete(basename(from));
    this.folderAt(dirname(to)).entries.set(basename(to), node);
  }

  rmSync(path: string): void {
    this.step(path);
    const parent = this.find(dirname(path));
    if (parent?.kind === 'folder') parent.entries.delete(basename(path));
  }

  mkdirSync(path: string, options?: { recursive?: boolean }): string | undefined {
    this.alive();
    if (this.find(path) && options?.recursive) return undefined;
    if (this.find(path)) throw fault('EEXIST', path);
    const made = options?.recursive ? this.mkdirSync(dirname(path), options) : undefined;
    this.step(path);
    this.folderAt(dirname(path)).entries.set(basename(path), newFolder());
    return made ?? path;
  }

  readdirSync(path: string, options?: { withFileTypes?: boolean }): unknown {
    this.alive();
    const entries = [...this.folderAt(path).entries];
    return options?.withFileTypes ? entries.map(([name, node]) => ({ name, ...kindOf(node) })) : entries.map(([name]) => name);
  }

  existsSync(path: string): boolean {
    return this.find(path) !== undefined;
  }

  lstatSync(path: string): unknown {
    const node = this.get(path);
    return { ...kindOf(node), size: node.kind === 'file' ? node.data.length : 0, mtimeMs: 0 };
  }

  readFileSync(path: string): string {
    return Buffer.from((this.get(path) as FileNode).data).toString('utf8');
  }

  private step(path: string): void {
    this.calls++;
    if (!this.failing || this.calls < this.failing.call) return;
    if (this.failing.error === 'crash') throw new Crash(path);
    if (this.calls === this.failing.call) throw fault(this.failing.error, path);
  }

  private alive(): void {
    if (this.failing?.error === 'crash' && this.calls >= this.failing.call) throw new Crash('after the crash');
  }

  private find(path: string): Node | undefined {
    let node: Node | undefined = this.root;
    for (const part of path.split('/').filter(Boolean)) node = node?.kind === 'folder' ? node.entries.get(part) : undefined;
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

const fault = (code: string, path: string): Error => Object.assign(new Error(`${code}: simulated, ${path}`), { code });
const kindOf = (node: Node) => ({ isFile: () => node.kind === 'file', isDirectory: () => node.kind === 'folder' });
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
