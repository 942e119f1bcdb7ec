import type { Command } from 'commander';
import { before, epochMs, seconds } from '../../../shared/core/time.ts';
import { loadEvent, loadEvidence, type Versioned } from '../../../shared/store/event-store.ts';
import type { EventRow, Evidence } from '../../../shared/store/rows.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import type { Connection } from '../connect.ts';
import {
  describeFilter,
  type EventFilter,
  type EventFilterOptions,
  findEvents,
  readEventFilter,
  withEventFilter,
} from '../event-filter.ts';
import { decisionText, eventJson, factsText, proofText } from '../event-view.ts';
import { notFound } from '../failure.ts';
import { readWhole, showMoment } from '../notation.ts';
import type { OpsWorld } from '../world.ts';

interface EventsOptions extends EventFilterOptions {
  readonly limit: string;
  readonly oldestFirst: boolean;
  readonly follow: boolean;
}

/** How often follow mode looks, and how far back it looks each time: an index may be late. */
const followEveryMs = 1_000;
const followBack = seconds(30);
/** Event ids that follow mode remembers: those of the last look are enough, this bounds a burst. */
const followSeenMax = 50_000;

/** `events` and `event show`. */
export function addEventCommands(program: Command, world: OpsWorld): void {
  const events = addCommand(program, {
    name: 'events',
    description: 'Lists stored events, newest first.',
    examples: [
      'npx simhook events --since 2h --provider eiotclub --kind usage-alert',
      'npx simhook events --state recorded --json',
      'npx simhook events --follow',
    ],
  });
  withEventFilter(events, '1d')
    .option('--limit <n>', 'at most so many', '50')
    .option('--oldest-first', 'oldest first', false)
    .option('--follow', 'go on and show new ones until Ctrl-C', false)
    .action(async (options: EventsOptions, command: Command) => {
      const context = contextOf(command, world);
      await withConnection(context, (connection) => listEventsCommand(connection, options, context));
    });
  const event = program.command('event').description('One event.');
  addCommand(event, {
    name: 'show',
    description: 'Shows one event: what it says, how it was proven, what the rules made of it.',
    examples: ['npx simhook event show evt_0123456789abcdef0123456789abcdef --raw'],
  })
    .argument('<event-id>')
    .option('--raw', 'the callback as it was received: headers and body', false)
    .action(async (eventId: string, options: { readonly raw: boolean }, command: Command) => {
      const context = contextOf(command, world);
      await withConnection(context, (connection) =>
        showEvent(connection, eventId, { raw: options.raw, context }),
      );
    });
}

async function listEventsCommand(
  connection: Connection,
  options: EventsOptions,
  context: Context,
): Promise<void> {
  const { world, out } = context;
  const filter = readEventFilter(options, world.clock());
  const limit = readWhole('--limit', options.limit, { min: 1, max: 1_000_000 });
  if (options.follow) return follow(connection, filter, context);
  const direction = options.oldestFirst ? 'oldest-first' : 'newest-first';
  const shown: EventRow[] = [];
  let found = 0;
  for await (const { value } of findEvents(connection, filter, direction)) {
    if (found === limit) {
      out.note(`there are more: narrow the range, or raise --limit (${limit})`);
      break;
    }
    found += 1;
    if (out.json) await out.value(eventJson(value));
    else shown.push(value);
    if (world.signal.aborted) break;
  }
  if (found === 0) return out.note(`no ${describeFilter(filter)}`);
  await out.table(columns, shown.map(cellsOf));
}

const columns = [
  { title: 'received' },
  { title: 'event' },
  { title: 'provider' },
  { title: 'SIM' },
  { title: 'what' },
  { title: 'proof' },
  { title: 'decision' },
];

function cellsOf({ event, decisions }: EventRow): readonly string[] {
  return [
    showMoment(event.receivedAt),
    event.eventId,
    event.provider,
    event.subject?.simId ?? '-',
    factsText(event.facts),
    event.proof.kind,
    decisionText(decisions),
  ];
}

/** Looks each second; an event is shown once, whatever order the index gives it in. */
async function follow(connection: Connection, filter: EventFilter, context: Context): Promise<void> {
  const { world, out } = context;
  const seen = new Set<string>();
  let from = filter.range.from;
  out.note('following; Ctrl-C ends it');
  while (!world.signal.aborted) {
    const now = world.clock();
    // A sender's clock does not matter here: rows stand by when we received them.
    const range = { from, to: epochMs(now + followBack) };
    for await (const { value } of findEvents(connection, { ...filter, range }, 'oldest-first')) {
      if (seen.has(value.event.eventId)) continue;
      seen.add(value.event.eventId);
      await out.value(eventJson(value));
      await out.line(cellsOf(value).join('  '));
      if (world.signal.aborted) return;
    }
    from = epochMs(Math.max(from, before(now, followBack)));
    for (const id of seen) {
      if (seen.size <= followSeenMax) break;
      seen.delete(id);
    }
    await world.sleep(followEveryMs);
  }
}

async function showEvent(
  connection: Connection,
  eventId: string,
  view: { readonly raw: boolean; readonly context: Context },
): Promise<void> {
  const { out } = view.context;
  const row = await loadEvent(connection.table, eventId);
  if (row === null) throw notFound(`there is no event ${eventId}; npx simhook events lists them`);
  const evidence = view.raw ? await loadEvidence(connection.table, row.value) : null;
  if (view.raw && evidence === null)
    out.note('the callback itself is older than evidence is kept (100 days)');
  await out.value({
    ...eventJson(row.value),
    ...(evidence === null ? {} : { evidence: evidenceJson(evidence) }),
  });
  await describe(row, view.context);
  if (evidence === null) return;
  await out.line(`\nPOST ${evidence.path}`);
  for (const [name, value] of Object.entries(evidence.headers)) await out.line(`${name}: ${value}`);
  await out.line(`\n${Buffer.from(evidence.body).toString('utf8')}`);
}

/** Bytes that are not UTF-8 are given as Base64. */
export function evidenceJson({ body, headers, path }: Evidence): object {
  const text = Buffer.from(body).toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(body);
  return { path, headers, body: isText ? text : Buffer.from(body).toString('base64'), isBase64: !isText };
}

async function describe({ value }: Versioned<EventRow>, { out }: Context): Promise<void> {
  const { event, state, decisions } = value;
  const rows: readonly (readonly [string, string])[] = [
    ['event', event.eventId],
    ['says', `${factsText(event.facts)} (${event.provider} ${event.providerType})`],
    [
      'SIM',
      event.subject === null ? 'none that we can read' : `${event.subject.simId} (${event.subject.key})`,
    ],
    ['received', showMoment(event.receivedAt)],
    ['occurred', event.occurredAt === null ? 'the provider does not say' : showMoment(event.occurredAt)],
    ['proof', proofText(event)],
    ['state', state],
    ['callback', event.callbackId],
    ['correlation', event.correlationId],
  ];
  for (const [name, text] of rows) await out.line(`${out.paint.bold(name.padEnd(12))}${text}`);
  for (const decision of decisions) {
    await out.line(
      `\n${out.paint.bold('decided')}     ${showMoment(decision.decidedAt)} by rules ${decision.policyVersion}`,
    );
    if (decision.ownActionId !== null) await out.line(`  reports on our action ${decision.ownActionId}`);
    for (const verdict of decision.verdicts) {
      const made =
        verdict.verdict === 'act'
          ? out.paint.green(`acts: ${verdict.actionId}`)
          : `passes: ${verdict.reason} (${verdict.detail})`;
      await out.line(`  ${verdict.ruleId} ${made}`);
    }
  }
}
