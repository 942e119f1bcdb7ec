import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { days, type EpochMs } from '../../../shared/core/time.ts';
import { listActions, listEvents } from '../../../shared/store/event-listing.ts';
import { loadEvidence } from '../../../shared/store/event-store.ts';
import { actionJson } from '../action-view.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import type { Connection } from '../connect.ts';
import { readRange } from '../event-filter.ts';
import { eventJson } from '../event-view.ts';
import { failed, misused } from '../failure.ts';
import { startProgress } from '../progress.ts';
import type { OpsWorld } from '../world.ts';
import { evidenceJson } from './events.ts';

interface ExportOptions {
  readonly since?: string;
  readonly until?: string;
  readonly what: string;
  readonly evidence: boolean;
  readonly out?: string;
}

/** `export`: the books as NDJSON. */
export function addExportCommand(program: Command, world: OpsWorld): void {
  addCommand(program, {
    name: 'export',
    description: 'Writes events and actions (with attempts, ledger and notes) as NDJSON, oldest first.',
    examples: [
      'npx simhook export --since 30d --out simhook.ndjson',
      'npx simhook export --what actions | jq -c \'select(.state.name=="parked")\'',
    ],
    more: `Each line is {"type":"event",…} or {"type":"action",…}. Any number of rows runs in bounded memory.
With --out the file appears under its name only when it is whole.`,
  })
    .option('--since <time>', 'received or planned since then', '100d')
    .option('--until <time>', 'up to then', 'now')
    .option('--what <what>', 'all, events or actions', 'all')
    .option('--evidence', 'with each callback as it was received', false)
    .option('--out <file>', 'to a file instead of standard output')
    .action(async (options: ExportOptions, command: Command) => {
      const context = contextOf(command, world);
      if (!['all', 'events', 'actions'].includes(options.what)) {
        throw misused(`--what is "${options.what}", but it must be all, events or actions`);
      }
      await withConnection(context, (connection) => exportRows(connection, options, context));
    });
}

/** Where the lines go. */
interface Sink {
  write(text: string): Promise<void>;
  /** Makes the file appear. */
  finish(): void;
  /** Takes back what was written to a file. */
  abandon(): void;
}

async function exportRows(connection: Connection, options: ExportOptions, context: Context): Promise<void> {
  const { world, out } = context;
  const sink = options.out === undefined ? terminalSink(context) : fileSink(options.out);
  const progress = startProgress(world, 'exporting');
  let rows = 0;
  try {
    for await (const { row, ...reach } of lines(connection, options, context)) {
      if (world.signal.aborted) break;
      await sink.write(`${JSON.stringify(row)}\n`);
      rows += 1;
      progress.at(rows, reach);
    }
    if (!world.signal.aborted) sink.finish();
  } catch (error) {
    sink.abandon();
    throw error;
  } finally {
    progress.end();
  }
  if (world.signal.aborted) {
    sink.abandon();
    return out.note(
      `interrupted after ${rows} rows${options.out === undefined ? '' : '; no file was written'}`,
    );
  }
  out.note(`${rows} rows exported`);
}

async function* lines(
  connection: Connection,
  options: ExportOptions,
  { world }: Context,
): AsyncGenerator<{ readonly row: object; readonly at: EpochMs; readonly to: EpochMs }> {
  const { table, onUnreadable } = connection;
  const range = readRange(options, world.clock(), days(100));
  if (options.what !== 'actions') {
    for await (const { value } of listEvents(table, range, 'oldest-first', onUnreadable)) {
      const evidence = options.evidence ? await loadEvidence(table, value) : null;
      const row = {
        type: 'event',
        ...eventJson(value),
        ...(evidence === null ? {} : { evidence: evidenceJson(evidence) }),
      };
      yield { row, at: value.event.receivedAt, to: range.to };
    }
  }
  if (options.what === 'events') return;
  for await (const { value } of listActions(table, range, 'oldest-first', onUnreadable))
    yield { row: { type: 'action', ...actionJson(value) }, at: value.action.createdAt, to: range.to };
}

function terminalSink({ world }: Context): Sink {
  return {
    write: (text) => world.terminal.write(text),
    finish: () => undefined,
    abandon: () => undefined,
  };
}

/** Characters gathered before they go to the file. */
const chunkMax = 256 * 1024;

/** Writes beside the file and renames at the end. Throws OpsError when the file can't be written. */
function fileSink(path: string): Sink {
  const part = `${path}.part`;
  const handle = guarded(path, () => openSync(part, 'w', 0o600));
  let gathered = '';
  const flush = (): void => {
    guarded(path, () => writeFileSync(handle, gathered));
    gathered = '';
  };
  return {
    write: async (text) => {
      gathered += text;
      if (gathered.length >= chunkMax) flush();
    },
    finish: () => {
      flush();
      guarded(path, () => {
        fsyncSync(handle);
        closeSync(handle);
        renameSync(part, path);
      });
    },
    abandon: () => {
      closeSync(handle);
      rmSync(part, { force: true });
    },
  };
}

function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw failed(`${path} can't be written: ${error instanceof Error ? error.message : error}`);
  }
}
