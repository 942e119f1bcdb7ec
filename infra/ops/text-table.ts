import { stripVTControlCharacters } from 'node:util';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Space between columns. */
const gap = '  ';

/**
 * A table as text lines. Cells may hold colours. `width` cuts each line for a terminal; null cuts nothing, so that
 * a pipe gets everything.
 */
export function textTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | null,
): readonly string[] {
  const widths = columns.map((column, i) =>
    Math.max(displayWidth(column.title), ...rows.map((row) => displayWidth(row[i] ?? ''))),
  );
  const lines = [columns.map((column) => column.title), ...rows].map((cells) =>
    columns
      .map((column, i) => pad(cells[i] ?? '', widths[i] ?? 0, column.align ?? 'left'))
      .join(gap)
      .trimEnd(),
  );
  return width === null ? lines : lines.map((line) => cut(line, width));
}

function pad(cell: string, width: number, align: 'left' | 'right'): string {
  const fill = ' '.repeat(Math.max(0, width - displayWidth(cell)));
  return align === 'left' ? cell + fill : fill + cell;
}

/** Columns that a text takes: colours take none, East Asian wide characters two. Source: Unicode UAX #11, wide (W). */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of stripVTControlCharacters(text)) width += isWide(char.codePointAt(0) ?? 0) ? 2 : 1;
  return width;
}

function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  );
}

/** Cuts a line to a width and marks the cut; colours that were open end with it. */
export function cut(line: string, width: number): string {
  if (displayWidth(line) <= width) return line;
  let shown = '';
  let used = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour sequences start with the escape character.
  for (const part of line.split(/(\u001b\[[0-9;]*m)/)) {
    if (part.startsWith('\u001b[')) {
      shown += part;
      continue;
    }
    for (const char of part) {
      const step = displayWidth(char);
      if (used + step > width - 1) return `${shown}…${line.includes('\u001b[') ? '\u001b[0m' : ''}`;
      shown += char;
      used += step;
    }
  }
  return shown;
}
