/** Lines of at most `columns` characters, broken between words. A longer word has a line of its own. */
export function wrapText(text: string, columns: number): string[] {
  const [first = '', ...others] = text.split(' ');
  const lines = [first];
  for (const word of others) {
    const longer = `${lines.at(-1)} ${word}`;
    if (longer.length <= columns) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
