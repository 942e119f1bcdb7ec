import type { Action } from '../../shared/core/action.ts';
import { formatMoney } from '../../shared/core/money.ts';
import type { EpochMs } from '../../shared/core/time.ts';
import type { WebhookEvent } from '../../shared/core/webhook-event.ts';
import type { ActionRow, EventRow } from '../../shared/store/rows.ts';
import { stateText } from './action-view.ts';
import { decisionText, factsText, proofText } from './event-view.ts';

/** One line of a SIM's story. */
export interface StoryLine {
  readonly at: EpochMs;
  readonly kind: 'callback' | 'decision' | 'action' | 'try' | 'money' | 'operator';
  /** Event or action that it belongs to. */
  readonly id: string;
  readonly text: string;
  /** Place among lines of one moment: causes before their effects. */
  readonly rank: number;
}

const ranks = {
  callback: 0,
  decided: 1,
  planned: 2,
  reserved: 3,
  tried: 4,
  booked: 5,
  noted: 6,
  state: 7,
} as const;

/** What an event adds to the story: its arrival and each judgement. */
export function storyOfEvent(row: EventRow): readonly StoryLine[] {
  const { event, decisions } = row;
  const id = event.eventId;
  return [
    {
      at: event.receivedAt,
      kind: 'callback',
      id,
      rank: ranks.callback,
      text: `${event.provider} ${event.providerType}: ${factsText(event.facts)}, ${proofText(event)}`,
    },
    ...decisions.map(
      (decision): StoryLine => ({
        at: decision.decidedAt,
        kind: 'decision',
        id,
        rank: ranks.decided,
        text: decisionText([decision]),
      }),
    ),
  ];
}

/** What an action adds: its plan, tries, bookings, notes and where it stands. */
export function storyOfAction({ action, notes }: ActionRow): readonly StoryLine[] {
  const id = action.actionId;
  return [
    {
      at: action.createdAt,
      kind: 'action',
      id,
      rank: ranks.planned,
      text: `${action.kind} planned by ${action.ruleId}, at most ${formatMoney(action.maxCost)}`,
    },
    ...action.attemptLog.map((attempt): StoryLine => {
      const took = attempt.endedAt === null ? '' : ` after ${attempt.endedAt - attempt.startedAt} ms`;
      const detail = attempt.detail === '' ? '' : ` (${attempt.detail})`;
      return {
        at: attempt.startedAt,
        kind: 'try',
        id,
        rank: ranks.tried,
        text: `${attempt.kind} ${attempt.attemptNo}: ${attempt.result ?? 'no answer known'}${took}${detail}`,
      };
    }),
    ...action.ledger.map(
      (entry): StoryLine => ({
        at: entry.at,
        kind: 'money',
        id,
        rank: entry.kind === 'reserved' ? ranks.reserved : ranks.booked,
        text: `${formatMoney(entry.amount)} ${entry.kind}${entry.estimated ? ' (estimated)' : ''}: ${entry.note}`,
      }),
    ),
    ...notes.map(
      (note): StoryLine => ({
        at: note.at,
        kind: 'operator',
        id,
        rank: ranks.noted,
        text: `${note.by} ${note.did}: ${note.reason}`,
      }),
    ),
    {
      at: action.stateSince,
      kind: 'action',
      id,
      rank: ranks.state,
      text: `${action.state.name}: ${stateText(action.state)}`,
    },
  ];
}

/** By time; lines of one moment in the order in which one thing leads to another. */
export function inOrder(lines: readonly StoryLine[]): readonly StoryLine[] {
  return lines.toSorted((a, b) => a.at - b.at || a.rank - b.rank);
}

/** A stretch of time in which a plan ran; null ends are open. */
export interface PlanPeriod {
  readonly from: EpochMs;
  readonly to: EpochMs | null;
}

/** When plans ran, as far as callbacks tell: begun by a start notice, ended by a stop or expiry notice. */
export function planPeriods(events: readonly WebhookEvent[]): readonly PlanPeriod[] {
  const periods: PlanPeriod[] = [];
  let from: EpochMs | null = null;
  for (const event of events.toSorted((a, b) => a.receivedAt - b.receivedAt)) {
    if (starts(event)) from ??= event.receivedAt;
    else if (ends(event) && from !== null) {
      periods.push({ from, to: event.receivedAt });
      from = null;
    }
  }
  return from === null ? periods : [...periods, { from, to: null }];
}

function starts({ facts }: WebhookEvent): boolean {
  return (
    facts.kind === 'package-effective' ||
    (facts.kind === 'order-status' && ['started', 'restarted'].includes(facts.status))
  );
}

function ends({ facts }: WebhookEvent): boolean {
  if (facts.kind === 'order-status') return ['expired', 'ended-early', 'cancelled'].includes(facts.status);
  return facts.kind === 'package-stopped' || facts.kind === 'card-stopped';
}

/** Cells of the picture's time axis. */
const axisCells = 60;

export interface Picture {
  /** Text per row: plans, alerts, purchases, the axis. */
  readonly rows: readonly string[];
}

/** The SIM's time as a picture: plan periods as a bar, alerts and purchases as marks above each other. */
export function pictureOf(
  range: { readonly from: EpochMs; readonly to: EpochMs },
  events: readonly WebhookEvent[],
  actions: readonly Action[],
): Picture {
  const span = Math.max(1, range.to - range.from);
  const cellOf = (at: EpochMs): number =>
    Math.max(0, Math.min(axisCells - 1, Math.floor(((at - range.from) / span) * axisCells)));
  const row = (marks: readonly (readonly [number, string])[]): string => {
    const cells = Array.from({ length: axisCells }, () => '·');
    for (const [cell, mark] of marks) cells[cell] = mark;
    return cells.join('');
  };
  const plans = planPeriods(events).flatMap(({ from, to }) => {
    const first = cellOf(from);
    const last = cellOf(to ?? range.to);
    return Array.from({ length: last - first + 1 }, (_, i) => [first + i, '━'] as const);
  });
  const alerts = events
    .filter(({ facts }) => facts.kind === 'usage-alert' || facts.kind === 'plan-reminder')
    .map(({ receivedAt }) => [cellOf(receivedAt), '▼'] as const);
  const bought = actions.map(({ createdAt, state }) => [cellOf(createdAt), markOf(state.name)] as const);
  const day = (at: EpochMs): string => new Date(at).toISOString().slice(0, 16).replace('T', ' ');
  const gap = ' '.repeat(Math.max(1, axisCells - 32));
  return {
    rows: [
      `plan       ${row(plans)}`,
      `alerts     ${row(alerts)}`,
      `purchases  ${row(bought)}`,
      `           ${day(range.from)}${gap}${day(range.to)}`,
    ],
  };
}

/** `●` bought, `○` under way or waiting, `×` nothing came of it. */
function markOf(name: Action['state']['name']): string {
  if (name === 'succeeded') return '●';
  return name === 'refused' || name === 'cancelled' ? '×' : '○';
}

/** The figure of the newest usage alert that gives a share of data, 0 to 100; null when none does. */
export function lastUsageShare(
  events: readonly WebhookEvent[],
): { readonly at: EpochMs; readonly percent: number; readonly provider: string } | null {
  const newest = events
    .toSorted((a, b) => b.receivedAt - a.receivedAt)
    .find(({ facts }) => facts.kind === 'usage-alert' && facts.alert === 'low-data-percent');
  if (newest?.facts.kind !== 'usage-alert') return null;
  const percent = Number(newest.facts.value ?? Number.NaN);
  if (!(percent >= 0 && percent <= 100)) return null;
  return { at: newest.receivedAt, percent, provider: newest.provider };
}
