/** The path of a folder with a suffix on its name. A slash at its end, as a shell adds it, is left out. */
export const besideFolder = (folder: string, suffix: string): string =>
  `${folder.replace(/(?<=.)[/\\]+$/, '')}${suffix}`;
