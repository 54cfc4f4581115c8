import type { ArrayView } from '@qdylora/contract';

/** A value that the addon takes; undefined for an optional array that is absent. */
export type PlainValue = Float32Array | Uint16Array | Int32Array | Uint8Array | number | boolean | undefined;

/** The same, or an array view in host memory, whose elements are passed. */
export type NativeValue = ArrayView | PlainValue;

/** One record of a list, with the field names of C++ (`FieldNames`). */
export type NativeRecord = Readonly<Record<string, NativeValue>>;

/** An argument of a native function: a value, or a list of records, such as the layers of a group. */
export type NativeArgument = NativeValue | readonly NativeRecord[];

/**
 * A C++ kernel as its binding calls it. It checks its arguments: a wrong call throws QdyloraError NATIVE.
 * Kernels return nothing; measurements and workspace sizes return a number.
 */
export type NativeFunction = (...parameters: NativeArgument[]) => number;

/** A list parameter of an addon function, as the addon describes it. */
export interface NativeList {
  /** The most records that C++ takes. */
  readonly most: number;
  /** The fields of a record in C++'s order; `empty` fills a record that is not there. */
  readonly fields: readonly { readonly name: string; readonly empty: PlainValue }[];
}

/** A C++ kernel as the addon exports it. Its lists are passed value by value (`flattenArguments`). */
export interface AddonFunction {
  (...values: PlainValue[]): number;
  /** In the order of its parameters. */
  readonly lists?: readonly NativeList[];
}

/** What a kernel's binding is made from. */
export interface CpuDoor {
  /**
   * The C++ function of a name, at this backend's level.  @throws QdyloraError NATIVE if the addon has none
   */
  native(name: string): NativeFunction;
  /**
   * Runs `body` with scratch floats (64-byte aligned) from the backend's memory, which are released after the
   * call.
   */
  withScratch(floats: number, body: (scratch: ArrayView<'f32'>) => void): void;
}

/** A compiled instruction set. `missing` lists the features that this machine lacks; '' if it runs here. */
export interface NativeLevel {
  readonly name: string;
  readonly missing: string;
}

/** One level's functions on a team of threads, and what records their calls. */
export interface NativeInstance {
  readonly threads: number;
  readonly functions: Readonly<Record<string, AddonFunction>>;
  close(): void;
  /** A new program without calls, by its number. */
  createProgram(): number;
  /** Kernels are added to the program, with their arguments, until `stopRecording`. */
  startRecording(program: number): void;
  /** The program's calls so far. */
  stopRecording(): number;
  /**
   * Runs the calls [from, to) of the program; it reads and writes where their arrays were when they were
   * recorded. Throws as the kernel that fails does.
   */
  replay(program: number, from: number, to: number): void;
  /** Forgets a program; one that is gone already is ignored. */
  dropProgram(program: number): void;
}

/** The addon's own exports: native/door/addon.cpp. */
export interface NativeAddon {
  /** Best last. */
  levels(): NativeLevel[];
  open(level: string, threads: number, isBatchInvariant: boolean): NativeInstance;
  reserve(bytes: number): ArrayBuffer | undefined;
  unreserve(buffer: ArrayBuffer): void;
  discard(buffer: ArrayBuffer, offset: number, bytes: number): void;
  /** 0, or the system's error number. */
  reserveFile(fd: number, bytes: number): number;
  preferLargePages(bytes: Uint8Array): void;
}
