import pc from 'picocolors';
import { type Column, textTable } from './text-table.ts';
import type { Terminal } from './world.ts';

export type Paint = ReturnType<typeof pc.createColors>;

/** How a command shows its result: lines for people, or with --json one JSON document a line. */
export interface Output {
  readonly json: boolean;
  readonly paint: Paint;
  readonly columns: number | null;
  /** For people only. */
  line(text?: string): Promise<void>;
  /** For machines only: one line of JSON. */
  value(value: unknown): Promise<void>;
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): Promise<void>;
  /** To standard error, in both forms. */
  note(text: string): void;
}

export function openOutput(terminal: Terminal, json: boolean): Output {
  const paint = pc.createColors(terminal.colour && !json);
  const line = async (text = ''): Promise<void> => {
    if (!json) await terminal.write(`${text}\n`);
  };
  return {
    json,
    paint,
    columns: terminal.columns,
    line,
    value: async (value) => {
      if (json) await terminal.write(`${JSON.stringify(value)}\n`);
    },
    table: async (columns, rows) => {
      const titled = columns.map((column) => ({ ...column, title: paint.bold(column.title) }));
      for (const text of textTable(titled, rows, terminal.columns)) await line(text);
    },
    note: (text) => terminal.complain(`${text}\n`),
  };
}
