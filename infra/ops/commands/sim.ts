import type { Command } from 'commander';
import type { Action } from '../../../shared/core/action.ts';
import type { SimState } from '../../../shared/core/sim-state.ts';
import { days, epochMs } from '../../../shared/core/time.ts';
import type { WebhookEvent } from '../../../shared/core/webhook-event.ts';
import type { TimeRange } from '../../../shared/store/event-listing.ts';
import { loadSim } from '../../../shared/store/event-store.ts';
import type { TimelineRow } from '../../../shared/store/sim-timeline.ts';
import { simTimeline } from '../../../shared/store/sim-timeline.ts';
import { actionJson } from '../action-view.ts';
import { bar } from '../bar-chart.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import type { Connection } from '../connect.ts';
import { readRange } from '../event-filter.ts';
import { eventJson } from '../event-view.ts';
import { notFound } from '../failure.ts';
import { isoMoment, readWhole, showMoment } from '../notation.ts';
import { subjectsNamed } from '../sim-keys.ts';
import {
  inOrder,
  lastUsageShare,
  pictureOf,
  type StoryLine,
  storyOfAction,
  storyOfEvent,
} from '../sim-story.ts';
import type { OpsWorld } from '../world.ts';

interface SimOptions {
  readonly provider?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit: string;
}

/** `sim show`. */
export function addSimCommands(program: Command, world: OpsWorld): void {
  const group = program.command('sim').description('One SIM.');
  addCommand(group, {
    name: 'show',
    description: 'One timeline of a SIM: callbacks, decisions, tries, orders and money, with a picture.',
    examples: ['npx simhook sim show 89852000263320817044 --since 30d'],
  })
    .argument('<sim>', 'ICCID, IMSI or EID, with or without check digit')
    .option('--provider <id>', 'only at this provider')
    .option('--since <time>', 'from then on', '30d')
    .option('--until <time>', 'up to then', 'now')
    .option('--limit <n>', 'the newest so many events and actions', '500')
    .action(async (sim: string, options: SimOptions, command: Command) => {
      const context = contextOf(command, world);
      await withConnection(context, (connection) => showSim(connection, sim, options, context));
    });
}

async function showSim(
  connection: Connection,
  text: string,
  options: SimOptions,
  context: Context,
): Promise<void> {
  const range = readRange(options, context.world.clock(), days(30));
  const limit = readWhole('--limit', options.limit, { min: 1, max: 100_000 });
  let shown = 0;
  for (const subject of subjectsNamed(text, connection.stage, options.provider ?? null)) {
    const rows: TimelineRow[] = [];
    for await (const row of simTimeline(
      connection.table,
      subject.key,
      range,
      'newest-first',
      connection.onUnreadable,
    )) {
      if (rows.length === limit) break;
      rows.push(row);
    }
    if (rows.length === 0) continue;
    shown += 1;
    if (rows.length === limit)
      context.out.note(`only the newest ${limit} events and actions; raise --limit for more`);
    const { value: state } = await loadSim(connection.table, subject.key);
    await show({ key: subject.key, range, rows, state }, context);
  }
  if (shown === 0)
    throw notFound(
      `nothing is stored of SIM ${text} from ${showMoment(range.from)} to ${showMoment(range.to)}`,
    );
}

interface SimView {
  readonly key: string;
  readonly range: TimeRange;
  readonly rows: readonly TimelineRow[];
  readonly state: SimState;
}

async function show(view: SimView, { out }: Context): Promise<void> {
  const events = view.rows.flatMap((row) => (row.kind === 'event' ? [row.row.value] : []));
  const actions = view.rows.flatMap((row) => (row.kind === 'action' ? [row.row.value] : []));
  const lines = inOrder([...events.flatMap(storyOfEvent), ...actions.flatMap(storyOfAction)]);
  await out.value({
    sim: view.key,
    state: stateJson(view.state),
    events: events.map(eventJson),
    actions: actions.map(actionJson),
    story: lines.map((line) => ({ ...line, at: isoMoment(line.at) })),
  });
  const { paint } = out;
  await out.line(`${paint.bold(view.key)}  ${events.length} events, ${actions.length} actions`);
  await out.line(
    `lock       ${view.state.openActionId === null ? 'free' : paint.yellow(view.state.openActionId)}`,
  );
  for (const [rule, until] of Object.entries(view.state.cooldowns)) {
    await out.line(`cool-down  ${rule} until ${showMoment(until)}`);
  }
  await picture(
    view,
    { events: events.map(({ event }) => event), actions: actions.map(({ action }) => action) },
    out,
  );
  await out.line();
  await out.table(
    [{ title: 'time' }, { title: 'what' }, { title: 'id' }, { title: '' }],
    lines.map((line) => [showMoment(line.at), paintKind(line, out), line.id.slice(0, 12), line.text]),
  );
}

async function picture(
  { range }: SimView,
  parts: { readonly events: readonly WebhookEvent[]; readonly actions: readonly Action[] },
  out: Context['out'],
): Promise<void> {
  const { events, actions } = parts;
  const moments = [
    ...events.map(({ receivedAt }) => receivedAt),
    ...actions.map(({ createdAt }) => createdAt),
  ];
  // The axis starts where the story does: thirty days of nothing say little.
  const from = epochMs(Math.min(range.to, ...moments));
  await out.line();
  for (const row of pictureOf({ from, to: range.to }, events, actions).rows) await out.line(row);
  const share = lastUsageShare(events);
  if (share === null) return;
  // EIOTCLUB's figure is what is left, Linksfield's is what is used. Source: protocols/eiotclub.md, section 3.2 (its
  // unit is not stated); shared/providers/linksfield-csss/callback-wire.ts (the name says use rate, inferred).
  const left = share.provider === 'eiotclub' ? share.percent : 100 - share.percent;
  await out.line(
    `data left  [${bar(left / 100, 20)}] about ${Math.round(left)} %, as of ${showMoment(share.at)}`,
  );
}

function stateJson(state: SimState): object {
  return {
    ...state,
    cooldowns: Object.fromEntries(
      Object.entries(state.cooldowns).map(([rule, until]) => [rule, isoMoment(until)]),
    ),
    claimedAt: state.claimedAt.map(isoMoment),
    lastSettledAt: isoMoment(state.lastSettledAt),
  };
}

function paintKind({ kind }: StoryLine, { paint }: Context['out']): string {
  switch (kind) {
    case 'callback':
      return paint.cyan(kind);
    case 'money':
      return paint.green(kind);
    case 'operator':
      return paint.magenta(kind);
    default:
      return kind;
  }
}
