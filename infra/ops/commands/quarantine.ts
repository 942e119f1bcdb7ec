import type { Command } from 'commander';
import { type AdmitResult, admit } from '../../../functions/receive/admit.ts';
import { days } from '../../../shared/core/time.ts';
import { silentLog } from '../../../shared/platform/log.ts';
import {
  listQuarantined,
  loadQuarantined,
  type Quarantined,
} from '../../../shared/store/quarantine-store.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import type { Connection } from '../connect.ts';
import { readRange } from '../event-filter.ts';
import { conflict, failed, notFound, type OpsError } from '../failure.ts';
import { isoMoment, showMoment } from '../notation.ts';
import type { OpsWorld } from '../world.ts';

/** `quarantine list`, `show` and `admit`: callbacks that were refused for their signature, kept for 14 days. */
export function addQuarantineCommands(program: Command, world: OpsWorld): void {
  const group = program.command('quarantine').description('Callbacks that were refused, kept for 14 days.');
  addCommand(group, {
    name: 'list',
    description: 'Refused callbacks, newest first, with the reason that the sender was not told.',
    examples: ['npx simhook quarantine list --since 2d'],
  })
    .option('--since <time>', 'from then on', '14d')
    .option('--until <time>', 'up to then', 'now')
    .action(async (options: { readonly since?: string; readonly until?: string }, command: Command) => {
      const context = contextOf(command, world);
      const range = readRange(options, world.clock(), days(14));
      await withConnection(context, (connection) => list(connection, range, context));
    });
  addCommand(group, {
    name: 'show',
    description: 'One refused callback as the HTTP request that it was: npx simhook explain takes its id.',
    examples: ['npx simhook quarantine show qua_0123'],
  })
    .argument('<id>')
    .action(async (id: string, _options: object, command: Command) => {
      const context = contextOf(command, world);
      await withConnection(context, (connection) => show(connection, id, context));
    });
  addCommand(group, {
    name: 'admit',
    description:
      'Verifies a refused callback again, with the secrets of now; when it is right, its events are stored.',
    examples: ['npx simhook quarantine admit qua_0123'],
    more: 'The events keep the time at which the callback came, so old ones buy nothing that a rule calls too old.',
  })
    .argument('<id>')
    .action(async (id: string, _options: object, command: Command) => {
      const context = contextOf(command, world);
      await withConnection(context, (connection) => admitOne(connection, id, context));
    });
}

async function list(
  connection: Connection,
  range: Parameters<typeof listQuarantined>[2],
  { out }: Context,
): Promise<void> {
  const rows: Quarantined[] = [];
  for (const provider of connection.stage.providers) {
    for await (const { value } of listQuarantined(connection.table, provider.id, range)) {
      rows.push(value);
      const { evidence, ...row } = value;
      await out.value({ ...row, bytes: evidence.body.byteLength });
    }
  }
  if (rows.length === 0) return out.line('nothing was refused in this time');
  await out.table(
    [
      { title: 'received' },
      { title: 'id' },
      { title: 'provider' },
      { title: 'reason' },
      { title: 'admitted' },
    ],
    rows.map((row) => [
      showMoment(row.receivedAt),
      row.quarantineId,
      row.provider,
      `${row.reason}: ${row.detail}`,
      row.admitted === null ? 'no' : `${isoMoment(row.admitted.at)} by ${row.admitted.by}`,
    ]),
  );
}

async function show(connection: Connection, id: string, { out }: Context): Promise<void> {
  const row = await loadQuarantined(connection.table, id);
  if (row === null) throw unknownQuarantined(id);
  const { evidence, ...rest } = row.value;
  const body = Buffer.from(evidence.body);
  await out.value({
    ...rest,
    path: evidence.path,
    headers: evidence.headers,
    bodyBase64: body.toString('base64'),
  });
  await out.line(`POST ${evidence.path} HTTP/1.1`);
  for (const [name, value] of Object.entries(evidence.headers)) await out.line(`${name}: ${value}`);
  await out.line(`\n${body.toString('utf8')}`);
}

async function admitOne(connection: Connection, id: string, { out, by, world }: Context): Promise<void> {
  const events = connection.queues.get('events');
  if (events === undefined) throw failed('the events queue is not known: name it with --queue events=URL');
  const { table, stage, secrets } = connection;
  const sides = world.providers.map((provider) => provider.callbacks);
  const deps = { table, events, sides, providers: stage.providers, secrets, log: silentLog };
  const result = await admit(id, by, world.clock(), deps);
  await out.value(result);
  await out.line(describe(id, result));
}

function describe(id: string, result: AdmitResult): string {
  switch (result.kind) {
    case 'admitted':
      return `${id} is admitted: ${result.eventIds.length} events, ${result.fresh} of them new`;
    case 'already-admitted':
      return `${id} was admitted before: ${result.eventIds.join(', ')}`;
    case 'still-rejected':
      throw conflict(
        `${id} is still refused (${result.reason}: ${result.detail}); npx simhook quarantine show ${id} | npx simhook explain -`,
      );
    case 'not-found':
      throw unknownQuarantined(id);
    case 'no-provider':
      throw conflict(`${id} is of ${result.provider}, which the stage does not have any more`);
    default: {
      const never: never = result;
      throw new Error(`unknown result: ${JSON.stringify(never)}`);
    }
  }
}

/** What is said of an id that the quarantine does not have. */
export function unknownQuarantined(id: string): OpsError {
  return notFound(`there is no quarantined callback ${id}; npx simhook quarantine list shows them`);
}
