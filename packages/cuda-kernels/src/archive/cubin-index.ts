/** One compiled image in the archive. */
export interface CubinImage {
  /** The source that it was compiled from, without `.cu`: `rms-norm`. */
  readonly source: string;
  /** `sm_80` for a cubin, `compute_80` for PTX. */
  readonly target: string;
  /** Where the image, compressed by brotli, begins in the archive, in bytes. */
  readonly offset: number;
  readonly packedBytes: number;
  /** Length of the image itself. */
  readonly bytes: number;
  /** Of the image itself. */
  readonly sha256: string;
}

/** `prebuilt/index.json`, as scripts/build-cubins.mjs writes it. */
export interface CubinIndex {
  /** The compiler with its version, as pip names it. */
  readonly compiler: string;
  /** Path of each source and header → its SHA-256 when the archive was made. */
  readonly sources: Readonly<Record<string, string>>;
  readonly images: readonly CubinImage[];
}
